# Size factors of made-up profiles by DESeq2: of all genes, and of those that nestde takes (controlGenes).
suppressMessages({library(DESeq2); library(jsonlite)})

set.seed(11)
genes <- 600
means <- rlnorm(genes, 1.5, 1.6)
depth <- c(1, 0.4, 2.5, 0.8, 1.7, 0.2)
counts <- sapply(depth, function(d) rnbinom(genes, mu = d * means * rlnorm(genes, 0, 0.2), size = 5))
counts[1:3, 4:6] <- counts[1:3, 4:6] + 3000

# abundant(): by their share of all samples' counts, 5 counts in the shallowest sample; and some in each
share <- rowMeans(t(t(counts) / colSums(counts)))
usable <- share * min(colSums(counts)) >= 5 & rowSums(counts == 0) == 0
whole <- estimateSizeFactorsForMatrix(counts)
chosen <- estimateSizeFactorsForMatrix(counts, controlGenes = which(usable))
write_json(
  list(
    versions = list(R = R.version.string, DESeq2 = as.character(packageVersion("DESeq2"))),
    counts = t(counts), usable = usable,
    size_factors = whole, control_genes = chosen / exp(mean(log(chosen)))
  ),
  "size_factors.json", digits = 17, auto_unbox = TRUE
)
