import xarray as xr

import dlif_core as dlif

image = xr.open_zarr("image.zarr")["activity"]  # a dask image that states its units, frames and half-life
blood = dlif.read_curves("tacs.tsv", blood="blood.tsv")
maps = dlif.fit_image(image, "logan", t_star=15, input_function=dlif.estimate_input_function(blood, "arterial"))
maps[["VT", "VT_se", "status"]].to_zarr("maps.zarr")  # is computed here, block by block
