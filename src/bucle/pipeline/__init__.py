"""Functions to graph to plan to run, with a content-addressed cache."""

__all__: list[str] = []
