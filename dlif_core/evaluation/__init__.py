"""Methods for the input function side by side on simulated scans whose truth is known.

`conditions` says which scans, `candidates` which methods, `figures` how good one curve of one scan is; `runner` puts
them together and keeps what is done, `summary` and `tables` tell the cohort's figures.
"""
