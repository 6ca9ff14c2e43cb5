"""What people are told of alarms: each event of the log that opens or closes one, as a message.

Pure: the same events give the same messages, with the same keys. Imports nothing heavy.
"""

from typing import Any, Literal

from msgspec import Struct

from bucle.loop.alarms.closing import why_ended
from bucle.loop.events import Promoted, RolledBack, read_fact
from bucle.loop.observations import AlarmRaised, AlarmResolved
from bucle.types import Event

__all__ = ["Message", "MessageFold"]

_OF_A_MODEL = {"harm", "inputs"}
_KINDS = {AlarmRaised.kind, AlarmResolved.kind, Promoted.kind, RolledBack.kind}


class Message(Struct, frozen=True, kw_only=True):
    """One alarm that opened or closed, as it is sent.

    `key` is the hash of the event, and the same whenever it is sent again. `text` says all of it
    in one line, under the name that chat services read. `examples` are rows: they stay on this
    machine.
    """

    key: str
    position: int
    at: str
    project: str
    status: Literal["raised", "resolved"]
    layer: str
    subject: str
    since: str
    why: str
    model: str
    text: str
    examples: tuple[dict[str, Any], ...] = ()


class MessageFold:
    """The alarms that are open, event by event.

    Args:
        project: The project's name.
    """

    def __init__(self, project: str) -> None:
        self._project = project
        self._open: dict[str, AlarmRaised] = {}
        self._model = ""

    def apply(self, event: Event) -> tuple[Message, ...]:
        """Take in the next event and return what is to be said of it, most often nothing."""
        if event.kind not in _KINDS:
            return ()
        match read_fact(event):
            case AlarmRaised() as fact if fact.name not in self._open:
                self._open[fact.name] = fact
                return (self._raised(event, fact),)
            case AlarmResolved() as fact if fact.name in self._open:
                return (self._resolved(event, self._open.pop(fact.name), fact.why, event.hash),)
            case Promoted(model=model) | RolledBack(model=model) if model != self._model:
                former, self._model = self._model, model
                return self._enthrone(event, why_ended(model, former))
        return ()

    def _enthrone(self, event: Event, why: str) -> tuple[Message, ...]:
        """Close what was said of the champion before: its errors and its inputs."""
        over = [name for name, one in self._open.items() if one.layer in _OF_A_MODEL]
        return tuple(
            self._resolved(
                event,
                self._open.pop(name),
                why,
                f"{event.hash}-{number}" if number else event.hash,
            )
            for number, name in enumerate(over)
        )

    def _raised(self, event: Event, fact: AlarmRaised) -> Message:
        return Message(
            key=event.hash,
            position=event.position,
            at=event.at,
            project=self._project,
            status="raised",
            layer=fact.layer,
            subject=fact.subject,
            since=fact.since,
            why=fact.why,
            model=fact.model,
            text=f"{self._project}: alarm, {fact.name}: {fact.why}",
            examples=fact.examples,
        )

    def _resolved(self, event: Event, opened: AlarmRaised, why: str, key: str) -> Message:
        return Message(
            key=key,
            position=event.position,
            at=event.at,
            project=self._project,
            status="resolved",
            layer=opened.layer,
            subject=opened.subject,
            since=opened.since,
            why=why,
            model=opened.model,
            text=f"{self._project}: resolved, {opened.name}: {why}",
        )
