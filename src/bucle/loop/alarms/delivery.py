"""Alarms brought to people, in threads of their own: nobody who does not answer delays anything.

The log is followed, and what was delivered is remembered beside it, so that after a restart only
what was under way is sent again, under the same key. Imports nothing heavy.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence

from msgspec import Struct

from bucle.clock import SystemClock
from bucle.errors import BucleError
from bucle.loop.alarms.channels import Channel, Failure
from bucle.loop.alarms.command import Command
from bucle.loop.alarms.delivered import Delivered, Mark
from bucle.loop.alarms.messages import Message, MessageFold
from bucle.loop.alarms.webhook import Webhook
from bucle.loop.workspace import Workspace
from bucle.store.sqlite_log import SqliteLog
from bucle.types import Clock, Head, Log

__all__ = ["AlarmDelivery", "Pace", "start_delivery"]

_JOIN_S = 5.0


class Pace(Struct, frozen=True, kw_only=True):
    """How often the log is looked at, and how patiently a message is tried again.

    The wait between two tries doubles, from `first_s` up to `longest_s`; after `patience_s` a
    message is given up and the next one has its turn.
    """

    look_s: float = 1.0
    first_s: float = 1.0
    longest_s: float = 600.0
    patience_s: float = 6 * 3600.0


class AlarmDelivery:
    """Channels at work, each in its own thread.

    Args:
        channels: Where alarms go.
        project: The project's name.
        open_log: Opens the log; called once in each thread.
        delivered: How far each channel is.
        say: Takes what people at the terminal should know: what fails, and that it goes again.
        pace: How often, how patiently.
        clock: Its monotonic time is read.
    """

    def __init__(
        self,
        channels: Iterable[Channel],
        *,
        project: str,
        open_log: Callable[[], Log],
        delivered: Delivered,
        say: Callable[[str], object],
        pace: Pace | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._stop = threading.Event()
        couriers = [
            _Courier(
                channel,
                project=project,
                delivered=delivered,
                say=say,
                pace=pace or Pace(),
                clock=clock or SystemClock(),
                stop=self._stop,
            )
            for channel in channels
        ]
        self._channels = [courier.channel for courier in couriers]
        self._threads = [
            threading.Thread(
                target=courier.run, args=[open_log], name=courier.channel.kind, daemon=True
            )
            for courier in couriers
        ]

    def start(self) -> None:
        """Begin; returns at once."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End within seconds; what is under way is sent again at the next start."""
        self._stop.set()
        for channel in self._channels:
            channel.close()
        for thread in self._threads:
            thread.join(_JOIN_S)


def start_delivery(
    workspace: Workspace, *, say: Callable[[str], object], pace: Pace | None = None
) -> AlarmDelivery:
    """Bring a project's alarms to where its charter says; does nothing where it says nowhere.

    One process of a project does it: its leader. A channel that is new begins with what comes
    after its first start.

    Raises:
        CharterError: The webhook's address cannot be used (bucle-197).
    """
    watch = workspace.charter.watch
    channels: list[Channel] = []
    if watch.webhook:
        channels.append(Webhook(watch.webhook))
    if watch.command:
        channels.append(Command(watch.command, folder=workspace.root, say=say))
    delivery = AlarmDelivery(
        channels,
        project=workspace.charter.project.name,
        open_log=lambda: SqliteLog(workspace.home / "log.db", clock=workspace.clock),
        delivered=Delivered(workspace.home / "watch" / "delivered"),
        say=say,
        pace=pace,
    )
    delivery.start()
    return delivery


class _Courier:
    """Brings messages to one channel, in the order of the log."""

    def __init__(
        self,
        channel: Channel,
        *,
        project: str,
        delivered: Delivered,
        say: Callable[[str], object],
        pace: Pace,
        clock: Clock,
        stop: threading.Event,
    ) -> None:
        self.channel = channel
        self._project = project
        self._fold = MessageFold(project)
        self._delivered = delivered
        self._say = say
        self._pace = pace
        self._clock = clock
        self._stop = stop
        self._position = 0
        self._done: int | None = None
        self._pending: deque[tuple[Message, ...]] = deque()
        self._troubles: dict[str, str] = {}

    def run(self, open_log: Callable[[], Log]) -> None:
        """Follow the log until told to stop."""
        log: Log | None = None
        while not self._stop.is_set():
            try:
                log = log or open_log()
                self._read(log)
                self._tell("log", "")
            except BucleError as error:
                # A log that cannot be read now, or a disk that is full: later, perhaps.
                self._tell("log", _line(error))
            while self._pending and self._deliver(self._pending[0]):
                self._pending.popleft()
            self._stop.wait(self._pace.look_s)

    def _read(self, log: Log) -> None:
        """Note what is new to say, an event each; the log is let go before anything is sent."""
        if self._done is None:
            self._done = self._begin(log)
        for event in log.read(after=self._position):
            messages = self._fold.apply(event)
            self._position = event.position
            if messages and event.position > self._done:
                self._pending.append(messages)

    def _begin(self, log: Log) -> int:
        """Return up to where all is told already, as far as this log is the one it was told of."""
        marks = self._delivered.marks(self.channel.kind)
        head = log.head()
        if not marks:
            self._delivered.note(self.channel.kind, Mark(head.position, head.hash))
            return head.position
        known = next((mark for mark in reversed(marks) if _is_in(mark, log, head)), None)
        if known is None:
            # Nothing says what was told of this log: people learn of what is open.
            known = Mark(_before_open(log, self._project, head), "")
        if known != marks[-1]:
            self._say(
                "the log is another one than before: alarms after event"
                f" {known.position} are told, perhaps again"
            )
            self._delivered.go_back(self.channel.kind, known)
        return known.position

    def _deliver(self, messages: Sequence[Message]) -> bool:
        """Bring an event's messages; False when told to stop before they were there."""
        for message in messages:
            if not self._bring(message):
                return False
        try:
            last = messages[-1]
            mark = Mark(last.position, last.key.partition("-")[0])
            self._delivered.note(self.channel.kind, mark)
        except BucleError as error:
            self._tell("log", _line(error))
        return True

    def _bring(self, message: Message) -> bool:
        began, wait, tries = self._clock.monotonic(), self._pace.first_s, 0
        while not self._stop.is_set():
            failure = self.channel.send(message)
            if failure is None:
                self._tell("channel", "", over=f"{self.channel.name} is told of alarms again")
                return True
            if self._stop.is_set():
                # It was cut, and did not fail.
                return False
            tries += 1
            self._tell("channel", _line(failure.error))
            if self._is_hopeless(failure, tries, since=began):
                self._say(
                    f"given up after {tries} tries to reach {self.channel.name}: {message.text}"
                )
                return True
            self._stop.wait(max(wait, failure.wait_s))
            wait = min(2 * wait, self._pace.longest_s)
        return False

    def _is_hopeless(self, failure: Failure, tries: int, *, since: float) -> bool:
        if failure.attempts is not None and tries >= failure.attempts:
            return True
        return self._clock.monotonic() - since >= self._pace.patience_s

    def _tell(self, where: str, trouble: str, *, over: str = "") -> None:
        """Say a trouble once, and that it is over."""
        before = self._troubles.get(where, "")
        self._troubles[where] = trouble
        words = trouble or (over if before else "")
        if trouble != before and words:
            self._say(words)


def _is_in(mark: Mark, log: Log, head: Head) -> bool:
    """Tell whether a log has the event that a mark names."""
    if mark.position > head.position:
        return False
    if mark.position == 0 or not mark.hash:
        return True
    event = next(iter(log.read(after=mark.position - 1)), None)
    return event is not None and event.hash == mark.hash


def _before_open(log: Log, project: str, head: Head) -> int:
    """Return the position before the first alarm that is still open; the end without any."""
    fold, raised = MessageFold(project), dict[tuple[str, str], int]()
    for event in log.read():
        for message in fold.apply(event):
            name = (message.layer, message.subject)
            if message.status == "raised":
                raised[name] = message.position
            else:
                raised.pop(name, None)
    return min(raised.values(), default=head.position + 1) - 1


def _line(error: BucleError) -> str:
    parts = [error.what, error.cause, error.attempt and f"try: {error.attempt}"]
    return ": ".join(part for part in parts[:2] if part) + (f" ({parts[2]})" if parts[2] else "")
