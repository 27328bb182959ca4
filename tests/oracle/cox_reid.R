# SD between samples by glmmTMB's REML, of genes of data/counts.csv.gz, beside that by ML. Writes cox_reid.json. A minute:  Rscript cox_reid.R
suppressMessages({
  library(glmmTMB)
  library(jsonlite)
})
cells <- read.csv("data/counts.csv.gz", colClasses = c(sample = "character"))
sd_of <- function(gene, family, reml) {
  cells$y <- cells[[gene]]
  fit <- tryCatch(glmmTMB(y ~ x + case + (1 | sample), cells, family, offset = cells$offset, REML = reml), warning = function(w) NULL)
  if (is.null(fit)) NA else attr(VarCorr(fit)$cond$sample, "stddev")[[1]]
}
of_gene <- function(gene, family)
  list(gene = gene, family = if (family$family == "poisson") "poisson" else "negative_binomial",
       ml = sd_of(gene, family, FALSE), reml = sd_of(gene, family, TRUE))
genes <- sprintf("g%02d", c(4:15, 22:27))
found <- c(lapply(genes, of_gene, nbinom2()), lapply(genes, of_gene, poisson()))
write_json(list(versions = list(R = R.version.string, glmmTMB = as.character(packageVersion("glmmTMB"))), genes = found),
           "cox_reid.json", auto_unbox = TRUE, digits = NA, pretty = TRUE)
