"""Networks that find the input function in a dynamic image.

`weight_map` draws the tissues of a scan, `unmixing` reads their curves off the frames, `prediction` does both and
`training` learns the drawing from simulated scans. `fc_dlif` is the published network, for comparison.
"""
