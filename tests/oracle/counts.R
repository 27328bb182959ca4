# Poisson, negative binomial and binomial mixed models of 66 made-up genes, many of them hard: what glmmTMB and lme4 say.
# Writes data/counts.csv.gz (cells) and counts.json. About ten minutes:  Rscript counts.R
suppressMessages({
  library(glmmTMB)
  library(lme4)
  library(jsonlite)
})
set.seed(15)

cells <- c(12, 75, 30, 44, 18, 61, 25, 50, 39, 70, 15, 41)
sample <- rep(seq_along(cells), cells)
n <- length(sample)
case <- as.numeric(sample %% 2 == 0)
x <- round(rnorm(n, 0, 1), 3)
offset <- round(rnorm(n, 0, 0.4) + rnorm(12, 0, 0.2)[sample], 3)
wide <- round(runif(n, -2, 2), 3)

draw <- function(mean, sd, theta, effect = 0.5, slope = 0.2, off = offset) {
  mu <- exp(off + log(mean) + rnorm(12, 0, sd)[sample] + effect * case + slope * x)
  if (is.finite(theta)) rnbinom(n, size = theta, mu = mu) else rpois(n, mu)
}
genes <- list()
kind <- character()
add <- function(name, y) {
  genes[[length(genes) + 1]] <<- y
  kind <<- c(kind, name)
}
for (mean in c(0.05, 0.2, 1, 5, 20)) for (sd in c(0.1, 0.3, 0.8)) add("plain", draw(mean, sd, 2))
for (i in 1:6) add("rare", draw(0.005 * i, 0.3, 1))
for (i in 1:6) add("poisson", draw(c(0.1, 0.5, 1, 2, 5, 10)[i], 0.3, Inf))
for (i in 1:6) add("dispersed", draw(c(0.3, 0.5, 1, 2, 5, 10)[i], 0.3, 0.05))
for (i in 1:6) add("still", draw(c(0.1, 0.3, 0.5, 1, 2, 5)[i], 0, 2))
for (i in 1:6) add("both still", draw(c(0.1, 0.3, 0.5, 1, 2, 5)[i], 0, Inf))
for (i in 1:6) add("wide", draw(c(0.05, 0.1, 0.3, 1, 3, 10)[i], 0.3, 2, off = wide))
for (i in 1:3) add("one count", as.numeric(seq_len(n) == 37 * i))
for (i in 1:3) add("one cell", ifelse(seq_len(n) == 41 * i, 500, 0))
for (i in 1:3) add("no count in an arm", draw(c(0.1, 0.5, 2)[i], 0.3, 2) * (1 - case))
for (i in 1:3) add("no count in samples", draw(c(0.3, 1, 5)[i], 0.3, 2) * !(sample %in% c(1, 4, 9)))
for (i in 1:3) add("large", draw(c(100, 300, 1000)[i], 0.4, 3))

cell <- data.frame(sample, case, x, offset, wide)
frame <- cbind(cell, setNames(as.data.frame(genes), sprintf("g%02d", seq_along(genes))))
out <- gzfile("data/counts.csv.gz", "w")
write.csv(frame, out, row.names = FALSE)
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

tmb <- function(y, off, family) {
  data <- cbind(cell, y = y, off = off)
  control <- glmmTMBControl(optCtrl = list(iter.max = 1000, eval.max = 2000, rel.tol = 1e-13))
  ends <- lapply(list(y ~ x + case + (1 | sample), y ~ x + (1 | sample)), function(formula) {
    quiet(glmmTMB(formula, data = data, family = family, offset = off, control = control))
  })
  of <- function(end) if (is.null(end$value)) NA else number(as.numeric(logLik(end$value)))
  full <- ends[[1]]$value
  list(
    full = of(ends[[1]]), reduced = of(ends[[2]]),
    warned = unique(c(ends[[1]]$warned, ends[[2]]$warned)),
    coef = if (!is.null(full)) unname(fixef(full)$cond),
    se = if (!is.null(full)) unname(suppressWarnings(sqrt(diag(vcov(full)$cond)))),
    sd = if (!is.null(full)) attr(VarCorr(full)$cond$sample, "stddev")[[1]],
    theta = if (!is.null(full)) sigma(full)
  )
}
glmer_of <- function(y, off, family, nodes) {
  data <- cbind(cell, y = y, off = off)
  control <- glmerControl(optimizer = "bobyqa", optCtrl = list(rhoend = 1e-9, maxfun = 1e5), tolPwrss = 1e-12)
  ends <- lapply(list(y ~ x + case + (1 | sample), y ~ x + (1 | sample)), function(formula) {
    quiet(glmer(formula, data = data, family = family, offset = off, nAGQ = nodes, control = control))
  })
  full <- ends[[1]]$value
  of <- function(end) if (is.null(end$value)) NA else number(as.numeric(logLik(end$value)))
  list(
    full = of(ends[[1]]), reduced = of(ends[[2]]),
    warned = unique(c(ends[[1]]$warned, ends[[2]]$warned)),
    coef = if (!is.null(full)) unname(fixef(full)),
    sd = if (!is.null(full)) attr(VarCorr(full)$sample, "stddev")[[1]]
  )
}
results <- lapply(seq_along(genes), function(g) {
  y <- genes[[g]]
  off <- if (kind[g] == "wide") wide else offset
  found <- as.numeric(y > 0)
  list(
    gene = sprintf("g%02d", g), kind = kind[g], offset = if (kind[g] == "wide") "wide" else "offset",
    poisson = tmb(y, off, poisson), negative_binomial = tmb(y, off, nbinom2), bernoulli = tmb(found, off, binomial),
    glmer_poisson = glmer_of(y, off, poisson, 1), glmer_bernoulli = glmer_of(found, off, binomial, 1)
  )
})
versions <- list(
  R = R.version.string, glmmTMB = as.character(packageVersion("glmmTMB")), lme4 = as.character(packageVersion("lme4"))
)
write(toJSON(list(versions = versions, genes = results), auto_unbox = TRUE, digits = 12, na = "null", pretty = TRUE), "counts.json")
