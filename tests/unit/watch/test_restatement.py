"""A day that was judged before and says something else now is seen to."""

from bucle.watch.restatement import Restatement, Statement, restate, state_again


def said(
    at: str, loss: float, *, rows: int = 100, labelled: int = 90, corrections: int = 0
) -> Statement:
    return Statement(at=at, rows=rows, labelled=labelled, corrections=corrections, loss=loss)


def test_a_day_that_says_the_same_is_stated_once() -> None:
    first = state_again({}, {"2026-01-02": said("a", 0.3)})
    again = state_again(first, {"2026-01-02": said("b", 0.3)})
    assert again == first
    assert restate(again) == ()


def test_late_and_corrected_labels_restate_their_day() -> None:
    known = state_again({}, {"2026-01-02": said("a", 0.31)})
    known = state_again(known, {"2026-01-02": said("b", 0.35, labelled=100, corrections=1)})
    assert restate(known) == (
        Restatement(
            date="2026-01-02",
            judged="a",
            restated="b",
            before=0.31,
            after=0.35,
            late=10,
            corrected=1,
        ),
    )


def test_a_correction_alone_restates_its_day() -> None:
    known = state_again({}, {"d": said("a", 0.3)})
    (found,) = restate(state_again(known, {"d": said("b", 0.2, corrections=2)}))
    assert (found.late, found.corrected) == (0, 2)


def test_a_day_that_is_not_judged_any_more_keeps_what_was_said() -> None:
    known = state_again({}, {"d": said("a", 0.3), "e": said("a", 0.4)})
    assert state_again(known, {"e": said("b", 0.4)}) == known


def test_what_changes_for_ever_is_kept_short_and_keeps_its_first_word() -> None:
    known: dict[str, tuple[Statement, ...]] = {}
    for number in range(100):
        known = state_again(known, {"d": said(f"{number}", 0.1 * number, labelled=number)})
    assert len(known["d"]) == 20
    (found,) = restate(known)
    assert (found.judged, found.restated, found.late) == ("0", "99", 99)


def test_a_look_back_restates_nothing() -> None:
    known = state_again({}, {"2026-01-02": said("2026-01-20", 0.31)})
    assert state_again(known, {"2026-01-02": said("2026-01-10", 0.2, labelled=40)}) == known
