"""How a model that passed comes into service: beside the champion, then a share at a time.

Rules over what was seen of it; missing evidence holds, and what holds for too long is taken away.
Pure: time is what was counted by a clock that never goes back, so a clock that jumps moves nothing.
"""

from typing import Literal

from msgspec import Struct

from bucle.grammar import say_count
from bucle.loop.observations import ChallengerSeen
from bucle.models.registry import Deployment

__all__ = ["Rollout", "Step", "compare_former", "is_news", "next_share", "next_step"]

_HOURS = 3600.0
_SECONDS_UNTIL = 60.0
_MUCH = 1.25
_MUCH_LATER = 2.0
_SOME = {"baked_s": 60.0, "pairs": 20, "answers": 20, "labelled": 20, "failures": 0}


class Rollout(Struct, frozen=True, kw_only=True):
    """The way of a candidate.

    `shares` are the parts of the keys it answers, one after the other; 0 is a shadow. A shadow is
    over after `pairs` rows that both models scored, or `shadow_s`; a canary after `bake_s` and
    `requests` rows that it answered; each only with `labels` labels of its pairs. What stays at a
    share for `deadline_s` is taken away. It may fail on a share `failing` of the rows, and be
    `slower` than the champion by that factor at the 99th percentile. For `probation_s` after a
    promotion the champion before is kept as a shadow. Times are seconds.
    """

    shares: tuple[float, ...] = (0.0, 0.05, 0.25)
    pairs: int = 500
    shadow_s: float = 24 * _HOURS
    requests: int = 200
    bake_s: float = 900.0
    labels: int = 0
    deadline_s: float = 7 * 24 * _HOURS
    failing: float = 0.01
    slower: float = 1.2
    probation_s: float = 7 * 24 * _HOURS


class Step(Struct, frozen=True, kw_only=True):
    """What to do with a deployed model: go on to the next share, hold, or stop; and why."""

    kind: Literal["go", "hold", "stop"]
    why: str


def next_step(
    deployed: Deployment, seen: ChallengerSeen | None, rollout: Rollout, *, held: str = ""
) -> Step:
    """Judge a candidate at its present share.

    Args:
        deployed: The candidate.
        seen: What was last seen of it at that share; None for nothing yet.
        rollout: The rules.
        held: What it waits for beside evidence, such as a person's word; empty for nothing.
    """
    if seen is None:
        return Step(kind="hold", why=f"nothing was seen of {deployed.model} yet")
    stop = _harm(seen, rollout)
    if stop:
        return Step(kind="stop", why=stop)
    missing = _missing(deployed, seen, rollout)
    if not missing and not held:
        return Step(kind="go", why=_good(seen))
    if seen.baked_s >= rollout.deadline_s:
        still = f"still {missing}" if missing else held
        return Step(kind="stop", why=f"after {_say_time(seen.baked_s)} at this share {still}")
    return Step(kind="hold", why=f"the {deployed.stage} {missing}" if missing else held)


def compare_former(seen: ChallengerSeen | None, rollout: Rollout) -> Step:
    """Judge the champion against the one before it, which scores the same rows as a shadow.

    `stop` says that the former one errs less: the champion has to go. `go` says that the
    comparison is over.
    """
    if seen is not None and seen.low is not None and seen.low > 0:
        why = f"{seen.model}, the champion before, errs less on the same {_labels(seen)}"
        return Step(kind="stop", why=f"{why}: {_say_gain(seen)}")
    if seen is not None and seen.baked_s >= rollout.probation_s:
        return Step(kind="go", why=f"{_say_time(seen.baked_s)} without harm after the promotion")
    return Step(kind="hold", why="the promotion is on probation")


def next_share(rollout: Rollout, share: float | None) -> float | None:
    """Return the share after one, the first after None; None when all that is left is everyone."""
    return next((one for one in rollout.shares if share is None or one > share), None)


def is_news(
    deployed: Deployment, seen: ChallengerSeen, known: ChallengerSeen | None, rollout: Rollout
) -> bool:
    """Tell whether something seen of a deployed model is worth a place on record.

    It is when it changes what is to be done, or says much more than what is known; so a model that
    holds for a week leaves dozens of events, not thousands. Of a former champion, which waits for
    labels, time that passes says little: it is worth a place when it has doubled.
    """
    judge = compare_former if deployed.is_former else None
    before, after = (
        judge(one, rollout) if judge else next_step(deployed, one, rollout) for one in (known, seen)
    )
    if before.kind != after.kind:
        return True
    much = dict.fromkeys(_SOME, _MUCH) | ({"baked_s": _MUCH_LATER} if judge else {})
    return any(
        getattr(seen, name) > much[name] * (getattr(known, name) if known else 0) + some
        for name, some in _SOME.items()
    )


def _harm(seen: ChallengerSeen, rollout: Rollout) -> str:
    """Say what is against a candidate whatever else is missing; empty for nothing."""
    if seen.is_shunned:
        return "workers died with it, again and again"
    asked = seen.pairs + seen.failures
    if seen.failures > 1 and seen.failures > rollout.failing * asked:
        return f"it failed on {seen.failures:,} of {say_count(asked, 'row')}"
    if seen.high is not None and seen.high < 0:
        return f"it errs more on the same {_labels(seen)}: {_say_gain(seen)}"
    # A little slower only holds: a percentile of few rows is not exact.
    if _is_slower(seen, rollout, times=2) and seen.pairs >= rollout.requests:
        return f"it takes {seen.slower:.1f} times as long as the champion"
    return ""


def _missing(deployed: Deployment, seen: ChallengerSeen, rollout: Rollout) -> str:
    """Say what a candidate waits for at its share; empty when it has all."""
    if deployed.share == 0:
        is_scored = seen.pairs >= rollout.pairs or (seen.pairs and seen.baked_s >= rollout.shadow_s)
        if not is_scored:
            return f"waits for pairs, {seen.pairs:,} of {rollout.pairs:,}"
    else:
        if seen.baked_s < rollout.bake_s:
            return f"bakes, {_say_time(seen.baked_s)} of {_say_time(rollout.bake_s)}"
        if seen.answers < rollout.requests:
            return f"waits for answers, {seen.answers:,} of {rollout.requests:,}"
    if seen.slower is None:
        return "waits until its time can be compared"
    if _is_slower(seen, rollout):
        return f"takes {seen.slower:.1f} times as long as the champion"
    if seen.labelled < rollout.labels:
        return f"waits for labels, {seen.labelled:,} of {rollout.labels:,}"
    return ""


def _is_slower(seen: ChallengerSeen, rollout: Rollout, *, times: float = 1.0) -> bool:
    return seen.slower is not None and seen.slower > times * rollout.slower


def _good(seen: ChallengerSeen) -> str:
    told = f"{say_count(seen.pairs, 'row')} scored by both, {seen.failures:,} failed"
    if seen.gain is None:
        return told + ", no labels yet"
    return f"{told}; on {_labels(seen)} {_say_gain(seen)}"


def _labels(seen: ChallengerSeen) -> str:
    return say_count(seen.labelled, "label")


def _say_gain(seen: ChallengerSeen) -> str:
    if seen.gain is None or seen.low is None or seen.high is None:
        return "no gain can be told"
    return f"it saves {seen.gain:+.1%} of the loss ({seen.low:+.1%} to {seen.high:+.1%})"


def _say_time(seconds: float) -> str:
    if seconds < _SECONDS_UNTIL:
        return f"{seconds:.0f} s"
    if seconds < 2 * _HOURS:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / _HOURS:.0f} h" if seconds < 48 * _HOURS else f"{seconds / 86400:.0f} days"
