"""Count models with nested and crossed factors and with slopes: Laplace's approximation over all random effects at once."""
