"""The PET-BIDS reader: NIfTI images with JSON sidecars, blood and region-curve tables."""
