"""Plain images in NIfTI, Analyze and MINC, with frame times from tables beside them."""
