"""Contradictions in what the loop follows: `[retrain]`, `[deploy]`, `[watch]` and approvals.

Reads the typed charter and nothing else. Must not import anything heavy.
"""

import math
import re
from collections.abc import Iterator
from itertools import pairwise

from bucle.charter.addresses import check_webhook
from bucle.charter.budget import days_between
from bucle.charter.intervals import seconds_in
from bucle.charter.policies import parse_policy
from bucle.charter.problems import Problem
from bucle.charter.settings import Charter, DeploySettings, RetrainSettings, WatchSettings
from bucle.charter.zones import find_zone
from bucle.errors import CharterError

__all__ = ["find_loop_problems"]

_WINDOW = re.compile(r"last:[1-9]\d{0,3}(d|w|mo|y)")
_SPAN = re.compile(r"[1-9]\d{0,3}(d|w|mo|y)")
_ROLE = re.compile(r"[a-z][a-z0-9_-]{0,63}")
_SHORTEST_LOOK = 10.0
_MINUTES = 60.0


def find_loop_problems(charter: Charter) -> Iterator[Problem]:
    """Yield every contradiction, in the order of the charter."""
    yield from _approval(charter.gates.approval)
    yield from _retrain(charter.retrain)
    yield from _deploy(charter.deploy)
    yield from _watch(charter.watch)


def _approval(roles: tuple[str, ...]) -> Iterator[Problem]:
    for number, role in enumerate(roles):
        if not _ROLE.fullmatch(role):
            cause = "a role is a short name of small letters, digits, - and _"
            attempt = 'approval = ["business"]'
            yield Problem(key="gates.approval", value=role, cause=cause, attempt=attempt)
        elif role in roles[:number]:
            yield Problem(key="gates.approval", value=role, cause="it is listed twice")


def _retrain(retrain: RetrainSettings) -> Iterator[Problem]:
    named = [("policies", text) for text in retrain.policies]
    if retrain.policy is not None:
        named.append(("policy", retrain.policy))
    for key, text in named:
        try:
            parse_policy(text)
        except CharterError as error:
            yield _told(f"retrain.{key}", text, error)
    if retrain.window != "expanding" and not _WINDOW.fullmatch(retrain.window):
        cause = "a window is expanding, or last:<n>d|w|mo|y"
        yield Problem(key="retrain.window", value=retrain.window, cause=cause, attempt="last:2y")
    if retrain.cooldown != "0d" and not _SPAN.fullmatch(retrain.cooldown):
        cause = "a span is a whole number and d, w, mo or y; 0d for none"
        yield Problem(key="retrain.cooldown", value=retrain.cooldown, cause=cause, attempt="1d")
    try:
        find_zone(retrain.zone)
    except CharterError as error:
        yield _told("retrain.zone", retrain.zone, error)


def _deploy(deploy: DeploySettings) -> Iterator[Problem]:
    steps = deploy.steps
    for share in steps:
        if not (math.isfinite(share) and 0 <= share < 1):
            cause = "a step is a share of the requests, from 0 for a shadow to below 1"
            yield Problem(key="deploy.steps", value=share, cause=cause, attempt="[0, 0.05, 0.25]")
    if any(after <= before for before, after in pairwise(steps)):
        cause = "each step is larger than the one before"
        yield Problem(key="deploy.steps", value=list(steps), cause=cause, attempt="[0, 0.05, 0.25]")
    lasts = [deploy.bake_minutes / _MINUTES if share else deploy.shadow_hours for share in steps]
    longest = max(lasts, default=0.0)
    if steps and longest >= deploy.deadline_hours:
        yield Problem(
            key="deploy.deadline_hours",
            value=deploy.deadline_hours,
            cause=f"a step alone may take {longest:g} hours: nothing would get through",
            attempt=f"deadline_hours = {math.ceil(2 * longest)}",
        )


def _watch(watch: WatchSettings) -> Iterator[Problem]:
    try:
        days_between(watch.false_alarms)
    except ValueError as error:
        yield Problem(key="watch.false_alarms", value=watch.false_alarms, cause=str(error))
    try:
        if seconds_in(watch.every) < _SHORTEST_LOOK:
            cause = f"it must be {_SHORTEST_LOOK:g} seconds at least"
            yield Problem(key="watch.every", value=watch.every, cause=cause, attempt="1h")
    except ValueError as error:
        yield Problem(key="watch.every", value=watch.every, cause=str(error), attempt="1h")
    if watch.webhook is not None:
        try:
            check_webhook(watch.webhook)
        except CharterError as error:
            yield _told("watch.webhook", watch.webhook, error)
    if watch.command and not watch.command[0].strip():
        cause = "its first part is the program that is run"
        attempt = 'command = ["notify-send", "bucle"]'
        yield Problem(key="watch.command", value=watch.command[0], cause=cause, attempt=attempt)
    for part in watch.command:
        if "\0" in part:
            cause = "no argument of a program can hold a zero byte"
            yield Problem(key="watch.command", value=part, cause=cause)


def _told(key: str, value: str, error: CharterError) -> Problem:
    return Problem(
        key=key,
        value=value,
        cause=error.cause,
        did_you_mean=error.did_you_mean,
        attempt=error.attempt,
        code=error.code,
    )
