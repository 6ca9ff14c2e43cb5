"""What watching says of a project at one moment: plain values that pages, charts and the loop read.

Imports nothing that judges; see `watching` for how it is found.
"""

from typing import Literal

from msgspec import Struct

from bucle.watch.contract import Breach, VolumeDay
from bucle.watch.coverage import Coverage
from bucle.watch.estimate import LossEstimate
from bucle.watch.examples import Example
from bucle.watch.inputs import Finding, Visible
from bucle.watch.restatement import Restatement
from bucle.watch.separation import Separation
from bucle.watch.series import Series

__all__ = [
    "Alarm",
    "ContractLayer",
    "Detailed",
    "HarmLayer",
    "InputLayer",
    "JudgedDay",
    "Layer",
    "RunningDay",
    "Watched",
]

Layer = Literal["harm", "inputs", "contract"]


class Alarm(Struct, frozen=True, kw_only=True):
    """Something that somebody should know; `layer` and `subject` together say which one it is.

    `subject` is the metric of a harm, the column of an input, and what breaches the contract, such
    as `volume` or `sales: quarantine`. `why` is one line for people.
    """

    layer: Layer
    subject: str
    since: str
    why: str
    examples: tuple[Example, ...] = ()

    @property
    def name(self) -> str:
        """Layer and subject: the same alarm has the same name at every look."""
        return f"{self.layer}: {self.subject}"


class InputLayer(Struct, frozen=True, kw_only=True):
    """What the inputs, and the outputs, of the last whole day are beside the reference.

    `date` is the day of the look, None where there was none; `days` how many days could be judged,
    `reference_days` by how many. `since` is the day that findings began on, with pauses of two
    days at most. `visible` are the smallest changes that would have been found in 4 of 5 cases: one
    measure a column, of the columns that are found or else of those that came nearest to it.
    """

    date: str | None
    days: int
    reference_days: int
    findings: tuple[Finding, ...] = ()
    since: str | None = None
    visible: tuple[Visible, ...] = ()


class JudgedDay(Struct, frozen=True, kw_only=True):
    """One day of a champion's answers, and what their labels said.

    `mature` days are judged, younger ones still wait for labels. `loss` is the mean loss of the
    labelled rows, `evidence` that of harm after the day; None where there is none.
    """

    date: str
    mature: bool
    rows: int
    labelled: int
    corrected: int
    loss: float | None = None
    evidence: float | None = None


class RunningDay(Struct, frozen=True, kw_only=True):
    """A day that is not over, as far as its labels had time to come: until a moment of it.

    `loss` is the mean loss of its labelled rows, `evidence` the most there was of harm on it.
    """

    until: str
    rows: int
    labelled: int
    loss: float
    evidence: float


class HarmLayer(Struct, frozen=True, kw_only=True):
    """What the champion's losses are beside those it was validated at.

    `until` is the last day whose labels are taken for whole: of nine in ten the label comes within
    `delay_days`. `evidence` counts as enough at 1. `error` is the metric since `since`, or over
    all judged days, `reference` what it was validated at, both None without a value. `expected` is
    the mean loss at validation and `limit` what still counts as no harm, on the scale of the days'
    losses. `running` is the day that is judged in part, None where it has too few labels for that.
    `restated` days were judged before and have another value now. `examples` are the rows
    with the largest losses since the alarm began.
    """

    metric: str
    until: str | None
    delay_days: float
    rows: int
    labelled: int
    corrected: int
    evidence: float
    expected: float
    limit: float
    alarm: str | None = None
    since: str | None = None
    error: float | None = None
    reference: float | None = None
    days: tuple[JudgedDay, ...] = ()
    running: RunningDay | None = None
    restated: tuple[Restatement, ...] = ()
    coverage: Coverage | None = None
    estimate: LossEstimate | None = None
    examples: tuple[Example, ...] = ()

    @property
    def unjudged(self) -> str:
        """Say why no day is judged; nothing where one is."""
        if self.labelled or self.running is not None:
            return ""
        if self.until is not None:
            return "no labels came"
        if any(day.labelled for day in self.days):
            return "not judged yet: a day is once it is over and its labels have had their time"
        return "no labels yet"


class ContractLayer(Struct, frozen=True, kw_only=True):
    """Whether rows come, in time, in number and in form.

    `judged` says what could be judged, and `unknown` what could not and why. `volume` is by day.
    """

    judged: tuple[str, ...]
    breaches: tuple[Breach, ...] = ()
    volume: tuple[VolumeDay, ...] = ()
    unknown: tuple[str, ...] = ()


class Watched(Struct, frozen=True, kw_only=True):
    """All layers at one moment; a layer that cannot say anything is None, and `why` says why.

    `separation` is the latest that is known, which may be of a week of before; None without one.
    """

    at: str
    champion: str
    days_between: float
    inputs: InputLayer | None
    harm: HarmLayer | None
    contract: ContractLayer
    alarms: tuple[Alarm, ...] = ()
    separation: Separation | None = None
    why: tuple[str, ...] = ()


class Detailed(Struct, frozen=True, kw_only=True):
    """What was watched, with every measure day by day.

    `profiled` days were read for this look, the others were known from an earlier one.
    """

    watched: Watched
    series: tuple[Series, ...]
    profiled: int
