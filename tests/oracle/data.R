# Writes data/*.csv: lme4's own data sets, and the seed studies simulated with R's generator.
# Run from tests/oracle: Rscript data.R

suppressMessages({library(lme4); library(nlme)})
RNGkind("Mersenne-Twister", "Inversion", "Rejection")

write <- function(frame, name) {
  numeric <- vapply(frame, is.double, TRUE)
  frame[numeric] <- lapply(frame[numeric], round, digits = 5)
  write.csv(frame, file.path("data", paste0(name, ".csv")), row.names = FALSE, quote = FALSE)
}

dir.create("data", showWarnings = FALSE)
write(sleepstudy, "sleepstudy")
write(Dyestuff, "dyestuff")
write(Dyestuff2, "dyestuff2")
write(Pastes[c("strength", "batch", "cask")], "pastes") # cask labels repeat within each batch
write(Penicillin, "penicillin")
write(cake[c("replicate", "recipe", "temperature", "temp", "angle")], "cake")

# First seed study: donors in two diagnoses, cells in donors, a cell-level covariate.
first <- function(cells, diagnosis, shift = 0, sd_sample = 2, sd_cell = 4) {
  sample <- rep(seq_along(cells), cells)
  saturation <- runif(length(sample), 40, 90)
  level <- diagnosis[sample]
  y <- 10 + 0.05 * saturation + shift * (level == "AD") +
    rnorm(length(cells), 0, sd_sample)[sample] + rnorm(length(sample), 0, sd_cell)
  data.frame(sample = sprintf("S%02d", sample), diagnosis = level, saturation = saturation, y = y)
}
halves <- rep(c("Control", "AD"), each = 12)
set.seed(1); write(first(rep(40, 24), halves), "seed")
set.seed(1); write(first(rep(40, 24), halves, shift = 10), "seed_shift")
set.seed(2); write(first(sample(5:90, 24), halves, shift = 1.5), "seed_unequal")
set.seed(3); write(first(rep(20, 18), rep(c("Control", "AD", "MCI"), 6), shift = 2), "seed_three")
set.seed(5); write(first(sample(5:40, 6), rep(c("Control", "AD"), 3), shift = 1), "seed_six")
for (seed in 10:60) { # the first seed whose between-sample variance is estimated as zero
  set.seed(seed)
  frame <- first(rep(30, 6), rep(c("Control", "AD"), 3), shift = 1, sd_sample = 0)
  if (isSingular(suppressMessages(lmer(y ~ saturation + diagnosis + (1 | sample), frame)))) break
}
write(frame, "seed_singular")

# Second seed study: animals, images numbered from 1 in every animal, points.
second <- function(animals, fed, images = 10, points = 10) {
  frame <- expand.grid(x = seq(-1, 1, length.out = points), image = seq_len(images), animal = seq_len(animals))
  i <- (frame$animal - 1) * images + frame$image
  a <- cbind(rnorm(animals, 0, 0.015), rnorm(animals, 0, 0.02))
  b <- cbind(rnorm(animals * images, 0, 0.06), rnorm(animals * images, 0, 0.08))
  diet <- ifelse(frame$animal <= fed, "fed", "starved")
  y <- 0.5 + 0.03 * (diet == "starved") + 0.1 * frame$x +
    a[frame$animal, 1] + a[frame$animal, 2] * frame$x + b[i, 1] + b[i, 2] * frame$x + rnorm(nrow(frame), 0, 0.085)
  data.frame(animal = sprintf("A%02d", frame$animal), image = frame$image, diet = diet, x = frame$x, y = y)
}
set.seed(7); full <- second(50, 25); write(full, "images")
set.seed(8); write(full[sort(sample(nrow(full), 3000)), ], "images_unbalanced")
set.seed(9); write(second(8, 4), "images_eight")

# Random slopes over samples, 50 genes of one design, on the raw covariate (far from zero).
set.seed(11)
cells <- 30; donors <- 24; genes <- 50
sample <- rep(seq_len(donors), each = cells)
saturation <- rnorm(donors * cells, 70, 5) + rnorm(donors, 0, 3)[sample]
frame <- data.frame(sample = sprintf("S%02d", sample), diagnosis = rep(c("Control", "AD"), 12)[sample], saturation)
for (gene in seq_len(genes)) {
  sd_slope <- c(0, 0.02, 0.05, 0.1)[1 + gene %% 4]
  slope <- rnorm(donors, 0.03, sd_slope)
  frame[[sprintf("g%02d", gene)]] <- round(1 + rnorm(donors, 0, 0.4)[sample] + slope[sample] * (saturation - 70) +
    0.1 * (gene %% 3) * (frame$diagnosis == "AD") + rnorm(donors * cells), 4)
}
write(frame, "slopes")
