# glmmTMB's log-likelihoods with and without `case`, of genes of data/counts.csv.gz, where samples of controls and of cases have variances of
# their own that are held at given SDs. Writes by_arm.json. Two minutes:  Rscript by_arm.R
suppressMessages({
  library(glmmTMB)
  library(jsonlite)
})
cells <- read.csv("data/counts.csv.gz", colClasses = c(sample = "character"))
cells$control <- 1 - cells$case
sds <- list(c(0.1, 0.1), c(0.1, 0.5), c(0.5, 0.1), c(0.3, 0.6), c(0.6, 0.3), c(0.8, 0.8))
loglik <- function(fixed, family, sd) {
  random <- "(0 + control | sample) + (0 + case | sample)"
  as.numeric(logLik(glmmTMB(as.formula(paste(fixed, "+", random)), cells, family, offset = cells$offset,
                            start = list(theta = log(sd)), map = list(theta = factor(c(NA, NA))))))
}
of_gene <- function(gene, family) {
  cells$y <<- cells[[gene]]
  found <- tryCatch(lapply(sds, function(sd) c(loglik("y ~ x + case", family, sd), loglik("y ~ x", family, sd))),
                    warning = function(w) NULL)
  list(gene = gene, family = if (family$family == "poisson") "poisson" else "negative_binomial", loglik = found)
}
genes <- sprintf("g%02d", c(4:15, 22:27))
found <- c(lapply(genes, of_gene, nbinom2()), lapply(genes, of_gene, poisson()))
found <- Filter(function(each) !is.null(each$loglik), found)
write_json(list(versions = list(R = R.version.string, glmmTMB = as.character(packageVersion("glmmTMB"))), sd = sds, genes = found),
           "by_arm.json", auto_unbox = TRUE, digits = NA, pretty = FALSE)
