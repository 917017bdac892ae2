"""Networks that find the input function in a dynamic image.

`prediction` segments the tissues of a scan and reads their curves from the frames, `training` teaches networks to do so
on simulated scans, `calibration` gives the uncertainty of a curve, `scope` judges whether a scan is of the kind that a
model knows, `explanation` shows what a curve was read from, `bundle` keeps a model as a folder, and `release` makes one
from a recipe.
"""
