"""The sensitive-data filter. Its hot modules run compiled where they are (filters/native.py)."""

from filters.native import prefer_compiled

prefer_compiled(__name__, __path__)
