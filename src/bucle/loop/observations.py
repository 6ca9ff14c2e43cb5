"""What the loop saw of the world: facts that a decision may rest on.

A class is what this version of Bucle writes. Imports nothing heavy and does no I/O.
"""

from typing import Any, ClassVar

from bucle.loop.fact import Fact

__all__ = [
    "AlarmRaised",
    "AlarmResolved",
    "ChallengerSeen",
    "CodeSeen",
    "DataRefused",
    "DriftMeasured",
    "GainEstimated",
    "WindowJudged",
]


class WindowJudged(Fact, frozen=True, kw_only=True):
    """The labels of a window were in, and what the champion had predicted was measured.

    `error` and `reference` are in loss form, lower is better (1 - AUC, 1 - R²); the reference is
    what the model was validated at before it became champion.
    """

    kind: ClassVar[str] = "window_judged"

    model: str
    start: str
    end: str
    rows: int
    labelled: int
    metric: str
    error: float
    reference: float


class DriftMeasured(Fact, frozen=True, kw_only=True):
    """How far the inputs of a window lie from those the champion learned from.

    `distance` is the largest over the columns, `column` the one it belongs to.
    """

    kind: ClassVar[str] = "drift_measured"

    model: str
    start: str
    end: str
    rows: int
    distance: float
    column: str


class GainEstimated(Fact, frozen=True, kw_only=True):
    """What a new model would have saved on labels that just arrived.

    The rows are newer than what either model learned from. `gain` is the share of the champion's
    loss that is saved, `saved` the money.
    """

    kind: ClassVar[str] = "gain_estimated"

    champion: str
    challenger: str
    rows: int
    gain: float
    saved: float


class ChallengerSeen(Fact, frozen=True, kw_only=True):
    """What was seen of the model beside the champion at its present share of the keys.

    `baked_s` are the seconds for which it was watched at that share, by a clock that never goes
    back; `pairs` the rows that both models have scored meanwhile, `answers` those of them that it
    answered itself, `failures` rows on which it gave no answer. `is_shunned` says that workers died
    with it and let it in no more. `slower` is the 99th percentile of
    its time over that of the champion on the same rows. Of the pairs since it was deployed
    `labelled` have a label: `gain` is the share of the champion's loss that it saves on them, with
    bounds that hold however often one looks. None where nothing can be said.
    """

    kind: ClassVar[str] = "challenger_seen"

    champion: str
    model: str
    share: float
    baked_s: float
    pairs: int = 0
    answers: int = 0
    failures: int = 0
    is_shunned: bool = False
    slower: float | None = None
    labelled: int = 0
    gain: float | None = None
    low: float | None = None
    high: float | None = None


class CodeSeen(Fact, frozen=True, kw_only=True):
    """What the project would learn by is something else than before.

    `source` and `code` are the digests that runs record; without `code` an earlier Bucle wrote it,
    which took any file of text for code.
    """

    kind: ClassVar[str] = "code_seen"

    source: str
    code: str = ""


class DataRefused(Fact, frozen=True, kw_only=True):
    """What came in for a dataset could not be taken: not one row of it is there.

    `file` is empty for the dataset's own source, `digest` stands for the content, `error` says what
    was wrong with it. `over` says why it is refused no more, empty while it is; an addition that
    takes the file ends it as well.
    """

    kind: ClassVar[str] = "data_refused"

    dataset: str
    file: str
    digest: str
    error: str
    over: str = ""

    @property
    def reason(self) -> str:
        """The first line of the error."""
        return self.error.strip().partition("\n")[0].rstrip(".")


class AlarmRaised(Fact, frozen=True, kw_only=True):
    """Watching found something that somebody should know; raised once, until it is resolved.

    `layer` is `harm`, `inputs` or `contract`; with `subject` it names the alarm. `since` is when it
    began, as far as can be told; `examples` are some rows that show it.
    """

    kind: ClassVar[str] = "alarm_raised"

    layer: str
    subject: str
    since: str
    why: str
    model: str = ""
    examples: tuple[dict[str, Any], ...] = ()

    @property
    def name(self) -> str:
        """Layer and subject: the same alarm has the same name whenever it is raised."""
        return f"{self.layer}: {self.subject}"


class AlarmResolved(Fact, frozen=True, kw_only=True):
    """What an alarm was about is over."""

    kind: ClassVar[str] = "alarm_resolved"

    layer: str
    subject: str
    why: str

    @property
    def name(self) -> str:
        """That of the alarm."""
        return f"{self.layer}: {self.subject}"
