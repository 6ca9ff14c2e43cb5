"""What several commands take: a moment to be asked for."""

from datetime import UTC, datetime

import pytest

from bucle.cli.handler import asked_moment
from bucle.errors import UsageError


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        (None, None),
        ("2026-01-31", datetime(2026, 1, 31, tzinfo=UTC)),
        ("2026-01-31T12:00:00+02:00", datetime(2026, 1, 31, 10, tzinfo=UTC)),
    ],
)
def test_moment_is_read_as_a_date_or_a_time(text: str | None, moment: datetime | None) -> None:
    assert asked_moment(text, command="bucle run") == moment


@pytest.mark.parametrize("text", ["yesterday", "2026-13-01", "", "31/01/2026"])
def test_other_moments_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="Cannot read the moment"):
        asked_moment(text, command="bucle run")
