"""The format of arrays: an image with its frames and metadata as a Zarr group that xarray wrote."""
