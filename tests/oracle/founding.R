# What lme4 estimates of the founding question's variances, in studies drawn from known ones: writes founding.json.
# Run from tests/oracle: Rscript founding.R

suppressMessages({library(lme4); library(jsonlite)})
frame <- read.csv(file.path("data", "images_eight.csv"), stringsAsFactors = TRUE)
frame$image <- interaction(frame$animal, frame$image, drop = TRUE)
frame$animal <- factor(frame$animal)
frame$y <- 0
tight <- lmerControl(optimizer = "bobyqa", calc.derivs = FALSE, optCtrl = list(rhoend = 1e-8, maxfun = 1e5),
  check.conv.singular = "ignore")
model <- suppressWarnings(lmer(y ~ diet * x + (x || animal) + (x || image), transform(frame, y = rnorm(nrow(frame))), control = tight))
sds <- list(animal = c(0.015, 0.02), image = c(0.06, 0.08))
sigma <- 0.085
set.seed(19)
drawn <- t(replicate(1000, {
  y <- rnorm(nrow(frame), 0, sigma)
  for (group in names(sds)) {
    code <- as.integer(frame[[group]])
    for (effect in 1:2) {
      b <- rnorm(max(code), 0, sds[[group]][effect])[code]
      y <- y + if (effect == 1) b else b * frame$x
    }
  }
  fitted <- suppressMessages(suppressWarnings(refit(model, y)))
  table <- as.data.frame(VarCorr(fitted))
  setNames(table$sdcor, paste(table$grp, table$var1))
}))
write_json(list(
  versions = list(R = R.version.string, lme4 = as.character(packageVersion("lme4"))),
  draws = nrow(drawn), names = colnames(drawn),
  mean = unname(colMeans(drawn)), sd = unname(apply(drawn, 2, sd)), zero = unname(colMeans(drawn < 1e-5)),
  quantiles = unname(apply(drawn, 2, quantile, c(.025, .25, .5, .75, .975)))
), "founding.json", digits = 8, auto_unbox = TRUE, pretty = TRUE)
