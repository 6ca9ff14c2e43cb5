"""The log as a story: chapters in plain words, idle looks left out."""

import pytest

from bucle.clock import FixedClock, from_iso
from bucle.loop.events import (
    AlarmRaised,
    AlarmResolved,
    ChallengerSeen,
    DataAdded,
    Decided,
    Deployed,
    Fact,
    Paused,
    Promoted,
    RolledBack,
    RunFinished,
    RunStarted,
    VerdictGiven,
    Withdrawn,
    draft_fact,
)
from bucle.loop.story import Chapter, say_day, tell_story
from bucle.store.memory_log import MemoryLog
from bucle.types import Check, Event, Verdict

HARM = AlarmRaised(layer="harm", subject="r2", since="2025-02-20", why="r2 0.3 since 2025-02-20")
INPUTS = AlarmRaised(
    layer="inputs", subject="grade", since="2025-01-09", why="9 % were 'C', now 40 %"
)
DEPLOYED = Deployed(model="m-2", share=0.0, champion="m-1", because="the gate says pass", run="r-2")
PROMOTED = Promoted(model="m-2", because="60 rows scored by both", verdict="pass", previous="m-1")


def log_of(*facts: tuple[str, Fact], actor: str = "loop") -> list[Event]:
    log = MemoryLog()
    for day, fact in facts:
        clock = FixedClock(from_iso(day))
        log.append([draft_fact(fact, clock=clock, actor=actor)])
    return list(log.read())


def added(count: int, *, quarantined: int = 0) -> DataAdded:
    return DataAdded(
        dataset="items",
        data_version=1,
        table_version=0,
        rows=100,
        fingerprint="f",
        read=count,
        added=count,
        changed=1,
        unchanged=0,
        removed=0,
        quarantined=quarantined,
        corrected=0,
        coerced=(),
        files=(),
        origin="source",
        rules="",
    )


def started(run: str = "r-2") -> RunStarted:
    return RunStarted(
        run=run, source="", environment="", seed=0, parameters={}, datasets={}, asked="a-1"
    )


def finished(state: str = "done", run: str = "r-2") -> RunFinished:
    made = "m-2" if state == "done" else None
    return RunFinished(run=run, state=state, steps=(), metrics={}, model=made, tested=made)


def verdict(outcome: str) -> VerdictGiven:
    check = Check(name="champion", outcome=outcome, labels_needed=40)
    found = Verdict(outcome=outcome, checks=(check,), rows=350, challenger="m-2", champion="m-1")
    return VerdictGiven(run="r-2", verdict=found, evidence="e")


def words(chapter: Chapter) -> str:
    return " ".join(sentence.words for sentence in chapter.sentences)


def test_an_empty_log_has_no_story() -> None:
    assert tell_story([]) == ()


def test_an_alarm_and_what_came_of_it_are_one_chapter() -> None:
    why = "alarm: r2 0.3 since 2025-02-20; it is on its way as a shadow"
    (chapter,) = tell_story(
        log_of(
            ("2025-03-01", HARM),
            ("2025-03-01", started()),
            ("2025-03-01", finished()),
            ("2025-03-01", verdict("pass")),
            ("2025-03-01", DEPLOYED),
            ("2025-03-01", Decided(policy="harm", did=("retrain", "deploy"), why=why)),
            ("2025-03-09", PROMOTED),
        )
    )
    assert chapter.title == "An alarm of harm: the new model became champion"
    assert (chapter.first, chapter.last) == ("2025-03-01", "2025-03-09")
    told = words(chapter)
    assert "A retrain began: alarm: r2 0.3 since 2025-02-20." in told
    assert "it seems to have begun on 20 February 2025" in told
    assert "m-2 became a shadow of the champion and answers nobody" in told
    assert "on its way" not in told


@pytest.mark.parametrize(
    ("facts", "title"),
    [
        ([finished("failed")], "A new model: the training failed"),
        ([finished(), verdict("fail")], "A new model: the champion stays"),
        ([finished(), verdict("undecided")], "A new model: the champion stays"),
        ([finished(), verdict("pass")], "A new model: it passed, and waits"),
        (
            [finished(), verdict("pass"), DEPLOYED, Withdrawn(model="m-2", because="it errs more")],
            "A new model: it was taken away",
        ),
    ],
)
def test_a_chapter_ends_with_what_became_of_the_model(facts: list[Fact], title: str) -> None:
    chapters = tell_story(log_of(*[("2025-03-01", fact) for fact in [started(), *facts]]))
    assert [chapter.title for chapter in chapters] == [title]


def test_looks_that_did_nothing_and_evidence_on_the_way_are_left_out() -> None:
    seen = ChallengerSeen(champion="m-1", model="m-2", share=0.0, baked_s=1.0)
    idle = Decided(policy="harm", did=(), why="nothing to do")
    assert tell_story(log_of(("2025-03-01", idle), ("2025-03-02", seen))) == ()


def test_rows_that_come_in_every_day_are_one_sentence() -> None:
    days = [(f"2025-03-{day:02}", added(10)) for day in range(1, 6)]
    chapters = tell_story(log_of(*days, ("2025-03-06", Paused(because="stocktaking"))))
    told = words(chapters[0])
    assert "10 rows of items were offered and 10 added." in told
    assert "40 rows came in and 4 changed since 2 March 2025." in told
    assert "The loop was paused: stocktaking" in told


def test_rows_that_come_in_meanwhile_wait_for_what_begins_next() -> None:
    chapters = tell_story(
        log_of(
            ("2025-03-01", added(10)),
            ("2025-03-02", added(10)),
            ("2025-03-03", INPUTS),
            ("2025-03-04", added(10)),
            ("2025-03-08", started()),
            ("2025-03-09", added(10)),
            ("2025-03-10", finished("failed")),
            ("2025-03-11", added(10)),
        )
    )
    before, run, after = chapters
    days = [(one.day, one.words) for one in before.sentences]
    assert [day for day, _ in days] == ["2025-03-01", "2025-03-03", "2025-03-08"]
    assert days[2][1] == "20 rows came in and 2 changed since 2 March 2025."
    assert "came in" not in words(run)
    assert words(after) == "20 rows came in and 2 changed since 9 March 2025."


@pytest.mark.parametrize(
    ("check", "said"),
    [
        (Check(name="champion", outcome="fail"), "nothing shows that it errs less than the champ"),
        (Check(name="champion", outcome="undecided"), "nothing shows yet that it errs less"),
        (
            Check(name="must:r2", outcome="fail", estimate=0.0347, limit=0.25),
            "its r2 is 0.0347, and the charter asks for 0.25",
        ),
        (
            Check(name="must:r2", outcome="undecided", estimate=0.3, limit=0.25),
            "its r2 is 0.3, and the charter asks for 0.25; that may be luck",
        ),
        (Check(name="slice:category", outcome="fail"), "no more than the champion in each categ"),
        (Check(name="baseline:last", outcome="fail"), "less than the plain rule 'last'"),
        (Check(name="leaks", outcome="fail"), "beside the champion m-1: leaks"),
    ],
)
def test_what_kept_a_model_outside_is_said_in_words(check: Check, said: str) -> None:
    found = Verdict(
        outcome=check.outcome, checks=(check,), rows=350, challenger="m-2", champion="m-1"
    )
    given = VerdictGiven(run="r-2", verdict=found, evidence="e")
    assert said in words(tell_story(log_of(("2025-03-01", given)))[0])


def test_spans_and_alarms_are_told_as_people_do() -> None:
    why = "8w since the last retrain; it was promoted"
    retrain = Decided(policy="every:8w", did=("retrain",), why=why)
    told = words(tell_story(log_of(("2025-03-01", started()), ("2025-03-01", retrain)))[0])
    assert told == "A retrain began: 8 weeks since the last retrain."
    told = words(tell_story(log_of(("2025-03-01", INPUTS)))[0])
    assert told.startswith("Alarm (inputs), what is asked has changed: grade: 9 % were 'C', now")


def test_a_run_that_takes_longer_than_a_look_is_told_with_the_decision_before_it() -> None:
    def decided(why: str) -> Decided:
        return Decided(policy="harm/every:8w", did=("retrain",), why=why)

    chapters = tell_story(
        log_of(
            ("2025-03-01", decided("8w since the last retrain")),
            ("2025-03-01", started("r-2")),
            ("2025-03-01", finished("failed", "r-2")),
            ("2025-04-01", decided("alarm: r2 0.3; and more")),
            ("2025-04-01", started("r-3")),
        )
    )
    told = [words(chapter) for chapter in chapters]
    assert "A retrain began: 8 weeks since the last retrain." in told[0]
    assert "A retrain began: alarm: r2 0.3; and more." in told[1]


def test_an_alarm_that_a_new_champion_ends_is_over_in_few_words() -> None:
    why = "m-2 is champion now, and this was seen of m-1"
    over = AlarmResolved(layer="harm", subject="r2", why=why)
    told = words(tell_story(log_of(("2025-03-01", over)))[0])
    assert told == "The alarm about r2 (harm) is over: it was of the champion before."


def test_rows_in_quarantine_are_told_when_they_come() -> None:
    log = log_of(("2025-03-01", added(10)), ("2025-03-02", added(10, quarantined=3)))
    assert "3 broke the contract and are in quarantine." in words(tell_story(log)[0])


def test_alarms_that_start_nothing_stand_alone() -> None:
    over = AlarmResolved(layer="inputs", subject="grade", why="not seen in 2 looks")
    (chapter,) = tell_story(log_of(("2025-01-10", INPUTS), ("2025-01-20", over)))
    assert chapter.title == ""
    assert "The alarm about grade (inputs) is over" in words(chapter)


def test_a_rollback_is_told_with_its_reason() -> None:
    back = RolledBack(model="m-1", previous="m-2", because="m-1 errs less")
    (chapter,) = tell_story(log_of(("2025-03-01", HARM), ("2025-03-01", back)))
    assert chapter.title == "Back to an earlier champion"
    (chapter,) = tell_story(log_of(("2025-03-01", back)))
    assert chapter.title == "Back to an earlier champion"
    assert words(chapter) == "Rolled back from m-2 to m-1: m-1 errs less."


def test_people_are_named_and_the_loop_is_not() -> None:
    by_hand = tell_story(log_of(("2025-03-01", PROMOTED), actor="ana"))
    assert words(by_hand[0]).endswith("(by ana).")
    assert "(by" not in words(tell_story(log_of(("2025-03-01", PROMOTED)))[0])


def test_events_of_a_later_version_are_named() -> None:
    (event,) = log_of(("2025-03-01", Paused(because="x")))
    unknown = Event(
        position=1, at=event.at, kind="teleported", version=1, actor="loop", body={},
        cause="", previous=event.previous, hash=event.hash,
    )  # fmt: skip
    assert "Teleported" in words(tell_story([unknown])[0])


def test_days_are_written_as_people_do() -> None:
    assert say_day("2024-12-31") == "31 December 2024"
