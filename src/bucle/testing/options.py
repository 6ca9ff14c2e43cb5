"""What one seed stands for: every choice of a simulated life of the loop, as plain printed values.

Must not be imported by anything but tests. Imports nothing heavy.
"""

from collections.abc import Iterator
from typing import Literal, get_args

import msgspec
from msgspec import Struct

from bucle.loop.policy import GATES, Policy, make_policy
from bucle.loop.rollout import Rollout
from bucle.loop.spans import Span, parse_span
from bucle.testing.chance import Chance, chance

__all__ = [
    "LONGEST_JOB",
    "MODES",
    "Faults",
    "Labels",
    "Live",
    "Mode",
    "Options",
    "Trainings",
    "draw_options",
]

Mode = Literal["safety", "liveness"]
MODES: tuple[str, ...] = get_args(Mode)

# Days.
LONGEST_JOB = 4.0
_YEAR = 365
_SHORT = (14, 60)
_WHOLE_YEAR_EVERY = 40
_DAY_S = 86400.0
_MONTH = 31
_POLICIES = (
    "every:1d",
    "every:1w",
    "every:10d",
    "every:1mo",
    "performance:+5%",
    "performance:+20%",
    "drift",
    "drift:0.6",
    "gain",
    "performance:+15%/every:1mo",
    "drift/every:2w",
    "gain/every:2w",
    "gain/drift/performance:+10%",
    "never",
)
_LIVE_POLICIES = (
    "harm",
    "harm/age:30d",
    "harm/every:1mo",
    "age:10d",
    "cron:0 6 * * mon",
    "cron:0 3 1,15 * */harm",
    "data:+20%",
    "data:+50%/code/harm",
    "code",
    "regret",
    "harm/regret",
    "every:1w",
    "every:10d/drift",
    "gain/performance:+10%",
)


class Labels(Struct, frozen=True, kw_only=True):
    """What may happen to labels.

    `delay` is the mean time a label takes, `patience` how long a window waits for all of them, in
    days; the shares of groups of rows whose labels are `missing`, come `twice`, or are
    `contradicted` by later ones.
    """

    delay: float = 5.0
    patience: float = 20.0
    missing: float = 0.0
    twice: float = 0.0
    contradicted: float = 0.0


class Trainings(Struct, frozen=True, kw_only=True):
    """What may happen to a training, and to a refit.

    `slow` is its mean time in days. The probabilities that it `fails`, `repeats` (gives a model
    that is known already), goes by `halves` (its start is on record before its end), learns from
    `poison`; that a refit fails, is worse, or is a known model.
    """

    slow: float = 0.1
    fails: float = 0.0
    repeats: float = 0.0
    halves: float = 0.0
    poison: float = 0.0
    refit_fails: float = 0.0
    refit_worse: float = 0.0
    refit_same: float = 0.0


class Faults(Struct, frozen=True, kw_only=True):
    """What may happen to the processes.

    The probabilities of a `crash` between any two effects, that the process stays `down` until
    the next tick, that the clock `jumps` at a tick, that facts and events come again as `echoes`,
    and that `people` act at a tick; that a leader `stops` between two effects and comes back when
    another may lead. The shares of the time in which the disk is `full`, and no worker answers
    because all are `dead`.
    """

    crash: float = 0.0
    down: float = 0.0
    jumps: float = 0.0
    echoes: float = 0.0
    people: float = 0.0
    stops: float = 0.0
    full: float = 0.0
    dead: float = 0.0


class Live(Struct, frozen=True, kw_only=True):
    """What a loop that serves has beyond one that is replayed.

    `rollout`, `approval`, `cooldown` and `most_per_month` are as a charter says them; the first
    three may be empty. With `leases` one controller leads and the others stand by. `traffic` is
    the rows a day that the server answers. The probabilities that a trained model `breaks` on
    some rows, `drags` behind the champion or does not load (`unfit`); that at a tick data or code
    are `new`, that an alarm of harm is `false`, that a look which did nothing is `noted`. With
    `jobs` what takes long is under way until a later look. When faults are over, people go on to
    approve or not: `approving`.
    """

    rollout: Rollout | None = None
    approval: tuple[str, ...] = ()
    cooldown: str = ""
    most_per_month: int | None = None
    leases: bool = False
    traffic: float = 400.0
    breaks: float = 0.0
    drags: float = 0.0
    unfit: float = 0.0
    jobs: bool = False
    noted: float = 1.0
    new: float = 0.1
    false: float = 0.0
    approving: bool = True


class Options(Struct, frozen=True, kw_only=True):
    """One simulated life; probabilities lie between 0 and 1, times are in days.

    The loop runs for `days` under faults and for `quiet` days after they have stopped; it looks
    every `tick`. `begins_with` says whether a person has made a first champion. `aging` is what a
    model loses a day, `shocks` how often the world changes.
    """

    seed: int
    mode: Mode = "safety"
    days: int = _YEAR
    quiet: int = 0
    tick: float = 1.0
    policy: str = "every:1mo"
    gate: str = "referee"
    window: str = "expanding"
    promote: Literal["auto", "ask"] = "auto"
    price: float = 0.0
    begins_with: Literal["nothing", "champion"] = "champion"
    controllers: int = 1
    rows: int = 400
    aging: float = 0.002
    shocks: float = 0.01
    labels: Labels = Labels()
    trainings: Trainings = Trainings()
    faults: Faults = Faults()
    live: Live | None = None

    @property
    def rules(self) -> Policy:
        """The policy that the loop follows."""
        made = make_policy(self.policy, gate=self.gate, window=self.window, price=self.price)
        made = msgspec.structs.replace(made, promote=self.promote)
        live = self.live
        if live is None:
            return made
        return msgspec.structs.replace(
            made,
            rollout=live.rollout,
            approval=live.approval,
            cooldown=parse_span(live.cooldown) if live.cooldown else None,
            most_per_month=live.most_per_month,
        )

    def lines(self) -> tuple[str, ...]:
        """Return every choice, one in a line."""
        return tuple(f"{name:<22} {value}" for name, value in _choices(self, ""))


def draw_options(seed: int, *, mode: Mode = "safety", serves: bool = True) -> Options:
    """Expand a seed into the choices it stands for; every fortieth seed lives a whole year.

    Args:
        seed: What all is drawn from.
        mode: `safety`, or `liveness`: with quiet days at the end in which all must settle.
        serves: Live as a loop that serves; else as one that is replayed.

    Example:
        >>> draw_options(7) == draw_options(7), draw_options(40).days
        (True, 365)
    """
    drawn = _draw_replayed(seed, mode)
    return _draw_live(drawn) if serves else drawn


def _draw_live(drawn: Options) -> Options:
    """Add to a life what a loop that serves meets; drawn apart, so that the rest stays."""
    draw = chance(drawn.seed, drawn.mode, "live options")
    rare = _Rare(draw)
    live = Live(
        rollout=_draw_rollout(draw) if draw.happens(0.85) else None,
        approval=draw.choose(((), (), (), ("business",), ("business", "expert"))),
        cooldown=draw.choose(("1d", "3d", "2w")),
        most_per_month=draw.choose((None, 2, 4, 8)),
        leases=draw.happens(0.6),
        traffic=draw.choose((40.0, 400.0, 4000.0, 4000.0)),
        breaks=rare.draw(0.4),
        drags=rare.draw(0.4),
        unfit=rare.draw(0.2),
        jobs=draw.happens(0.5),
        noted=draw.choose((0.0, 0.2, 1.0)),
        new=draw.choose((0.02, 0.2)),
        false=rare.draw(0.15),
        approving=draw.happens(0.7),
    )
    faults = msgspec.structs.replace(
        drawn.faults,
        people=max(drawn.faults.people, rare.draw(0.3)),
        stops=rare.draw(0.05) if live.leases else 0.0,
        full=rare.draw(0.2),
        dead=rare.draw(0.5),
    )
    policy = draw.choose(_LIVE_POLICIES)
    options = msgspec.structs.replace(
        drawn,
        policy=policy,
        controllers=draw.choose((1, 2, 2, 3)) if live.leases else drawn.controllers,
        faults=faults,
        live=live,
    )
    if drawn.mode == "safety":
        return options
    waiting = drawn.labels.patience + 2 * drawn.labels.delay
    # Many quiet days follow, on which little happens.
    tick = max(drawn.tick, 1.0)
    quiet = _quiet_days(policy, tick, waiting) + _settling_days(options.rules, tick)
    return msgspec.structs.replace(options, tick=tick, quiet=quiet)


def _draw_rollout(draw: Chance) -> Rollout:
    """Return a way into service; its times are days, since the loop looks once or twice a day."""
    return Rollout(
        shares=draw.choose(((0.0, 0.05, 0.25), (0.0, 0.05, 0.25), (0.0, 0.5), (0.1,), (0.0,), ())),
        pairs=draw.choose((50, 500)),
        shadow_s=draw.choose((1.0, 4.0)) * _DAY_S,
        requests=draw.choose((20, 200)),
        bake_s=draw.choose((900.0, 1.5 * _DAY_S, 3.0 * _DAY_S)),
        labels=draw.choose((0, 0, 50)),
        deadline_s=draw.choose((5.0, 7.0)) * _DAY_S,
        probation_s=draw.choose((3.0, 7.0)) * _DAY_S,
    )


def _draw_replayed(seed: int, mode: Mode) -> Options:
    draw = chance(seed, mode, "options")
    days = _YEAR if seed % _WHOLE_YEAR_EVERY == 0 else draw.whole(*_SHORT)
    tick = draw.choose((1.0, 1.0, 1.0, 0.5, 3.0, 7.0))
    policy = draw.choose(_POLICIES)
    patience = draw.choose((0.0, 3.0, 20.0, 40.0))
    delay = draw.choose((0.0, 1.0, 7.0, 30.0))
    rare = _Rare(draw)
    return Options(
        seed=seed,
        mode=mode,
        days=days,
        quiet=0 if mode == "safety" else _quiet_days(policy, tick, patience + 2 * delay),
        tick=tick,
        policy=policy,
        gate=draw.choose(GATES),
        window=draw.choose(("expanding", "last:1y", "last:3mo")),
        promote="ask" if draw.happens(0.1) else "auto",
        price=draw.choose((0.0, 0.0, 200.0)) if mode == "safety" else 0.0,
        begins_with="nothing" if draw.happens(0.3) else "champion",
        controllers=2 if draw.happens(0.4) else 1,
        rows=draw.choose((40, 400, 4000)),
        aging=draw.choose((0.0, 0.002, 0.02)),
        shocks=draw.choose((0.0, 0.01, 0.1)),
        labels=Labels(
            delay=delay,
            patience=patience,
            missing=rare.draw(0.5),
            twice=rare.draw(0.5),
            contradicted=rare.draw(0.3),
        ),
        trainings=Trainings(
            slow=draw.choose((0.0, 0.1, 2.0)),
            fails=rare.draw(0.4),
            repeats=rare.draw(0.3),
            halves=rare.draw(1.0),
            poison=rare.draw(0.3),
            refit_fails=rare.draw(0.3),
            refit_worse=rare.draw(0.5),
            refit_same=rare.draw(0.3),
        ),
        faults=Faults(
            # Beginning anew folds the whole log: a long life is killed less often.
            crash=rare.draw(0.15 if days < _YEAR else 0.02),
            down=rare.draw(0.5),
            jumps=rare.draw(0.1),
            echoes=rare.draw(0.3),
            people=rare.draw(0.1),
        ),
    )


def _choices(value: Struct, path: str) -> Iterator[tuple[str, object]]:
    for name in value.__struct_fields__:
        found = getattr(value, name)
        if isinstance(found, Struct):
            yield from _choices(found, f"{path}{name}.")
        else:
            yield path + name, found


class _Rare:
    """Draws probabilities of which a good part is 0, so that lives differ in kind."""

    def __init__(self, draw: Chance) -> None:
        self._draw = draw

    def draw(self, most: float) -> float:
        value = round(self._draw.between(0.0, most), 3)
        return value if self._draw.happens(0.5) else 0.0


def _quiet_days(policy: str, tick: float, waiting: float) -> int:
    """Return how long without faults every policy must have settled, and have trained again.

    A calendar may have to wait for twice its span, when the last retrain is dated ahead by a wrong
    clock; what is seen of a window waits for its labels.
    """
    spans = (
        Span(count=int(trigger.amount), unit=trigger.unit).days
        for trigger in make_policy(policy).triggers
        if trigger.unit
    )
    return int(2 * max(spans, default=0.0) + waiting + 4 * tick) + 3


def _settling_days(rules: Policy, tick: float) -> int:
    """Return how much longer it takes where a model comes into service step by step.

    Whatever is on its way may stay at each share until the deadline; only then comes the next one,
    within the cool-down and the budget of the month.
    """
    days = rules.cooldown.days if rules.cooldown else 0.0
    days += 0 if rules.most_per_month is None else _MONTH
    if rules.rollout is not None:
        steps = len(rules.rollout.shares) + 1
        days += steps * (rules.rollout.deadline_s / _DAY_S + tick)
    return int(days) + 1
