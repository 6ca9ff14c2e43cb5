"""Every keeper of leases keeps the same promises, with the log that it fences."""

from collections.abc import Iterator
from pathlib import Path
from secrets import token_hex

import pytest

from bucle.store.memory_leases import MemoryLeases
from bucle.store.memory_log import MemoryLog
from bucle.store.postgres_leases import PostgresLeases
from bucle.store.postgres_log import PostgresLog
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


@pytest.mark.thorough
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


@pytest.mark.postgres
@pytest.mark.thorough
class TestPostgresLeases(LeasesContract):
    @pytest.fixture
    def schema(self) -> str:
        return f"log_{token_hex(8)}"

    @pytest.fixture
    def log(self, postgres: str, schema: str) -> Iterator[PostgresLog]:
        log = PostgresLog(postgres, schema=schema)
        yield log
        log.close()

    @pytest.fixture
    def leases(self, postgres: str, schema: str) -> Iterator[PostgresLeases]:
        leases = PostgresLeases(postgres, schema=schema)
        yield leases
        leases.close()
