import dlif_core as dlif

scan = dlif.read_curves("tacs.tsv", blood="blood.tsv")  # frames, regions and blood; units from header or sidecar
fit = dlif.fit(scan, "2tcm-reversible", delay="region")  # an xarray.Dataset with a value for each region
print(fit[["K1", "K1_se", "k2", "k2_se", "k3", "k3_se", "k4", "k4_se", "vB", "VT", "VT_se", "status"]].to_dataframe())
