# Contrasts of levels by emmeans and multcomp on fits by lme4 and glmmTMB; writes data/contrasts.csv and contrasts.json.
# Run from tests/oracle: Rscript contrasts.R

suppressMessages({library(lme4); library(lmerTest); library(pbkrtest); library(emmeans); library(multcomp); library(glmmTMB)
  library(MASS); library(jsonlite)})
options(contrasts = c("contr.treatment", "contr.poly"))
tight <- lmerControl(optimizer = "bobyqa", calc.derivs = FALSE,
  optCtrl = list(rhobeg = 0.2, rhoend = 1e-9, maxfun = 1e5))

# ---- 26 samples of 13 donors, unequal numbers of samples and of cells ---------------------------------------------
set.seed(20)
donors <- 13
sample_of <- data.frame(
  sample = sprintf("S%02d", 1:26), donor = rep(sprintf("P%02d", 1:donors), each = 2),
  diagnosis = rep(c("Control", "MCI", "AD", "AD", "Control", "MCI", "Control", "AD", "AD", "Control", "MCI", "AD", "Control"), each = 2),
  sex = rep(c("F", "M", "F", "M", "F", "F", "M", "F", "M", "M", "M", "F", "F"), each = 2),
  age = rep(c(61, 72, 68, 80, 75, 66, 71, 77, 63, 70, 69, 74, 82), each = 2),
  batch = rep(c("A", "B"), donors), CELLS = c(9, 14, 6, 22, 11, 8, 17, 10, 5, 13, 19, 7, 12))
cells <- sample_of[rep(1:26, sample_of$CELLS), names(sample_of) != "CELLS"]
n <- nrow(cells)
cells$plate <- sprintf("L%d", sample(7, n, replace = TRUE))
cells$saturation <- round(rnorm(n, 0, 0.1), 4)
effect <- c(Control = 0, MCI = 0.3, AD = 0.8)[cells$diagnosis] + 0.5 * (cells$sex == "M" & cells$diagnosis == "AD")
group <- rnorm(donors, 0, 0.4)[as.integer(factor(cells$donor))] + rnorm(26, 0, 0.3)[as.integer(factor(cells$sample))]
cells$y <- round(2 + effect + group + (2 + rnorm(13, 0, 3)[as.integer(factor(cells$donor))]) * cells$saturation + 0.3 * (cells$batch == "B") +
  rnorm(7, 0, 0.5)[as.integer(factor(cells$plate))] + rnorm(n, 0, 0.8), 6)
cells$count <- rnbinom(n, mu = exp(0.4 + effect / 2 + group / 2), size = 3)
write.csv(cells, "data/contrasts.csv", row.names = FALSE, quote = FALSE)
cells$diagnosis <- factor(cells$diagnosis, c("Control", "MCI", "AD"))
for (name in c("sample", "donor", "sex", "batch", "plate")) cells[[name]] <- factor(cells[[name]])

# ---- each contrast: its name here, emmeans's weights of a grid of means --------------------------------------------
three <- list("AD-Control" = c(-1, 0, 1), "AD - MCI" = c(0, -1, 1), "(AD+MCI)/2-Control" = c(-1, 0.5, 0.5), "MCI/2+AD/2-Control" = c(-1, 0.5, 0.5))
grid <- c("Control F", "MCI F", "AD F", "Control M", "MCI M", "AD M") # ~ diagnosis:sex, diagnosis first
weigh <- function(...) {given <- c(...); out <- setNames(numeric(6), grid); out[names(given)] <- given; unname(out)}
by_sex <- list(
  "AD-Control | sex=F" = weigh("AD F" = 1, "Control F" = -1),
  "AD - Control | sex = M" = weigh("AD M" = 1, "Control M" = -1),
  "(AD+MCI)/2-Control | sex=M" = weigh("AD M" = 0.5, "MCI M" = 0.5, "Control M" = -1),
  "(AD-Control | sex=M) - (AD-Control | sex=F)" = weigh("AD M" = 1, "Control M" = -1, "AD F" = -1, "Control F" = 1),
  "(AD-Control | sex=F)/2 + (AD-Control | sex=M)/2" = weigh("AD M" = 0.5, "Control M" = -0.5, "AD F" = 0.5, "Control F" = -0.5),
  "M - F | diagnosis=AD" = weigh("AD M" = 1, "AD F" = -1),
  "AD:M - Control:F" = weigh("AD M" = 1, "Control F" = -1))

cases <- list(
  three = list(f = y ~ saturation + diagnosis + (1 | sample), specs = ~ diagnosis, by = three),
  nested = list(f = y ~ saturation + batch + diagnosis + (1 | donor/sample), specs = ~ diagnosis, by = three),
  crossed = list(f = y ~ diagnosis + sex + (1 | donor) + (1 | plate), specs = ~ diagnosis, by = three),
  slopes = list(f = y ~ saturation + diagnosis + (1 + saturation | donor), specs = ~ diagnosis, by = three),
  sexes = list(f = y ~ saturation + diagnosis * sex + (1 | sample), specs = ~ diagnosis:sex, by = by_sex),
  ages = list(f = y ~ diagnosis * age + (1 | sample), specs = ~ diagnosis, at = list(age = 70),
    by = list("AD-Control | age=70" = c(-1, 0, 1), "AD - (MCI+Control)/2 | age=70" = c(-0.5, -0.5, 1))))

rows_of <- function(m, case) emmeans(m, case$specs, at = case$at)@linfct
fit <- function(f, reml) do.call(lmerTest::lmer, list(f, cells, REML = reml, control = tight))
reduced <- function(m, l) { # the model in which l b = 0, its columns a basis of what is left
  x <- getME(m, "X") %*% Null(t(l))
  bars <- paste(sapply(findbars(formula(m)), function(b) paste0("(", deparse(b), ")")), collapse = " + ")
  cells$x <<- x
  do.call(lme4::lmer, list(as.formula(paste("y ~ 0 + x +", bars)), cells, REML = FALSE, control = tight))
}
record <- function(case) {
  reml <- fit(case$f, TRUE); ml <- fit(case$f, FALSE)
  lapply(setNames(names(case$by), names(case$by)), function(name) {
    weights <- setNames(list(case$by[[name]]), "it")
    ask <- function(how) as.data.frame(contrast(emmeans(reml, case$specs, at = case$at, lmer.df = how), weights))
    satterthwaite <- ask("satterthwaite"); kr <- ask("kenward-roger")
    l <- matrix(case$by[[name]] %*% rows_of(ml, case), 1)
    less <- reduced(ml, l)
    stat <- max(0, 2 * as.numeric(logLik(ml) - logLik(less)))
    list(estimate = satterthwaite$estimate, se = satterthwaite$SE, df = satterthwaite$df, p = satterthwaite$p.value,
      se_kr = kr$SE, df_kr = kr$df, p_kr = kr$p.value, loglik = as.numeric(logLik(ml)), stat = stat,
      p_lrt = pchisq(stat, 1, lower.tail = FALSE))
  })
}
out <- lapply(cases, function(case) list(formula = deparse(case$f, width.cutoff = 200), contrasts = record(case)))

# ---- the words themselves, read by multcomp ------------------------------------------------------------------------
m <- fit(cases$three$f, TRUE)
words <- c("AD - Control", "(AD + MCI)/2 - Control", "AD - MCI", "0.25 * MCI + 0.75 * AD - Control")
asked <- glht(m, linfct = do.call(mcp, list(diagnosis = paste(words, "= 0"))))
out$words <- list(formula = out$three$formula, contrasts = lapply(setNames(seq_along(words), words), function(i)
  list(estimate = unname(coef(asked)[i]), se = unname(sqrt(diag(vcov(asked)))[i]))))

# ---- counts --------------------------------------------------------------------------------------------------------
counted <- function(case) {
  m <- glmmTMB(case$f, cells, family = nbinom2)
  l0 <- emmeans(m, case$specs)@linfct
  list(formula = deparse(case$f, width.cutoff = 200), contrasts = lapply(setNames(names(case$by), names(case$by)), function(name) {
    it <- as.data.frame(contrast(emmeans(m, case$specs), setNames(list(case$by[[name]]), "it")))
    cells$x <<- model.matrix(lme4::nobars(case$f), cells) %*% Null(t(matrix(case$by[[name]] %*% l0, 1)))
    less <- glmmTMB(count ~ 0 + x + (1 | sample), cells, family = nbinom2)
    stat <- 2 * as.numeric(logLik(m) - logLik(less))
    list(estimate = it$estimate, se = it$SE, loglik = as.numeric(logLik(m)), stat = stat, p_lrt = pchisq(stat, 1, lower.tail = FALSE))
  }))
}
out$counts <- counted(list(f = count ~ diagnosis + sex + (1 | sample), specs = ~ diagnosis, by = three))
out$counts_sexes <- counted(list(f = count ~ diagnosis * sex + (1 | sample), specs = ~ diagnosis:sex, by = by_sex))

out$versions <- c(list(R = R.version.string), sapply(c("lme4", "lmerTest", "pbkrtest", "emmeans", "multcomp", "glmmTMB"),
  function(name) as.character(packageVersion(name)), simplify = FALSE))
write(toJSON(out, digits = I(15), auto_unbox = TRUE, pretty = 1), "contrasts.json")
