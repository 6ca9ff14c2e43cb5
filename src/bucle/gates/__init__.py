"""Pure functions from evidence to verdict: pass, fail or undecided."""

__all__: list[str] = []
