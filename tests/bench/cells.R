# Mixed models of single cells, gene by gene: lme4 on log(1 + counts per size factor), glmmTMB's negative binomial on counts.
#   Rscript cells.R FOLDER
# reads counts.tsv (genes x cells) and cells.tsv (sample, arm, factor); writes glmmtmb.tsv (Wald p of arm, a gene a line) and
# times.tsv: processor seconds of all genes, with and without arm, by lmer and by glmmTMB; prints versions.
suppressMessages({library(lme4); library(glmmTMB)})
folder <- commandArgs(TRUE)[1]
counts <- as.matrix(read.delim(file.path(folder, "counts.tsv"), header = FALSE))
cells <- read.delim(file.path(folder, "cells.tsv"))
quiet <- function(expression) suppressMessages(suppressWarnings(expression))
linear <- system.time(for (g in seq_len(min(nrow(counts), 20))) quiet({
  cells$y <- log1p(counts[g, ] / cells$factor)
  full <- lmer(y ~ arm + (1 | sample), cells, REML = FALSE)
  reduced <- lmer(y ~ 1 + (1 | sample), cells, REML = FALSE)
}))
p <- numeric(nrow(counts))
both <- system.time(for (g in seq_len(nrow(counts))) quiet({
  cells$y <- counts[g, ]
  full <- glmmTMB(y ~ arm + (1 | sample) + offset(log(factor)), cells, family = nbinom2)
  reduced <- glmmTMB(y ~ 1 + (1 | sample) + offset(log(factor)), cells, family = nbinom2)
  p[g] <- summary(full)$coefficients$cond["armB", 4]
}))
write.table(p, file.path(folder, "glmmtmb.tsv"), row.names = FALSE, col.names = FALSE)
seconds <- c(sum(linear[1:2]) / min(nrow(counts), 20), sum(both[1:2]) / nrow(counts))
write.table(seconds, file.path(folder, "times.tsv"), row.names = FALSE, col.names = FALSE)
cat("lme4", as.character(packageVersion("lme4")), "glmmTMB", as.character(packageVersion("glmmTMB")), "\n")
