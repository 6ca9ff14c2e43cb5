"""Every keeper of tables keeps the same promises."""

from pathlib import Path

import pytest

from bucle.store.delta_tables import DeltaTables
from bucle.store.memory_tables import MemoryTables
from bucle.testing.contracts import TablesContract


class TestMemoryTables(TablesContract):
    @pytest.fixture
    def tables(self) -> MemoryTables:
        return MemoryTables()


class TestDeltaTables(TablesContract):
    @pytest.fixture
    def tables(self, tmp_path: Path) -> DeltaTables:
        return DeltaTables(tmp_path / "with space, ñ, #, ? and 100%" / "tables")
