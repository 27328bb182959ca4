# edgeR's quasi-likelihood F test and limma-voom's moderated t test of pseudobulk profiles, for many labellings of the same samples.
#   Rscript peers.R FOLDER
# reads counts.tsv (genes x samples) and groups.tsv (labellings x samples: A, B or - for a sample that is left out),
# writes edger.tsv and voom.tsv (genes x labellings): p-values, no gene filtered.
suppressMessages({library(edgeR); library(limma)})
folder <- commandArgs(TRUE)[1]
counts <- as.matrix(read.delim(file.path(folder, "counts.tsv"), header = FALSE))
groups <- as.matrix(read.delim(file.path(folder, "groups.tsv"), header = FALSE, colClasses = "character"))
one <- function(labels) {
  used <- labels != "-"
  group <- factor(labels[used], levels = c("A", "B"))
  design <- model.matrix(~group)
  profiles <- calcNormFactors(DGEList(counts[, used], group = group))
  fit <- glmQLFit(estimateDisp(profiles, design), design)
  voomed <- eBayes(lmFit(voom(profiles, design), design))
  cbind(glmQLFTest(fit, coef = 2)$table$PValue, voomed$p.value[, 2])
}
found <- apply(groups, 1, one, simplify = FALSE)
for (i in 1:2) write.table(sapply(found, function(p) p[, i]), file.path(folder, c("edger.tsv", "voom.tsv")[i]),
                           sep = "\t", row.names = FALSE, col.names = FALSE)
cat("edgeR", as.character(packageVersion("edgeR")), "limma", as.character(packageVersion("limma")), "\n")
