"""Input functions: one module a method, one registry, one call signature."""

from dlif_core.input_function.registry import METHODS, Method, check_options, deciding_facts, estimate

__all__ = ["METHODS", "Method", "check_options", "deciding_facts", "estimate"]
