"""The event log, content and tables: the ground floor."""

__all__: list[str] = []
