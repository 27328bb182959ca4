# What fitted models tell besides their estimates: random effects, fitted values, predictions, intervals; by lme4 and glmmTMB.
# Run from tests/oracle: Rscript results.R; writes results.json

suppressMessages({library(lme4); library(glmmTMB); library(splines); library(jsonlite)})
options(contrasts = c("contr.treatment", "contr.poly"))
tight <- lmerControl(optimizer = "bobyqa", calc.derivs = FALSE, optCtrl = list(rhobeg = 0.2, rhoend = 1e-10, maxfun = 1e5))
cells <- read.csv("data/contrasts.csv")
cells$diagnosis <- factor(cells$diagnosis, c("Control", "MCI", "AD"))
cells$shift <- cells$age / 100
sleep <- read.csv("data/sleepstudy.csv")

# rows that were not fitted: other values, other combinations; the last two of a donor, sample and subject that were not seen
new_cells <- cells[c(1, 40, 100, 200, 250, 30, 31), ]
new_cells$age <- c(65, 70, 75, 66, 80, 61.5, 72)
new_cells$saturation <- c(0.05, -0.1, 0, 0.12, -0.02, 0.03, 0.08)
new_cells$diagnosis <- factor(c("AD", "AD", "MCI", "Control", "MCI", "AD", "Control"), levels(cells$diagnosis))
new_cells$shift <- new_cells$age / 100
new_cells$donor[6:7] <- "new"; new_cells$sample[6:7] <- c("new1", "new2")
new_sleep <- data.frame(Subject = c("308", "309", "337", "none"), Days = c(10, 2.5, 0, 3))

linear <- list(
  sleep = list(f = Reaction ~ Days + (Days | Subject), data = "sleepstudy", profile = TRUE),
  nested = list(f = y ~ saturation + batch + diagnosis + (1 | donor/sample), data = "contrasts", profile = TRUE),
  crossed = list(f = y ~ diagnosis + (1 | donor) + (1 | plate), data = "contrasts", profile = TRUE),
  curved = list(f = y ~ poly(age, 2) + scale(saturation) + diagnosis + (1 | donor), data = "contrasts"),
  spline = list(f = y ~ ns(saturation, df = 3) + diagnosis * sex + (1 + saturation | donor), data = "contrasts"))
counted <- list(
  nb = list(f = count ~ diagnosis + sex + (1 | sample) + offset(shift), family = nbinom2),
  nb_crossed = list(f = count ~ diagnosis + (1 | sample) + (1 | plate), family = nbinom2),
  poisson_nested = list(f = count ~ diagnosis + scale(age) + (1 | donor/sample), family = poisson))

table_of <- function(x) lapply(x, function(part) lapply(as.list(as.data.frame(t(part))), function(row) setNames(as.list(row), colnames(part))))

rows_of <- function(case) if (case$data == "sleepstudy") list(sleep, new_sleep) else list(cells, new_cells)
record <- function(case) {
  d <- rows_of(case); old <- d[[1]]; new <- d[[2]]
  out <- list(formula = deparse(case$f, width.cutoff = 200), data = case$data)
  for (reml in c(TRUE, FALSE)) {
    m <- do.call(lmer, list(case$f, old, REML = reml, control = tight))
    r <- ranef(m, condVar = FALSE)
    fit <- list(fixef = as.list(fixef(m)), ranef = table_of(r), fitted = unname(fitted(m)),
      predict = unname(predict(m, new, allow.new.levels = TRUE)), predict_fixed = unname(predict(m, new, re.form = NA)), sigma = sigma(m))
    if (isTRUE(case$profile)) {
      ci <- confint(m, method = "profile", quiet = TRUE)
      fit$profile <- lapply(setNames(rownames(ci), rownames(ci)), function(i) unname(ci[i, ]))
    }
    out[[if (reml) "reml" else "ml"]] <- fit
  }
  out
}
count <- function(case) {
  m <- glmmTMB(case$f, cells, family = case$family)
  pr <- function(...) unname(predict(m, ..., allow.new.levels = TRUE))
  list(formula = deparse(case$f, width.cutoff = 200), loglik = as.numeric(logLik(m)), fixef = as.list(fixef(m)$cond), ranef = table_of(ranef(m)$cond),
    fitted = unname(fitted(m)), link = pr(new_cells, type = "link"), response = pr(new_cells, type = "response"),
    link_fixed = pr(new_cells, type = "link", re.form = NA))
}
out <- list(linear = lapply(linear, record), counted = lapply(counted, count), new_sleep = new_sleep,
  new_cells = new_cells[c("sample", "donor", "diagnosis", "sex", "age", "batch", "plate", "saturation", "shift")])
out$versions <- c(list(R = R.version.string), sapply(c("lme4", "glmmTMB"), function(name) as.character(packageVersion(name)), simplify = FALSE))
write(toJSON(out, digits = I(12), auto_unbox = TRUE), "results.json")
