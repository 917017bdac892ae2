"""Region curves and blood in the tables of PMOD."""
