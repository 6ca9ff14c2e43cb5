"""The design phase as a file: problem, value, KPIs, money, gates and policies."""

__all__: list[str] = []
