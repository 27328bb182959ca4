# Fits every case with lme4 (and nlme where the factors are nested) and writes <case>.json.
# Run from tests/oracle: Rscript fits.R [case …]

suppressMessages({library(lme4); library(lmerTest); library(pbkrtest); library(nlme); library(jsonlite)})
options(contrasts = c("contr.treatment", "contr.poly"))

# ---- the best optimum that R finds ----------------------------------------------------------------------------

controls <- list(
  default = lmerControl(),
  bobyqa = lmerControl(optimizer = "bobyqa", calc.derivs = FALSE,
    optCtrl = list(rhobeg = 0.2, rhoend = 1e-9, maxfun = 1e5)),
  nloptwrap = lmerControl(optimizer = "nloptwrap", calc.derivs = FALSE,
    optCtrl = list(algorithm = "NLOPT_LN_BOBYQA", xtol_abs = 1e-12, ftol_abs = 1e-14, maxeval = 1e5)),
  neldermead = lmerControl(optimizer = "Nelder_Mead", calc.derivs = FALSE,
    optCtrl = list(FtolAbs = 1e-14, FtolRel = 1e-15, XtolRel = 1e-12, maxfun = 1e5))
)

quiet <- function(expr) suppressWarnings(suppressMessages(expr))
fit_with <- function(formula, frame, reml, how, start = NULL) {
  # do.call leaves the data in the model's call, where lmerTest and pbkrtest look for them
  arguments <- list(formula = formula, data = frame, REML = reml, control = controls[[how]], start = start)
  tryCatch(quiet(do.call(lme4::lmer, arguments)), error = function(e) NULL)
}

# theta of (1 + x | g) fitted on x - m, turned into theta for x: b0 = c0 - m c1, b1 = c1
uncentre <- function(theta, m) {
  lambda <- matrix(c(1, 0, -m, 1), 2) %*% matrix(c(theta[1], theta[2], 0, theta[3]), 2)
  lower <- t(qr.R(qr(t(lambda))))
  lower <- lower %*% diag(ifelse(diag(lower) < 0, -1, 1))
  lower[lower.tri(lower, TRUE)]
}

best <- function(formula, frame, reml, centre = NULL) {
  fits <- list()
  for (how in names(controls)) fits[[how]] <- fit_with(formula, frame, reml, how)
  if (!is.null(centre)) {
    centred <- frame
    m <- mean(frame[[centre]])
    centred[[centre]] <- frame[[centre]] - m
    for (how in c("bobyqa", "nloptwrap")) {
      inner <- fit_with(formula, centred, reml, how)
      fits[[paste0("centred ", how)]] <- fit_with(formula, frame, reml, "bobyqa", uncentre(getME(inner, "theta"), m))
    }
  }
  top <- function() names(which.max(sapply(fits, function(f) as.numeric(logLik(f)))))
  set.seed(1)
  for (round in 1:3) { # restart from the best, and beside it
    theta <- getME(fits[[top()]], "theta")
    lower <- getME(fits[[top()]], "lower")
    jump <- theta * exp(rnorm(length(theta), 0, 0.3)) + 0.01 * (lower == 0)
    for (how in c("bobyqa", "nloptwrap")) {
      fits[[paste("restart", round, how)]] <- fit_with(formula, frame, reml, how, theta)
      fits[[paste("jump", round, how)]] <- fit_with(formula, frame, reml, how, pmax(jump, lower))
    }
  }
  list(fit = fits[[top()]], by = top(), default = as.numeric(logLik(fits$default)))
}

# ---- what is recorded -----------------------------------------------------------------------------------------

components <- function(model) {
  out <- list()
  for (group in names(VarCorr(model))) {
    covariance <- VarCorr(model)[[group]]
    # a second term of a group is named like animal.image.1
    known <- names(getME(model, "flist"))
    name <- known[match(make.names(sub("\\.\\d+$", "", group)), make.names(known))]
    for (i in seq_len(nrow(covariance))) {
      out[[name]]$sd[[rownames(covariance)[i]]] <- sqrt(covariance[i, i])
      for (j in seq_len(i - 1)) {
        pair <- paste(rownames(covariance)[j], rownames(covariance)[i], sep = ",")
        out[[name]]$corr[[pair]] <- attr(covariance, "correlation")[i, j]
      }
    }
  }
  out
}

record <- function(found) {
  model <- found$fit
  list(loglik = as.numeric(logLik(model)), loglik_default = found$default, by = found$by,
    singular = isSingular(model, tol = 1e-5), coef = as.list(fixef(model)), se = unname(sqrt(diag(as.matrix(vcov(model))))),
    vcov = unname(as.matrix(vcov(model))), sigma = sigma(model), groups = components(model))
}

row_of <- function(L, model, satterthwaite, kenward) {
  L <- matrix(L, ncol = length(fixef(model)))
  one <- nrow(L) == 1
  out <- list(L = L)
  s <- contest(satterthwaite$model, L %*% satterthwaite$back, joint = TRUE, ddf = "Satterthwaite")
  out$satterthwaite <- list(F = s[["F value"]], df = s[["DenDF"]], p = s[["Pr(>F)"]])
  if (one) out$estimate <- list(value = sum(L * fixef(model)), se = sqrt(c(L %*% as.matrix(vcov(model)) %*% t(L))))
  if (kenward) {
    k <- quiet(KRmodcomp(model, L))
    out$kenward_roger <- list(F = k$test["Ftest", "stat"], df = k$test["Ftest", "ddf"], p = k$test["Ftest", "p.value"])
    if (one) out$kenward_roger$se <- sqrt(c(L %*% as.matrix(vcovAdj(model)) %*% t(L)))
  }
  out
}

# lmerTest differentiates numerically; far from zero its raw covariate costs it the df's digits. A correlated slope's
# model is the same on the centred covariate, so there it is asked about that: coef = back %*% centred coef.
satterthwaite_of <- function(model, r, frame, centre) {
  back <- diag(length(fixef(model)))
  if (!is.null(centre)) {
    m <- mean(frame[[centre]])
    back[1, names(fixef(model)) == centre] <- -m
    frame[[centre]] <- frame[[centre]] - m
    model <- fit_with(r, frame, TRUE, "bobyqa", uncentre(getME(model, "theta"), -m))
  }
  list(model = quiet(as_lmerModLmerTest(model, tol = 1e-6)), back = back)
}

inference <- function(model, satterthwaite, kenward, contrasts) {
  p <- length(fixef(model))
  assign <- attr(model.matrix(model), "assign")
  labels <- attr(terms(model), "term.labels")
  unit <- diag(p)
  out <- list()
  for (j in seq_len(p)) out[[names(fixef(model))[j]]] <- row_of(unit[j, ], model, satterthwaite, kenward)
  for (t in seq_along(labels)) {
    columns <- which(assign == t)
    if (length(columns) > 1) out[[labels[t]]] <- row_of(unit[columns, , drop = FALSE], model, satterthwaite, kenward)
  }
  for (name in names(contrasts)) out[[name]] <- row_of(contrasts[[name]], model, satterthwaite, kenward)
  out
}

with_nlme <- function(fixed, random, frame, method) {
  best <- NULL
  for (opt in c("nlminb", "optim")) {
    control <- lmeControl(opt = opt, maxIter = 500, msMaxIter = 1000, msMaxEval = 5000, tolerance = 1e-12, msTol = 1e-13,
      returnObject = TRUE)
    model <- tryCatch(quiet(lme(fixed, frame, random, method = method, control = control)), error = function(e) NULL)
    if (!is.null(model) && (is.null(best) || logLik(model) > logLik(best$model))) best <- list(model = model, by = opt)
  }
  if (is.null(best)) return(NULL)
  list(loglik = as.numeric(logLik(best$model)), by = best$by, sigma = best$model$sigma,
    df = as.list(best$model$fixDF$X), term_df = as.list(best$model$fixDF$terms))
}

# ---- cases ----------------------------------------------------------------------------------------------------

nested <- list(animal = ~x, image = ~x)
diagonal <- list(animal = pdDiag(~x), image = pdDiag(~x))
general <- y ~ diet * x + (x | animal) + (x | animal:image)
double <- y ~ diet * x + (1 | animal) + (0 + x | animal) + (1 | animal:image) + (0 + x | animal:image)
seed <- function(data, ...) list(data = data, r = y ~ saturation + diagnosis + (1 | sample),
  ours = "y ~ saturation + diagnosis + (1 | sample)", fixed = y ~ saturation + diagnosis, random = ~ 1 | sample,
  levels = list(diagnosis = c("Control", "AD")), kenward = TRUE, lrt = "diagnosis", ...)

cases <- list(
  sleepstudy = list(data = "sleepstudy", r = Reaction ~ Days + (Days | Subject), ours = "Reaction ~ Days + (Days | Subject)",
    fixed = Reaction ~ Days, random = ~ Days | Subject, kenward = TRUE, lrt = "Days"),
  sleepstudy_diagonal = list(data = "sleepstudy", r = Reaction ~ Days + (1 | Subject) + (0 + Days | Subject),
    ours = "Reaction ~ Days + (Days || Subject)", fixed = Reaction ~ Days, random = list(Subject = pdDiag(~Days)),
    kenward = TRUE, lrt = "Days"),
  sleepstudy_intercept = list(data = "sleepstudy", r = Reaction ~ Days + (1 | Subject), ours = "Reaction ~ Days + (1 | Subject)",
    fixed = Reaction ~ Days, random = ~ 1 | Subject, kenward = TRUE, lrt = "Days"),
  dyestuff = list(data = "dyestuff", r = Yield ~ 1 + (1 | Batch), ours = "Yield ~ 1 + (1 | Batch)", fixed = Yield ~ 1,
    random = ~ 1 | Batch, kenward = TRUE),
  dyestuff2 = list(data = "dyestuff2", r = Yield ~ 1 + (1 | Batch), ours = "Yield ~ 1 + (1 | Batch)", fixed = Yield ~ 1,
    random = ~ 1 | Batch, kenward = FALSE),
  pastes = list(data = "pastes", r = strength ~ 1 + (1 | batch) + (1 | batch:cask), ours = "strength ~ 1 + (1 | batch/cask)",
    fixed = strength ~ 1, random = ~ 1 | batch / cask, kenward = TRUE),
  penicillin = list(data = "penicillin", r = diameter ~ 1 + (1 | plate) + (1 | sample),
    ours = "diameter ~ 1 + (1 | plate) + (1 | sample)", kenward = TRUE),
  cake = list(data = "cake", r = angle ~ recipe * temperature + (1 | recipe:replicate),
    ours = "angle ~ recipe * temperature + (1 | recipe:replicate)", fixed = angle ~ recipe * temperature, random = ~ 1 | group,
    levels = list(recipe = c("A", "B", "C"), temperature = as.character(seq(175, 225, 10))), kenward = TRUE,
    lrt = "recipe:temperature"),
  seed = seed("seed"), seed_shift = seed("seed_shift"), seed_unequal = seed("seed_unequal"), seed_six = seed("seed_six"),
  seed_singular = seed("seed_singular"),
  seed_three = modifyList(seed("seed_three"), list(levels = list(diagnosis = c("Control", "AD", "MCI")),
    contrasts = list("MCI - AD" = c(0, 0, -1, 1), "AD, slope" = rbind(c(0, 1, 0, 0), c(0, 0, 1, 0))))),
  images = list(data = "images", r = general, ours = "y ~ diet*x + (x | animal/image)", fixed = y ~ diet * x, random = nested,
    kenward = FALSE, lrt = "diet:x"),
  images_diagonal = list(data = "images", r = double, ours = "y ~ diet*x + (x || animal/image)", fixed = y ~ diet * x,
    random = diagonal, kenward = FALSE, lrt = "diet:x"),
  images_unbalanced = list(data = "images_unbalanced", r = general, ours = "y ~ diet*x + (x | animal/image)",
    fixed = y ~ diet * x, random = nested, kenward = FALSE, lrt = "diet:x"),
  images_unbalanced_diagonal = list(data = "images_unbalanced", r = double, ours = "y ~ diet*x + (x || animal/image)",
    fixed = y ~ diet * x, random = diagonal, kenward = FALSE, lrt = "diet:x"),
  images_eight = list(data = "images_eight", r = general, ours = "y ~ diet*x + (x | animal/image)", fixed = y ~ diet * x,
    random = nested, kenward = TRUE, lrt = "diet:x"),
  images_eight_diagonal = list(data = "images_eight", r = double, ours = "y ~ diet*x + (x || animal/image)",
    fixed = y ~ diet * x, random = diagonal, kenward = TRUE, lrt = "diet:x")
)

# Grouping factors must be factors for lme4; treatment coding takes the case's levels, reference first.
read <- function(case) {
  frame <- read.csv(file.path("data", paste0(case$data, ".csv")))
  for (name in intersect(c("Subject", "image", "replicate"), names(frame))) frame[[name]] <- factor(frame[[name]])
  for (name in names(case$levels)) frame[[name]] <- factor(frame[[name]], levels = case$levels[[name]])
  if ("recipe" %in% names(frame)) frame$group <- interaction(frame$recipe, frame$replicate)
  frame
}

one_response <- function(case, frame, r, centre = NULL) {
  ml <- best(r, frame, FALSE, centre)
  reml <- best(r, frame, TRUE, centre)
  out <- list(ml = record(ml), reml = record(reml))
  out$reml$tests <- inference(reml$fit, satterthwaite_of(reml$fit, r, frame, centre), case$kenward, case$contrasts)
  if (!is.null(case$random)) {
    out$ml$nlme <- with_nlme(case$fixed, case$random, frame, "ML")
    out$reml$nlme <- with_nlme(case$fixed, case$random, frame, "REML")
  }
  if (!is.null(case$lrt)) {
    reduced <- best(update(r, paste(". ~ . -", case$lrt)), frame, FALSE, centre)
    df <- length(fixef(ml$fit)) - length(fixef(reduced$fit))
    stat <- max(0, 2 * as.numeric(logLik(ml$fit) - logLik(reduced$fit)))
    out$lrt <- list(term = case$lrt, stat = stat, df = df, p = pchisq(stat, df, lower.tail = FALSE),
      loglik_reduced = as.numeric(logLik(reduced$fit)), by = reduced$by)
  }
  out
}

save <- function(name, content) {
  versions <- sapply(c("lme4", "nlme", "lmerTest", "pbkrtest"), function(p) as.character(packageVersion(p)))
  content$versions <- as.list(c(R = R.version.string, versions))
  write(toJSON(content, auto_unbox = TRUE, digits = NA, matrix = "rowmajor"), paste0(name, ".json"))
}

wanted <- commandArgs(TRUE)
for (name in names(cases)) if (!length(wanted) || name %in% wanted) {
  case <- cases[[name]]
  start <- Sys.time()
  save(name, c(list(data = case$data, formula = case$ours, levels = case$levels), one_response(case, read(case), case$r)))
  cat(name, format(Sys.time() - start), "\n")
}
if (!length(wanted) || "slopes" %in% wanted) {
  case <- list(data = "slopes", levels = list(diagnosis = c("Control", "AD")), kenward = TRUE, lrt = "diagnosis")
  frame <- read(case)
  genes <- list()
  for (gene in grep("^g", names(frame), value = TRUE)) {
    r <- as.formula(paste(gene, "~ saturation + diagnosis + (1 + saturation | sample)"))
    genes[[gene]] <- one_response(case, frame, r, "saturation")
    cat(gene, "")
  }
  save("slopes", list(data = "slopes", formula = "~ saturation + diagnosis + (1 + saturation | sample)", levels = case$levels,
    genes = genes))
  cat("slopes\n")
}
