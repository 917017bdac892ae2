"""The uncertainty of the input function, carried into parameters and region means."""
