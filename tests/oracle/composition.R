# Moderated tests of cell types' shares as propeller makes them: logits of shares, limma's lmFit and eBayes (not robust).
# Rscript composition.R > composition.json
suppressPackageStartupMessages({library(limma); library(jsonlite)})
set.seed(7)
types <- c("B", "CD4", "CD8", "Mono", "NK", "rare")
samples <- sprintf("S%02d", 1:12)
group <- rep(c("Control", "MCI", "AD"), each = 4)
age <- round(rnorm(12, 70, 8))
donor <- rep(c("d1", "d2", "d3", "d4"), 3)
base <- c(.15, .3, .2, .2, .14, .01)
counts <- t(sapply(1:12, function(i) {
  p <- base * exp(rnorm(6, 0, .3)); if (group[i] == "AD") p[4] <- p[4] * 2
  rmultinom(1, sample(c(150, 900, 2500), 1), p / sum(p))
}))
dimnames(counts) <- list(samples, types)
added <- counts + .5
p <- added / rowSums(added)
y <- t(log(p / (1 - p)))
treated <- function(g) factor(g, levels = c("Control", "MCI", "AD"))
case <- function(name, formula, design, rows) {
  fit <- lmFit(y, design)
  told <- lapply(seq_len(nrow(rows)), function(i) {
    f <- eBayes(contrasts.fit(fit, rows[i, ]))
    list(coef = f$coefficients[, 1], se = (f$stdev.unscaled * sqrt(f$s2.post))[, 1], p = f$p.value[, 1], df = f$df.total[1])
  })
  whole <- eBayes(contrasts.fit(fit, t(rows[seq_len(min(2, nrow(rows))), , drop = FALSE])))
  # limma bounds the degrees of freedom of its t tests by those of all rows together, and not those of its F test: here both are
  joint <- pf(whole$F, 2, whole$df.total, lower.tail = FALSE)
  list(name = name, formula = formula, pairs = told, joint = joint)
}
g <- treated(group)
d1 <- model.matrix(~ age + g)
d2 <- model.matrix(~ g + donor)
pairs <- function(d) { r <- matrix(0, 3, ncol(d)); m <- which(colnames(d) == "gMCI"); a <- which(colnames(d) == "gAD")
  r[1, m] <- 1; r[2, a] <- 1; r[3, a] <- 1; r[3, m] <- -1; r }
out <- list(
  versions = list(R = R.version.string, limma = as.character(packageVersion("limma"))),
  samples = data.frame(sample_id = samples, diagnosis = group, age = age, donor = donor),
  counts = as.data.frame(counts),
  cases = list(
    case("age", "~ age + diagnosis + (1 | sample_id)", d1, pairs(d1)),
    case("paired", "~ diagnosis + (1 | donor) + (1 | sample_id)", d2, pairs(d2))
  )
)
cat(toJSON(out, digits = 15, auto_unbox = TRUE, pretty = TRUE), "\n")
