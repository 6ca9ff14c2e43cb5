"""All policies walk through history side by side, from moment to moment, and share what is trained.

Each has its own log, its own state and the same controller as a live project.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime

from msgspec import Struct

from bucle.clock import FixedClock, from_iso
from bucle.loop.control import Controller, Look
from bucle.loop.events import draft_fact
from bucle.loop.policy import Policy
from bucle.loop.replay.archive import Archive
from bucle.loop.replay.material import Learned
from bucle.loop.replay.outlook import Outlook
from bucle.loop.replay.survey import Survey, Training
from bucle.loop.replay.world import ReplayWorld
from bucle.loop.spans import Span
from bucle.models.registry import champion
from bucle.store.memory_log import MemoryLog

__all__ = ["Course", "Driver", "Leg", "foresee", "walk"]


class Leg(Struct, frozen=True, kw_only=True):
    """One period of one policy: who was champion in it, and what was decided when it began.

    `head` is the hash of the last event of the policy's log by then: it stands for all before it.
    """

    champion: Learned
    look: Look
    candidate: Learned | None
    head: str


class Course(Struct, frozen=True, kw_only=True):
    """One policy's whole way through history, a leg a period."""

    policy: Policy
    legs: tuple[Leg, ...]


def walk(
    archive: Archive,
    outlook: Outlook,
    policies: Sequence[Policy],
    *,
    beside: Iterable[tuple[Training, int | None]] = (),
) -> tuple[Course, ...]:
    """Drive every policy through every moment.

    Args:
        archive: The material.
        outlook: The view from its moments.
        policies: What is followed.
        beside: Further training sets, made together with those the policies need.

    Raises:
        BucleError: The first model of history cannot be trained.
    """
    survey = archive.survey
    looking = any(policy.triggers for policy in policies)
    archive.prepare(
        [*((training, None) for training in foresee(survey, policies)), *beside],
        moments=range(_count(survey) if looking else 0),
    )
    outlook.move(0)
    drivers = [Driver(outlook, policy) for policy in policies]
    for number in range(1, _count(survey)):
        outlook.move(number)
        for driver in drivers:
            driver.look(outlook.now)
    archive.finish()
    return tuple(Course(policy=driver.policy, legs=tuple(driver.legs)) for driver in drivers)


def foresee(survey: Survey, policies: Sequence[Policy]) -> list[Training]:
    """Return the training sets that are sure to be asked for, whatever happens.

    They are the first ones, those of policies that only follow the calendar, and those that gains
    are estimated with. They come in the order of the moments that need them: the walk goes on
    while those of later moments are made.
    """
    found: dict[tuple[int, str], Training] = {}
    for policy in policies:
        kinds = {trigger.kind for trigger in policy.triggers}
        for number in _sure_moments(survey, policy):
            moment = survey.moments[survey.first + number]
            whole, cut = moment.whole[policy.window], moment.cut[policy.window]
            wanted = [whole] if policy.gate == "none" and "gain" not in kinds else [cut]
            if number == 0:
                # What history begins with is validated only where that is compared with later.
                wanted = [whole, cut] if "performance" in kinds else [whole]
            for training in wanted:
                if training is not None:
                    text = f"{training.moment} {training.since} {training.asked_from}"
                    found[number, text] = training
    return [found[name] for name in sorted(found)]


class Driver:
    """One policy on its way: its log, its state and a controller; `legs` are what it went through.

    Args:
        outlook: The view from the moment at which it begins; moved by whoever drives.
        policy: What is followed.

    Raises:
        BucleError: The first model cannot be trained.
    """

    def __init__(self, outlook: Outlook, policy: Policy) -> None:
        self.policy = policy
        self.legs: list[Leg] = []
        self._world = ReplayWorld(outlook, policy)
        self._outlook = outlook
        self._log = MemoryLog()
        clock = FixedClock(outlook.now)
        facts = self._world.begin()
        self._log.append([draft_fact(fact, clock=clock, actor="history") for fact in facts])
        self._controller = Controller(self._world, policy, self._log)
        self._note(Look(did=(), why="history begins with the model of this day"))

    def look(self, now: datetime) -> None:
        """Let the controller look, decide and act at the moment of the outlook."""
        self._note(self._controller.look(now))

    def _note(self, look: Look) -> None:
        reigning = champion(self._controller.state.tenures)
        if reigning is None:
            raise AssertionError("history begins with a champion")
        self.legs.append(
            Leg(
                champion=self._world.models[reigning.model],
                look=look,
                candidate=self._world.candidates.get(self._outlook.number),
                head=self._log.head().hash,
            )
        )


def _sure_moments(survey: Survey, policy: Policy) -> Iterable[int]:
    yield 0
    moments = [from_iso(one.at) for one in survey.moments[survey.first :]]
    if any(trigger.kind == "gain" for trigger in policy.triggers):
        yield from range(1, len(moments))
        return
    spans = [
        Span(count=int(trigger.amount), unit=trigger.unit or "d")
        for trigger in policy.triggers
        if trigger.kind == "every"
    ]
    if not spans or len(spans) < len(policy.triggers):
        return
    last = moments[0]
    for number, at in enumerate(moments[1:], start=1):
        if any(span.after(last) <= at for span in spans):
            yield number
            last = at


def _count(survey: Survey) -> int:
    return len(survey.moments) - survey.first
