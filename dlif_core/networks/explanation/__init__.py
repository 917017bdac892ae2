"""Which parts of the image and which frames led to a predicted curve."""
