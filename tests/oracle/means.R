# Moderated t and F tests by limma on made-up sample means; writes means.json. Run from tests/oracle: Rscript means.R

suppressMessages({library(limma); library(jsonlite)})

record <- function(y, design, level, joint) {
  fit <- eBayes(lmFit(y, design))
  total <- fit$df.total
  estimate <- fit$coefficients[, joint, drop = FALSE]
  within <- solve(fit$cov.coefficients[joint, joint])
  f <- rowSums((estimate %*% within) * estimate) / length(joint) / fit$s2.post
  list(y = y, design = unname(design), level = level - 1, joint = joint - 1, df_prior = fit$df.prior, s2_post = fit$s2.post,
       df_total = total[1], p_level = fit$p.value[, level], p_joint = pf(f, length(joint), total, lower.tail = FALSE))
}

set.seed(3)
samples <- 12
stage <- factor(rep(c("I", "II", "III"), 4))
age <- round(rnorm(samples, 70, 8), 1)
design <- model.matrix(~ age + stage)
draw <- function(genes, sd) signif(matrix(rnorm(genes * samples), genes) * sd + 0.01 * outer(rep(1, genes), age), 12)
cases <- list(
  mixed = record(draw(40, exp(rnorm(40, -1, 0.5))), design, 3, 3:4),
  alike = record(draw(40, 0.3), design, 3, 3:4),
  wild = record(draw(25, exp(rnorm(25, 0, 3))), design, 4, 3:4)
)
versions <- list(R = R.version.string, limma = as.character(packageVersion("limma")))
write(toJSON(c(cases, list(versions = versions)), digits = I(17), auto_unbox = TRUE), "means.json")
