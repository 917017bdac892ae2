"""A study: configuration, plan, stages, status."""
