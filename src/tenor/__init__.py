"""Tenor: from raw domain text to the best embedding model you can ship."""

__version__ = "0.1.0"
