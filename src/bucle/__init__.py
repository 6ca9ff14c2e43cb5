"""Bucle: the machine-learning life cycle as one closed loop.

Importing this package imports nothing heavy; each name is loaded when first used.
"""

__version__ = "0.1.0"

__all__ = ["__version__"]
