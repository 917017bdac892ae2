"""Faults injected at random moments into real runs of a small study; see `tests.faults.__main__`."""
