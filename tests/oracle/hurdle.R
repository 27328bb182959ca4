# The continuous part of hurdle models by lme4: ln(1 + count / size factor) of the cells that have a count, of the genes of counts.R,
# whose bernoulli fits are the other part. Reads data/counts.csv.gz, writes hurdle.json. About a minute:  Rscript hurdle.R
suppressMessages({
  library(lme4)
  library(jsonlite)
})
frame <- read.csv("data/counts.csv.gz")
kinds <- fromJSON("counts.json", simplifyDataFrame = FALSE)$genes
best <- function(formula, data, reml) {
  controls <- list(
    lmerControl(optimizer = "bobyqa", optCtrl = list(rhobeg = 0.2, rhoend = 1e-9, maxfun = 1e5)),
    lmerControl(optimizer = "Nelder_Mead", optCtrl = list(FtolAbs = 1e-13, FtolRel = 1e-15, XtolRel = 1e-10, maxfun = 1e5)),
    lmerControl()
  )
  fits <- lapply(controls, function(control) {
    tryCatch(suppressMessages(suppressWarnings(lmer(formula, data = data, REML = reml, control = control))), error = function(e) NULL)
  })
  fits <- Filter(Negate(is.null), fits)
  if (length(fits) == 0) return(NULL)
  fits[[which.max(sapply(fits, function(fit) as.numeric(logLik(fit))))]]
}
genes <- lapply(kinds, function(gene) {
  count <- frame[[gene$gene]]
  data <- data.frame(sample = factor(frame$sample), case = frame$case, x = frame$x, y = log1p(count / exp(frame[[gene$offset]])))[count > 0, ]
  out <- list(gene = gene$gene, kind = gene$kind, offset = gene$offset, cells = nrow(data), samples = length(unique(data$sample)))
  if (nrow(data) < 3) return(out)
  full <- best(y ~ x + case + (1 | sample), data, FALSE)
  reduced <- best(y ~ x + (1 | sample), data, FALSE)
  reml <- best(y ~ x + case + (1 | sample), data, TRUE)
  if (is.null(full) || length(fixef(full)) < 3) return(out)
  c(out, list(
    full = as.numeric(logLik(full)), reduced = as.numeric(logLik(reduced)), reml = as.numeric(logLik(reml)),
    coef = unname(fixef(reml)), se = unname(sqrt(diag(as.matrix(vcov(reml))))),
    sd = attr(VarCorr(reml)$sample, "stddev")[[1]], sigma = sigma(reml)
  ))
})
versions <- list(R = R.version.string, lme4 = as.character(packageVersion("lme4")))
write(toJSON(list(versions = versions, genes = genes), auto_unbox = TRUE, digits = 13, na = "null", pretty = TRUE), "hurdle.json")
