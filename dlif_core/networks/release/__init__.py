"""From a recipe, or a user's own scans, to a calibrated model."""
