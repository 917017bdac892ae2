"""Input functions: one module a method, one registry, one call signature."""

from dlif_core.input_function.method import Method, Options, ScanPlace
from dlif_core.input_function.registry import METHODS, deciding_facts, estimate

__all__ = ["METHODS", "Method", "Options", "ScanPlace", "deciding_facts", "estimate"]
