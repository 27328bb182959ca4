"""Files: formats of counts, what is read of them, what is written and where it stands."""
