"""Every keeper of leases keeps the same promises, with the log that it fences."""

from pathlib import Path

import pytest

from bucle.store.memory_leases import MemoryLeases
from bucle.store.memory_log import MemoryLog
from bucle.store.sqlite_leases import SqliteLeases
from bucle.store.sqlite_log import SqliteLog
from bucle.testing.lease_contract import LeasesContract


class TestMemoryLeases(LeasesContract):
    @pytest.fixture
    def log(self) -> MemoryLog:
        return MemoryLog()

    @pytest.fixture
    def leases(self, log: MemoryLog) -> MemoryLeases:
        return log.leases


class TestSqliteLeases(LeasesContract):
    @pytest.fixture
    def log(self, tmp_path: Path) -> SqliteLog:
        return SqliteLog(tmp_path / "state" / "log.db")

    @pytest.fixture
    def leases(self, log: SqliteLog) -> SqliteLeases:
        return SqliteLeases(log.path)


class TestSqliteLeasesOpenedAnew(TestSqliteLeases):
    """Nothing lives in the object alone: each act opens the file anew."""

    @pytest.fixture
    def leases(self, log: SqliteLog) -> SqliteLeases:
        class Forgetful(SqliteLeases):
            def read(self, name):
                return SqliteLeases(log.path).read(name)

            def renew(self, lease):
                self.close()
                return SqliteLeases(log.path).renew(lease)

        return Forgetful(log.path)
