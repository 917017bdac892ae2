"""Calibrated uncertainty of a predicted curve: conformal band, curve samples, intervals."""
