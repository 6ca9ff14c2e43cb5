"""The command line: parse, call, print; no logic."""

__all__: list[str] = []
