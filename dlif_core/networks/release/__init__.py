"""Making of a calibrated model from a recipe or from a user's own scans."""
