"""The recognisers, one family of types each."""

from filters.native import prefer_compiled

prefer_compiled(__name__, __path__)
