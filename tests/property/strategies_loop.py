"""Facts of the life cycle, alone and as histories that could have happened."""

from datetime import UTC, datetime

import msgspec
from hypothesis import strategies as st

from bucle.clock import FixedClock
from bucle.loop.events import (
    AlarmRaised,
    AlarmResolved,
    Approved,
    ChallengerSeen,
    CodeSeen,
    DataAdded,
    DataRefused,
    Deployed,
    GainEstimated,
    LogRepaired,
    Paused,
    Promoted,
    Resumed,
    RetrainAsked,
    RolledBack,
    RunFinished,
    RunStarted,
    SourceFile,
    StepRecord,
    VerdictGiven,
    Withdrawn,
    draft_fact,
)
from bucle.store.memory_log import MemoryLog
from bucle.types import Check, Coercion, Draft, Verdict

START = datetime(2026, 1, 2, tzinfo=UTC)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
NAMES = st.sampled_from(["sales", "brands", "Ñandú"])
RUNS = st.sampled_from(["r-1", "r-2", "r-3", "r-4"])
MODELS = st.sampled_from(["m-a", "m-b", "m-c", "m-d"])
COUNTS = st.integers(0, 10**9)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
METRICS = st.dictionaries(st.sampled_from(["wape", "mae", "r2"]), NUMBERS, max_size=3)
MOMENTS = st.none() | st.sampled_from(
    ["2026-01-02T00:00:00.000000Z", "2025-06-30T00:00:00.000000Z"]
)
FILES = st.builds(SourceFile, name=TEXT, digest=TEXT, bytes=COUNTS)
COERCIONS = st.builds(
    Coercion, column=TEXT, count=COUNTS, examples=st.lists(TEXT, max_size=3).map(tuple), became=TEXT
)
ADDITIONS = st.builds(
    DataAdded,
    dataset=NAMES,
    data_version=st.integers(0, 5),
    table_version=st.integers(-1, 9),
    rows=COUNTS,
    fingerprint=TEXT,
    read=COUNTS,
    added=COUNTS,
    changed=COUNTS,
    unchanged=COUNTS,
    quarantined=COUNTS,
    coerced=st.lists(COERCIONS, max_size=2).map(tuple),
    files=st.lists(FILES, max_size=2).map(tuple),
    origin=st.sampled_from(["source", "files"]),
    rules=TEXT,
)
STARTS = st.builds(
    RunStarted,
    run=RUNS,
    source=TEXT,
    environment=TEXT,
    seed=st.integers(-(2**63), 2**63 - 1),
    parameters=st.dictionaries(TEXT, st.dictionaries(TEXT, NUMBERS | TEXT | st.none(), max_size=2)),
    datasets=st.dictionaries(NAMES, TEXT),
    as_of=MOMENTS,
    code=TEXT,
)
STEPS = st.builds(
    StepRecord, name=TEXT, state=TEXT, seconds=NUMBERS, why=TEXT, rows=st.none() | COUNTS
)
ENDS = st.builds(
    RunFinished,
    run=RUNS,
    state=st.sampled_from(["done", "failed", "stopped"]),
    steps=st.lists(STEPS, max_size=2).map(tuple),
    metrics=METRICS,
    model=st.none() | MODELS,
    tested=st.none() | MODELS,
    cut=MOMENTS,
    end=MOMENTS,
)
VERDICTS = st.builds(
    VerdictGiven,
    run=RUNS,
    evidence=TEXT,
    verdict=st.builds(
        Verdict,
        outcome=st.sampled_from(["pass", "fail", "undecided"]),
        checks=st.lists(st.builds(Check, name=TEXT, outcome=st.just("pass"), estimate=NUMBERS)).map(
            tuple
        ),
        rows=COUNTS,
        challenger=MODELS,
        champion=st.none() | MODELS,
    ),
)
PROMOTIONS = st.builds(Promoted, model=MODELS, because=TEXT, previous=st.none() | MODELS)
ROLLBACKS = st.builds(RolledBack, model=MODELS, previous=MODELS, because=TEXT)
REPAIRS = st.builds(LogRepaired, removed=COUNTS, after=COUNTS, lost_until=COUNTS, reason=TEXT)
FACTS = st.one_of(ADDITIONS, STARTS, ENDS, VERDICTS, PROMOTIONS, ROLLBACKS, REPAIRS)
SHARES = st.sampled_from([0.0, 0.05, 0.25])
BOUNDS = st.none() | st.floats(-1, 1)
LAYERS = st.sampled_from(["harm", "inputs", "contract"])
SUBJECTS = st.sampled_from(["loss", "price"])
ROLES = st.sampled_from(["business", "expert"])
DEPLOYMENTS = st.builds(
    Deployed,
    model=MODELS,
    share=SHARES,
    champion=MODELS,
    because=TEXT,
    run=st.just("") | RUNS,
    is_former=st.booleans(),
)
SIGHTINGS = st.builds(
    ChallengerSeen,
    champion=MODELS,
    model=MODELS,
    share=SHARES,
    baked_s=st.floats(0, 1e6),
    pairs=st.integers(0, 1000),
    answers=st.integers(0, 1000),
    failures=st.integers(0, 20),
    slower=st.none() | st.floats(0.5, 4),
    labelled=st.integers(0, 1000),
    gain=BOUNDS,
    low=BOUNDS,
    high=BOUNDS,
)
GAINS = st.builds(
    GainEstimated, champion=MODELS, challenger=MODELS, rows=COUNTS, gain=NUMBERS, saved=NUMBERS
)
SERVING = st.one_of(
    DEPLOYMENTS,
    SIGHTINGS,
    GAINS,
    st.builds(Withdrawn, model=MODELS, because=TEXT),
    st.builds(AlarmRaised, layer=LAYERS, subject=SUBJECTS, since=TEXT, why=TEXT),
    st.builds(AlarmResolved, layer=LAYERS, subject=SUBJECTS, why=TEXT),
    st.builds(
        CodeSeen,
        source=st.sampled_from(["s1", "s2"]),
        code=st.sampled_from(["", "c1", "c2"]),
    ),
    st.builds(
        DataRefused,
        dataset=st.sampled_from(["sales", "items"]),
        file=st.sampled_from(["", "a.csv", "b.csv"]),
        digest=TEXT,
        error=TEXT,
        over=st.sampled_from(["", "it is gone"]),
    ),
    st.builds(RetrainAsked, because=TEXT),
    st.builds(Paused, because=TEXT),
    st.builds(Resumed, because=TEXT),
    st.builds(Approved, model=MODELS, role=ROLES, because=TEXT),
)
STRANGE = st.builds(
    Draft,
    kind=st.sampled_from(["shadowed", "drift_seen", "promoted"]),
    version=st.just(7),
    body=st.dictionaries(TEXT, TEXT, max_size=2),
    at=st.just("2026-01-02T00:00:00.000000Z"),
    actor=TEXT,
)


def sealed(drafts):
    """Return drafts as events of one log."""
    log = MemoryLog()
    log.append(drafts)
    return tuple(log.read())


@st.composite
def histories(draw, *, most=12, facts=FACTS | SERVING | STRANGE):
    """Return the events of a log that holds facts and kinds that this Bucle does not know."""
    clock = FixedClock(START)
    drafts = []
    for fact in draw(st.lists(facts, max_size=most)):
        clock.advance(draw(st.integers(-5, 60)))
        drafts.append(
            fact
            if isinstance(fact, Draft)
            else draft_fact(fact, clock=clock, actor=draw(st.sampled_from(["ana", "uid-0"])))
        )
    return sealed(drafts)


def without_place(state):
    """Return a state without its place in the log and the hashes that depend on it."""
    bare = msgspec.to_builtins(msgspec.structs.replace(state, position=0, head=""))
    for model in bare["models"].values():
        for verdict in model["verdicts"]:
            verdict["event"] = ""
    return bare
