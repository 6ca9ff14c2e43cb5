"""A living project played forward in fast time: its own code in a simulated world."""

__all__: list[str] = []
