# Count models with nested, crossed and slope terms, of 8 made-up genes each: what glmmTMB and lme4 say.
# Writes data/counts_general.csv.gz (cells) and counts_general.json. About ten minutes:  Rscript counts_general.R
suppressMessages({
  library(glmmTMB)
  library(lme4)
  library(jsonlite)
})
set.seed(51)

cells <- c(30, 22, 41, 35, 18, 27, 44, 31, 25, 38, 20, 33, 29, 36, 24, 40, 19, 28, 34, 26)
sample <- rep(seq_along(cells), cells)
n <- length(sample)
donor <- (sample + 1) %/% 2
case <- as.numeric(donor %% 2 == 0)
run <- 1 + sample.int(5, n, replace = TRUE) %% 5
x <- round(rnorm(n, 0.3, 1), 3)
offset <- round(rnorm(n, 0, 0.4) + rnorm(20, 0, 0.2)[sample], 3)
cell <- data.frame(donor, sample, run, case, x, offset)

means <- c(0.1, 0.4, 1, 3, 10, 1, 2, 0.6)
theta <- c(2, 2, 2, 2, 2, 0.3, Inf, 2)
# the last gene has no variance between groups
sd <- c(0.4, 0.4, 0.4, 0.4, 0.4, 0.4, 0.4, 0)
structures <- list(
  nested = list(random = "(1 | donor/sample)", effect = function(s) rnorm(10, 0, s)[donor] + rnorm(20, 0, s)[sample]),
  crossed = list(random = "(1 | sample) + (1 | run)", effect = function(s) rnorm(20, 0, s)[sample] + rnorm(5, 0, s)[run]),
  slope = list(random = "(1 + x | sample)", effect = function(s) {
    a <- rnorm(20, 0, s)
    a[sample] + (0.3 * a + rnorm(20, 0, s / 2))[sample] * x
  }),
  diagonal = list(random = "(1 + x || sample)", effect = function(s) rnorm(20, 0, s)[sample] + rnorm(20, 0, s / 2)[sample] * x)
)
genes <- list()
for (name in names(structures)) for (i in seq_along(means)) {
  mu <- exp(offset + log(means[i]) + structures[[name]]$effect(sd[i]) + 0.5 * case + 0.2 * x)
  y <- if (is.finite(theta[i])) rnbinom(n, size = theta[i], mu = mu) else rpois(n, mu)
  genes[[sprintf("%s%d", name, i)]] <- y
}
out <- gzfile("data/counts_general.csv.gz", "w")
write.csv(cbind(cell, as.data.frame(genes)), out, row.names = FALSE)
close(out)

quiet <- function(expression) {
  warned <- character()
  value <- tryCatch(
    withCallingHandlers(expression, warning = function(w) {
      warned <<- c(warned, conditionMessage(w))
      invokeRestart("muffleWarning")
    }),
    error = function(e) {
      warned <<- c(warned, conditionMessage(e))
      NULL
    }
  )
  list(value = value, warned = warned)
}
number <- function(value) if (length(value) == 1 && is.finite(value)) value else NA
formulas <- function(random) lapply(c("y ~ x + case + ", "y ~ x + "), function(fixed) as.formula(paste0(fixed, random)))
of <- function(end) if (is.null(end$value)) NA else number(as.numeric(logLik(end$value)))
sds <- function(parts) unname(unlist(lapply(parts, function(part) attr(part, "stddev"))))

tmb <- function(y, random, family) {
  data <- cbind(cell, y = y)
  control <- glmmTMBControl(optCtrl = list(iter.max = 1000, eval.max = 2000, rel.tol = 1e-13))
  # glmmTMB before 1.1.10 has (1 + x || g) as lme4 splits it
  ends <- lapply(formulas(sub("(1 + x || sample)", "(1 | sample) + (0 + x | sample)", random, fixed = TRUE)), function(formula) {
    quiet(glmmTMB(formula, data = data, family = family, offset = offset, control = control))
  })
  full <- ends[[1]]$value
  list(
    full = of(ends[[1]]), reduced = of(ends[[2]]),
    warned = unique(c(ends[[1]]$warned, ends[[2]]$warned)),
    coef = if (!is.null(full)) unname(fixef(full)$cond),
    se = if (!is.null(full)) unname(suppressWarnings(sqrt(diag(vcov(full)$cond)))),
    sd = if (!is.null(full)) sds(VarCorr(full)$cond),
    theta = if (!is.null(full)) sigma(full)
  )
}
glmer_of <- function(y, random, family) {
  data <- cbind(cell, y = y)
  control <- glmerControl(optimizer = "bobyqa", optCtrl = list(rhoend = 1e-9, maxfun = 1e5), tolPwrss = 1e-12)
  ends <- lapply(formulas(random), function(formula) {
    quiet(glmer(formula, data = data, family = family, offset = offset, control = control))
  })
  full <- ends[[1]]$value
  list(
    full = of(ends[[1]]), reduced = of(ends[[2]]),
    warned = unique(c(ends[[1]]$warned, ends[[2]]$warned)),
    coef = if (!is.null(full)) unname(fixef(full)),
    sd = if (!is.null(full)) sds(VarCorr(full))
  )
}
results <- list()
for (name in names(structures)) for (i in seq_along(means)) {
  gene <- sprintf("%s%d", name, i)
  random <- structures[[name]]$random
  y <- genes[[gene]]
  found <- as.numeric(y > 0)
  results[[length(results) + 1]] <- list(
    gene = gene, structure = name, random = random,
    poisson = tmb(y, random, poisson), negative_binomial = tmb(y, random, nbinom2), bernoulli = tmb(found, random, binomial),
    glmer_poisson = glmer_of(y, random, poisson), glmer_bernoulli = glmer_of(found, random, binomial)
  )
  message(gene)
}
versions <- list(
  R = R.version.string, glmmTMB = as.character(packageVersion("glmmTMB")), lme4 = as.character(packageVersion("lme4"))
)
write(toJSON(list(versions = versions, genes = results), auto_unbox = TRUE, digits = 12, na = "null", pretty = TRUE), "counts_general.json")
