"""A catalog of the scans of many studies and sites: one row a scan, rebuilt from what their stores hold.

`build` writes it as a Parquet file, `filters` chooses rows, `splits` divides animals for training, and `release` writes
chosen scans under new names. Everything of pyarrow is imported where it is used.
"""
