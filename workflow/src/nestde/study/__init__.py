"""What was asked: the configuration, the sample sheet, and the template that a study starts from."""
