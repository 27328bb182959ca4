"""Models whose crossed factors have many levels: sparse elimination, dense where nothing is sparse any more."""
