"""The charter as typed, frozen values: what each key of bucle.toml means.

Reading, precedence and checking live beside this file; nothing here touches a disk.
"""

from typing import Any, Literal

from msgspec import Struct, field

__all__ = [
    "Charter",
    "CharterSettings",
    "DatasetSettings",
    "DeploySettings",
    "GateSettings",
    "Kpi",
    "Money",
    "PipelineSettings",
    "ProjectSettings",
    "ReplaySettings",
    "RetrainSettings",
    "ServeSettings",
    "WatchSettings",
]


class ProjectSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[project]`: the name people see."""

    name: str


class Kpi(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[[charter.kpis]]`: what is measured, what is aimed for, what a gate demands."""

    metric: str
    goal: float | None = None
    must: float | None = None


class Money(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[charter.money]`: what an error and a retrain cost.

    `error` names a built-in (`absolute`, `squared`, `asymmetric`, `zero-one`) or a function of the
    project, `file.py:function`, called with arrays of truth and prediction and returning a cost
    a row. `under` and `over` weigh the two sides of `asymmetric` and `zero-one`.
    """

    error: str = "absolute"
    under: float = 1.0
    over: float = 1.0
    retrain: float = 0.0
    alarm: float = 0.0
    currency: str = "USD"


class CharterSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[charter]`: why the project exists and how success is measured."""

    problem: str = ""
    value: str = ""
    users: tuple[str, ...] = ()
    owner: str = ""
    risks: tuple[str, ...] = ()
    kpis: tuple[Kpi, ...] = ()
    money: Money = field(default_factory=Money)


class DatasetSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[data.NAME]`: where rows come from and what their times mean.

    `event_time` is when the prediction is made, `label_time` when the truth became known; `label`
    lists every column that is known only then. `contract` and `prepare` name `file.py:Name`.
    """

    source: tuple[str, ...] | str = ()
    query: str | None = None
    format: Literal["csv", "parquet", "jsonl", "arrow", "sql"] | None = None
    encoding: str | None = None
    separator: str | None = None
    decimal: Literal[".", ","] = "."
    dates: Literal["day-first", "month-first"] | None = None
    null_values: tuple[str, ...] = ("",)
    key: tuple[str, ...] | str = ()
    event_time: str | None = None
    label: tuple[str, ...] | str = ()
    label_time: str | None = None
    contract: str | None = None
    prepare: str | None = None


class PipelineSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[pipeline]`: which step is the model and which frame its rows come from.

    `examples` is the step or dataset whose rows are predicted; `target` is the column predicted;
    `features` are the columns a prediction may use (default: every column of the examples but
    labels, times and key). `key` names one row of the examples (default: the dataset's key where
    the examples have it, else their content). `parameters` sets steps' parameters:
    `model.learning_rate = 0.05`.
    """

    file: str = "pipeline.py"
    model: str | None = "model"
    kind: Literal["regression", "classification"] = "regression"
    examples: str | None = None
    target: str | None = None
    features: tuple[str, ...] = ()
    key: tuple[str, ...] | str = ()
    seed: int = 0
    workers: int = 2
    parameters: dict[str, dict[str, Any]] = field(default_factory=dict)


class GateSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[gates]`: how a challenger is judged.

    `holdout` is the share of labelled rows, the newest ones, that training never sees. `looks` is
    `once` (paired t interval, widened for skewed losses) or `many` (confidence sequence).
    `margin` is the relative loss that still counts as equal: 0 demands a better challenger.
    `approval` names the roles whose word a promotion waits for.
    """

    holdout: float = 0.2
    confidence: float = 0.95
    looks: Literal["once", "many"] = "once"
    margin: float = 0.0
    baselines: tuple[str, ...] = ("median", "last")
    baseline_key: str | None = None
    slices: tuple[str, ...] = ()
    slice_margin: float = 0.1
    cluster: str | None = None
    max_megabytes: float | None = None
    max_latency_ms: float | None = None
    threshold: float = 0.5
    refit: bool = False
    promote: Literal["auto", "ask"] = "auto"
    approval: tuple[str, ...] = ()


class RetrainSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[retrain]`: which policy the loop follows, and which ones a replay sets side by side.

    `policy` is the loop's, the first of `policies` where it is unset. `window` is how much of the
    past a model learns from. Between two retrains lies `cooldown` at least (`0d`: none), and a
    month has `most_per_month` at most. `zone` is that of the schedules of `cron:` triggers.
    """

    policies: tuple[str, ...] = ("never",)
    policy: str | None = None
    window: str = "expanding"
    cooldown: str = "1d"
    most_per_month: int = 8
    zone: str = "UTC"

    @property
    def followed(self) -> str:
        """The policy that the loop follows."""
        return self.policy or (self.policies[0] if self.policies else "never")


class DeploySettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[deploy]`: the way of a new model into service.

    `steps` are the shares of requests it answers before it answers all, 0 for a shadow; without
    steps it answers all at once. A shadow ends after `pairs` rows that both models have answered or
    after `shadow_hours`; every other step bakes for `bake_minutes` and `requests` at least. No step
    ends before `labels` of the rows that both have answered have a label. What is not through a
    step after `deadline_hours` is withdrawn. After a promotion the champion before is kept beside
    the new one for `probation_hours`; if it errs less it comes back.
    """

    steps: tuple[float, ...] = (0.0, 0.05, 0.25)
    pairs: int = 500
    bake_minutes: float = 15.0
    requests: int = 200
    shadow_hours: float = 24.0
    labels: int = 0
    deadline_hours: float = 168.0
    probation_hours: float = 168.0


class ReplaySettings(
    Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    rename={"start": "from", "end": "to"},
):
    """`[replay]`: what `bucle replay` does when its options say nothing else.

    `start` is written `from` and `end` `to`. `world` names a class of the project,
    `file.py:Name`, whose items answer to what the champion proposes; `explore` lists by how much
    chance proposals are moved, as the spread of their logarithm.
    """

    start: str | None = None
    end: str | None = None
    period: str | None = None
    gates: tuple[str, ...] = ()
    windows: tuple[str, ...] = ()
    explore: tuple[float, ...] = ()
    world: str | None = None


class ServeSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[serve]`: how predictions are answered over HTTP.

    `hosts` are the names under which the server may be asked beside those of the machine itself;
    `max_body_mb` is how large a request may be.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    workers: int = 1
    hosts: tuple[str, ...] = ()
    max_body_mb: float = 10.0


class WatchSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[watch]`: how often it looks, how often it may be wrong, and who is told.

    `false_alarms` is the budget of all alarms together, such as `1 per 180 days`; `every` is the
    time between two looks. An alarm is posted to `webhook` and given to `command`, a program and
    its arguments.
    """

    false_alarms: str = "1 per 180 days"
    every: str = "1h"
    webhook: str | None = None
    command: tuple[str, ...] = ()


class Charter(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All of bucle.toml."""

    project: ProjectSettings
    charter: CharterSettings = field(default_factory=CharterSettings)
    data: dict[str, DatasetSettings] = field(default_factory=dict)
    pipeline: PipelineSettings = field(default_factory=PipelineSettings)
    gates: GateSettings = field(default_factory=GateSettings)
    retrain: RetrainSettings = field(default_factory=RetrainSettings)
    deploy: DeploySettings = field(default_factory=DeploySettings)
    replay: ReplaySettings = field(default_factory=ReplaySettings)
    serve: ServeSettings = field(default_factory=ServeSettings)
    watch: WatchSettings = field(default_factory=WatchSettings)
