"""Every log keeps the same promises."""

from collections.abc import Iterator
from pathlib import Path
from secrets import token_hex

import pytest

from bucle.store.memory_log import MemoryLog
from bucle.store.postgres_log import PostgresLog
from bucle.store.sqlite_log import SqliteLog
from bucle.testing.contracts import LogContract


class TestMemoryLog(LogContract):
    @pytest.fixture
    def log(self) -> MemoryLog:
        return MemoryLog()


class TestSqliteLog(LogContract):
    @pytest.fixture
    def log(self, tmp_path: Path) -> SqliteLog:
        return SqliteLog(tmp_path / "state" / "log.db")


class TestSqliteLogOpenedAnew(LogContract):
    """Nothing lives in the object alone: each act opens the file anew."""

    @pytest.fixture
    def log(self, tmp_path: Path) -> SqliteLog:
        path = tmp_path / "log.db"

        class Forgetful(SqliteLog):
            def append(self, drafts, *, expected=None):
                self.close()
                return SqliteLog(path).append(drafts, expected=expected)

            def head(self):
                return SqliteLog(path).head()

        return Forgetful(path)


@pytest.mark.postgres
@pytest.mark.thorough
class TestPostgresLog(LogContract):
    @pytest.fixture
    def log(self, postgres: str) -> Iterator[PostgresLog]:
        log = PostgresLog(postgres, schema=f"log_{token_hex(8)}")
        yield log
        log.close()
