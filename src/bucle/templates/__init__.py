"""What `bucle new` writes."""

__all__: list[str] = []
