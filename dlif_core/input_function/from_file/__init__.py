"""Input functions that another program computed, read from files: bloodstream, PMOD, or a table with named columns."""
