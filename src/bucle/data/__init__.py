"""Sources, contracts, quarantine, versions and as-of views of data."""

__all__: list[str] = []
