"""From a formula and covariates to a design: columns, random terms, what is aliased, contrasts."""
