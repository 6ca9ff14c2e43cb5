"""In-memory adapters, contract-test classes and faults, for tests of Bucle and of projects."""

__all__: list[str] = []
