# Crossed factors of many levels: writes data/insteval.csv.gz, data/crossed*.csv.gz and crossed/<case>.json.
# Run from tests/oracle: Rscript crossed.R [case …]

suppressMessages({library(lme4); library(lmerTest); library(jsonlite)})
options(contrasts = c("contr.treatment", "contr.poly"))

# ---- data -----------------------------------------------------------------------------------------------------

write <- function(frame, name) {
  file <- gzfile(file.path("data", paste0(name, ".csv.gz")), "w")
  write.csv(frame, file, row.names = FALSE, quote = FALSE)
  close(file)
}

# People in sites and items, each pair seen with some probability; a covariate of the row. `still` has no item variance.
study <- function(people, items, share, sites) {
  frame <- expand.grid(person = seq_len(people), item = seq_len(items))
  # some are seen more often than others
  often <- share * rgamma(people, 3, 3)[frame$person]
  frame <- frame[runif(nrow(frame)) < often, ]
  site <- (frame$person - 1) %/% (people / sites) + 1
  x <- rnorm(nrow(frame), 5, 1)
  common <- 1 + 0.1 * x + rnorm(sites, 0, 0.4)[site] + rnorm(people, 0, 0.5)[frame$person]
  slopes <- (rnorm(people, 0, 0.2)[frame$person] + rnorm(items, 0, 0.15)[frame$item]) * (x - 5)
  noise <- rnorm(nrow(frame))
  data.frame(person = sprintf("P%03d", frame$person), item = sprintf("I%03d", frame$item), site = sprintf("S%02d", site),
    x = round(x, 3), y = round(common + slopes + rnorm(items, 0, 0.3)[frame$item] + noise, 3),
    still = round(common + noise, 3))
}

if (!length(commandArgs(TRUE))) {
  levels <- lapply(InstEval[c("s", "d", "dept")], as.integer)
  write(data.frame(s = paste0("s", levels$s), d = paste0("d", levels$d), dept = paste0("u", levels$dept),
    service = ifelse(InstEval$service == "1", "yes", "no"), y = InstEval$y), "insteval")
  for (seed in 20:60) { # the first seed whose variance between items is estimated as zero, if there is none
    set.seed(seed)
    frame <- study(100, 100, 0.3, 10)
    if (isSingular(suppressMessages(lmer(still ~ x + (1 | person) + (1 | item), frame)))) break
  }
  write(frame, "crossed")
  set.seed(3); write(study(200, 200, 0.1, 10), "crossed_200")
}

# ---- fits -----------------------------------------------------------------------------------------------------

controls <- list(
  default = lmerControl(),
  bobyqa = lmerControl(optimizer = "bobyqa", calc.derivs = FALSE,
    optCtrl = list(rhobeg = 0.2, rhoend = 1e-9, maxfun = 1e5)),
  restart = lmerControl(optimizer = "nloptwrap", calc.derivs = FALSE,
    optCtrl = list(algorithm = "NLOPT_LN_BOBYQA", xtol_abs = 1e-12, ftol_abs = 1e-14, maxeval = 1e5))
)
quiet <- function(expr) suppressWarnings(suppressMessages(expr))

best <- function(formula, frame, reml) {
  fits <- list()
  top <- function() names(which.max(sapply(fits, function(f) as.numeric(logLik(f)))))
  for (how in names(controls)) {
    start <- if (how == "restart") getME(fits[[top()]], "theta")
    fits[[how]] <- quiet(do.call(lme4::lmer,
      list(formula = formula, data = frame, REML = reml, control = controls[[how]], start = start)))
  }
  list(fit = fits[[top()]], by = top(), default = as.numeric(logLik(fits$default)))
}

record <- function(found) {
  model <- found$fit
  list(loglik = as.numeric(logLik(model)), loglik_default = found$default, by = found$by,
    singular = isSingular(model, tol = 1e-5), theta = as.list(getME(model, "theta")), sigma = sigma(model),
    coef = as.list(fixef(model)), se = unname(sqrt(diag(as.matrix(vcov(model))))),
    modes = lapply(ranef(model), function(u) as.list(setNames(u[1:3, 1], rownames(u)[1:3]))))
}

satterthwaite <- function(model) {
  tested <- quiet(as_lmerModLmerTest(model, tol = 1e-6))
  rows <- diag(length(fixef(model)))
  lapply(seq_along(fixef(model)), function(j) {
    s <- contest(tested, rows[j, , drop = FALSE], joint = TRUE, ddf = "Satterthwaite")
    list(F = s[["F value"]], df = s[["DenDF"]], p = s[["Pr(>F)"]])
  })
}

cases <- list(
  insteval = list(data = "insteval", r = y ~ 1 + (1 | s) + (1 | d) + (1 | dept)),
  insteval_service = list(data = "insteval", r = y ~ service + (1 | s) + (1 | d) + (1 | dept)),
  unbalanced = list(data = "crossed", r = y ~ x + (1 | person) + (1 | item)),
  singular = list(data = "crossed", r = still ~ x + (1 | person) + (1 | item)),
  nested = list(data = "crossed", r = y ~ x + (1 | site / person) + (1 | item)),
  slopes = list(data = "crossed", r = y ~ x + (x | person) + (x | item)),
  two_hundred = list(data = "crossed_200", r = y ~ x + (1 | person) + (1 | item))
)

wanted <- commandArgs(TRUE)
for (name in names(cases)) if (!length(wanted) || name %in% wanted) {
  case <- cases[[name]]
  start <- Sys.time()
  frame <- read.csv(file.path("data", paste0(case$data, ".csv.gz")), stringsAsFactors = TRUE)
  ml <- best(case$r, frame, FALSE)
  reml <- best(case$r, frame, TRUE)
  versions <- sapply(c("lme4", "lmerTest"), function(p) as.character(packageVersion(p)))
  content <- list(data = case$data, formula = deparse1(case$r), ml = record(ml), reml = record(reml))
  content$reml$satterthwaite <- satterthwaite(reml$fit)
  content$versions <- as.list(c(R = R.version.string, versions))
  writeLines(toJSON(content, auto_unbox = TRUE, digits = NA, pretty = TRUE), file.path("crossed", paste0(name, ".json")))
  cat(name, format(Sys.time() - start), "\n")
}
