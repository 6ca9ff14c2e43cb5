"""Windows of what happens, and how far they lie from what a model was made on."""

__all__: list[str] = []
