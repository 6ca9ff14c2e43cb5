"""Models answered without their libraries, once they were proved to answer the same."""

__all__: list[str] = []
