# What R makes of formulas: model matrices, responses, labels of cut(), for tests/unit/design/test_formula_oracle.py.
# Run from tests/oracle: Rscript formula.R

suppressMessages({library(splines); library(jsonlite)})
options(contrasts = c("contr.treatment", "contr.poly"))
set.seed(11)
n <- 40
frame <- data.frame(
  a = rep(c("a2", "a1"), length.out = n), b = sample(c("b1", "b2", "b3"), n, TRUE), d = sample(c("u", "v"), n, TRUE),
  x = round(rnorm(n, 70, 10), 2), z = round(rexp(n, 0.2), 3) + 0.1, k = sample(c(1, 2, 10), n, TRUE)
)
kept <- frame
frame[c("a", "b", "d")] <- lapply(frame[c("a", "b", "d")], factor)

# the same columns in the same order
same <- c(
  "x + a", "a*x", "a*b", "a*b*d", "(a + b + d)^2", "(a + b + d)^2 - a:b", "a*b*d - a:b:d", "0 + a + x", "-1 + x + a",
  "(0 + x) + a", "a - (b + a) + x", "x:z + x", "a:x", "I(x^2)", "x + I(x^2 - 2*z)", "I(-x^2)", "I(2^-1 * x)",
  "I(x^2^0.5)", "I(x %% 7)", "I(x %/% 7)", "log(x) + log1p(z)", "log2(x) + log10(z) + sqrt(z) + exp(-z) + abs(x - 70)",
  "factor(k)", "as.factor(k) + x", "relevel(b, ref = 'b2') + x", "relevel(factor(k), ref = '10')", "poly(x, 2)",
  "poly(x, degree = 4)", "poly(x, 3, raw = TRUE)", "ns(x, df = 3)", "ns(x, knots = c(65, 78))", "ns(x, df = 1)",
  "ns(z, df = 4)*a", "ns(x, df = 2, Boundary.knots = c(20, 120))", "bs(x, df = 4)", "bs(x)", "bs(x, knots = 70, degree = 2)",
  "scale(x)", "scale(x, center = FALSE)", "scale(x, scale = FALSE)", "cut(x, breaks = c(0, 65, 75, 200))", "cut(x, 3)",
  "cut(x, c(-Inf, 70, 75, Inf), right = FALSE)", "cut(x, c(0, 65, 200), labels = c('lo', 'hi'))*a", "C(b, contr.sum)",
  "C(b, contr.SAS)", "C(b, contr.poly)", "log(x):a", "pmin(x, 70) + pmax(z, 3)", "ifelse(x > 70, x, 70)", "asinh(z)"
)
# another coding of the same space
span <- c("a/b", "(a + b)/x", "a/(x + z)", "a + b %in% a", "a*b - a", "0 + a:b", "0 + x + x:a", "a/b/d", "a:b + a", "(a*b)^2",
          "C(b, contr.helmert)", "ns(x, df = 4, intercept = TRUE)", "0 + ns(x, df = 4, intercept = TRUE)",
          "bs(x, df = 5, intercept = TRUE)", "I(x > 70)", "I(a == 'a1')", "I(x > 60 & !(z > 4) | d == 'u')", "0 + a*b")
response <- c("x", "x - z", "x^2", "log(x) - log(z)", "x*2", "(x + z)/2", "-x", "2^x", "sqrt(z)", "x %% 7", "x - z - 3", "x/z/2")

plain <- function(m) unname(lapply(seq_len(ncol(m)), function(j) as.numeric(m[, j])))
matrices <- function(formulas) lapply(setNames(nm = formulas), function(f) plain(model.matrix(as.formula(paste("~", f)), frame)))
write_json(list(
  versions = R.version.string, frame = kept, same = matrices(same), span = matrices(span),
  response = lapply(setNames(nm = response), function(f) model.response(model.frame(as.formula(paste(f, "~ 1")), frame))),
  cut = list("3" = levels(cut(frame$x, 3)), "c(0, 65, 75, 200)" = levels(cut(frame$x, c(0, 65, 75, 200))),
             "c(-100, 55.55554, 55.55556, 200)" = levels(cut(frame$x, c(-100, 55.55554, 55.55556, 200))),
             "c(30, 70, 110), include.lowest = TRUE" = levels(cut(frame$x, c(30, 70, 110), include.lowest = TRUE)),
             "c(30, 70, 110), right = FALSE, include.lowest = TRUE" = levels(cut(frame$x, c(30, 70, 110), right = FALSE, include.lowest = TRUE)))
), "formula/matrices.json", digits = 15, auto_unbox = TRUE)
