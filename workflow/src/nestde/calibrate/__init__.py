"""Calibration on the study's own samples: what each p-value does where, by construction, nothing differs."""
