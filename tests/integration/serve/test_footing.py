"""A server ends when the records it writes to are no more those of its project."""

import pytest

from bucle.errors import OutsideError
from bucle.loop.serving.footing import Footing


def test_stands_while_the_log_is_the_same_file(tmp_path):
    log = tmp_path / "log.db"
    footing = Footing(log)
    footing.require()
    log.write_text("begun later")
    footing.require()
    log.write_text("longer than before")
    footing.require()


@pytest.mark.parametrize("becomes", ["gone", "another", "moved", "no folder"])
def test_says_when_the_log_is_not_that_file_any_more(tmp_path, becomes):
    home = tmp_path / ".bucle"
    home.mkdir()
    log = home / "log.db"
    log.write_text("one")
    footing = Footing(log)
    footing.require()
    if becomes == "gone":
        log.unlink()
    elif becomes == "another":
        other = home / "other"
        other.write_text("one")
        other.replace(log)
    else:
        home.rename(tmp_path / "away")
        if becomes == "no folder":
            home.write_text("a file")
    with pytest.raises(OutsideError) as caught:
        footing.require()
    assert caught.value.code == "bucle-341"
