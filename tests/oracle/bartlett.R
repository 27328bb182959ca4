# Mean likelihood ratio of counts drawn from a fit without what is tested, by glmmTMB: Bartlett's factor of four genes of data/counts.csv.gz.
# Writes bartlett.json. About fifteen minutes:  Rscript bartlett.R
suppressMessages({
  library(glmmTMB)
  library(jsonlite)
})
DRAWS <- 300
cells <- read.csv("data/counts.csv.gz", colClasses = c(sample = "character"))

ratio <- function(y, family) {
  cells$y <- y
  ends <- lapply(c("y ~ x + case + (1 | sample)", "y ~ x + (1 | sample)"), function(formula)
    suppressWarnings(tryCatch(as.numeric(logLik(glmmTMB(as.formula(formula), cells, family, offset = cells$offset))), error = function(e) NA)))
  2 * (ends[[1]] - ends[[2]])
}
of_gene <- function(gene, family) {
  cells$y <- cells[[gene]]
  reduced <- glmmTMB(y ~ x + (1 | sample), cells, family, offset = cells$offset)
  set.seed(4)
  drawn <- simulate(reduced, DRAWS)
  stat <- sapply(drawn, function(y) ratio(if (is.matrix(y)) y[, 1] else y, family))
  told <- is.finite(stat) & stat > -1e-4
  list(gene = gene, family = if (family$family == "poisson") "poisson" else "negative_binomial",
       draws = sum(told), mean = mean(stat[told]), se = sd(stat[told]) / sqrt(sum(told)))
}
found <- c(lapply(c("g05", "g08", "g12"), of_gene, nbinom2()), lapply("g24", of_gene, poisson()))
write_json(list(versions = list(R = R.version.string, glmmTMB = as.character(packageVersion("glmmTMB"))), genes = found),
           "bartlett.json", auto_unbox = TRUE, digits = NA, pretty = TRUE)
