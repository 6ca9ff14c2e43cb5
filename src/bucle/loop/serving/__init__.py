"""A project's server at work: processes that answer, follow the log and compact predictions."""

__all__: list[str] = []
