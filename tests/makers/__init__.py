"""Makers of what tests work on: studies, cohorts, fabricated results, R's records."""
