"""Count models: Poisson, negative binomial and detection mixed models of every gene, by an exact Laplace approximation."""
