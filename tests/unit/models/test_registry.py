"""Who is champion, and where a rollback leads."""

import pytest

from bucle.models.registry import Tenure, champion, last_good


def _history(text):
    """Read `a b c <b`: promotions in order, `<` marks a rollback."""
    words = text.split()
    return tuple(
        Tenure(
            model=word.lstrip("<"),
            since=f"{at}",
            until=f"{at + 1}" if at + 1 < len(words) else None,
            by="ana",
            because="",
            how="rollback" if word.startswith("<") else "promote",
        )
        for at, word in enumerate(words)
    )


def _model(tenure):
    return tenure.model if tenure else None


@pytest.mark.parametrize(
    ("text", "now", "back"),
    [
        ("", None, None),
        ("a", "a", None),
        ("a b", "b", "a"),
        ("a b <a", "a", None),
        ("a b c <b", "b", "a"),
        ("a b c <b <a", "a", None),
        ("a b <a b", "b", "a"),
        ("a b <a b c", "c", "b"),
        ("a b <a c", "c", "a"),
        ("a b a c", "c", "a"),
        ("a b c <a", "a", "b"),
    ],
)
def test_a_rollback_leads_to_the_last_champion_that_was_not_rolled_back_from(text, now, back):
    history = _history(text)
    assert _model(champion(history)) == now
    assert _model(last_good(history)) == back


def test_nobody_is_champion_once_the_last_tenure_has_ended():
    history = _history("a b")
    ended = (*history[:-1], Tenure(model="b", since="1", until="2", by="", because=""))
    assert champion(ended) is None
    assert _model(last_good(ended)) == "b"
