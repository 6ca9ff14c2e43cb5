"""Replay: history walked through as if it were happening, under several policies at once."""

__all__: list[str] = []
