"""Events, state and the actions of the loop."""

__all__: list[str] = []
