"""Model packages: estimator, signature, intervals, card; and the registry projection."""

__all__: list[str] = []
