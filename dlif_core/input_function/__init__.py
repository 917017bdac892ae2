"""Input functions: one module a method, one registry, one call signature."""
