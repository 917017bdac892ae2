"""Quantitative dynamic PET: input functions, kinetics and parametric maps.

The library stands alone: it knows neither Prefect nor the command line.
"""
