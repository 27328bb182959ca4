# Profile-likelihood intervals of variance components and parametric bootstrap by lme4: writes variances.json.
# Run from tests/oracle: Rscript variances.R

suppressMessages({library(lme4); library(jsonlite)})
options(contrasts = c("contr.treatment", "contr.poly"))

cases <- list(
  dyestuff = list("dyestuff", Yield ~ 1 + (1 | Batch)),
  sleepstudy = list("sleepstudy", Reaction ~ Days + (Days | Subject)),
  sleepstudy_diagonal = list("sleepstudy", Reaction ~ Days + (Days || Subject)),
  pastes = list("pastes", strength ~ 1 + (1 | batch / cask)),
  penicillin = list("penicillin", diameter ~ 1 + (1 | plate) + (1 | sample)),
  images_eight = list("images_eight", y ~ diet * x + (x || animal / image))
)
tight <- lmerControl(optimizer = "bobyqa", calc.derivs = FALSE,
  optCtrl = list(rhobeg = 0.2, rhoend = 1e-9, maxfun = 1e5))

found <- list()
for (name in names(cases)) {
  frame <- read.csv(file.path("data", paste0(cases[[name]][[1]], ".csv")), stringsAsFactors = TRUE)
  formula <- cases[[name]][[2]]
  for (column in intersect(c("image", "cask", "animal", "Subject"), names(frame))) frame[[column]] <- factor(frame[[column]])
  model <- lmer(formula, frame, REML = FALSE, control = tight)
  # steps of zeta of 0.05 of the bound: the spline between them is exact to five digits
  limits <- tryCatch(
    suppressWarnings(confint(model, parm = "theta_", method = "profile", oldNames = FALSE, quiet = TRUE, delta = 0.1)),
    error = function(e) { message(name, ": ", conditionMessage(e)); NULL })
  # in images_eight, which is singular, lme4 1.1-31 finds no interval
  if (is.null(limits) || anyNA(limits)) next
  found[[name]] <- list(names = rownames(limits), lower = unname(limits[, 1]), upper = unname(limits[, 2]))
  print(name); print(limits)
}

# parametric bootstrap of REML fits: quantiles of 4,000 draws, and their mean and SD
boots <- list()
for (name in c("dyestuff", "sleepstudy")) {
  frame <- read.csv(file.path("data", paste0(cases[[name]][[1]], ".csv")), stringsAsFactors = TRUE)
  if (name == "sleepstudy") frame$Subject <- factor(frame$Subject)
  model <- lmer(cases[[name]][[2]], frame, REML = TRUE, control = tight)
  drawn <- suppressMessages(suppressWarnings(bootMer(model, function(m) as.data.frame(VarCorr(m))$sdcor, nsim = 4000, seed = 1)))
  boots[[name]] <- list(
    names = with(as.data.frame(VarCorr(model)), paste(grp, var1, var2)),
    mean = colMeans(drawn$t, na.rm = TRUE), sd = apply(drawn$t, 2, sd, na.rm = TRUE),
    quantiles = unname(apply(drawn$t, 2, quantile, c(.025, .25, .5, .75, .975), na.rm = TRUE)))
}
write_json(list(
  versions = list(R = R.version.string, lme4 = as.character(packageVersion("lme4"))),
  profile = found, bootstrap = boots), "variances.json", digits = 10, auto_unbox = TRUE, pretty = TRUE)
