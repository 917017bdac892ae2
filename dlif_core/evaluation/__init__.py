"""Methods for the input function side by side on simulated scans whose truth is known.

`conditions` lists the scans and `candidates` the methods, `metrics` compares one curve of one scan with the truth,
`runner` evaluates every method on every scan and keeps the records, and `summary` and `tables` give the metrics of the
cohort.
"""
