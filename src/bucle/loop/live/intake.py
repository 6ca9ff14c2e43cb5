"""Lets data in while the loop goes on: one arrival after the other, each by a job.

What cannot be taken is on record, and an alarm is open for as long as it is there. Imports nothing
heavy.
"""

from collections.abc import Callable, Mapping
from datetime import datetime

from bucle.clock import to_iso
from bucle.loop.arrivals import Arrival, Arrivals
from bucle.loop.fact import Fact
from bucle.loop.live.jobs import Jobs
from bucle.loop.live.orders import Answer
from bucle.loop.live.rounds import Rounds
from bucle.loop.refused import alarms_of
from bucle.loop.state import State

__all__ = ["Intake"]

_JOB = "ingest"
_LOOK = "arrivals"


class Intake:
    """The door of a live project.

    Args:
        arrivals: Looks for what has come in.
        jobs: Do the reading.
        rounds: When to look, and what was said.
        every_s: How often to look.
        say: Told what people should know, one line at a time.
    """

    def __init__(
        self,
        arrivals: Arrivals,
        jobs: Jobs,
        rounds: Rounds,
        *,
        every_s: float,
        say: Callable[[str], None],
    ) -> None:
        self._arrivals = arrivals
        self._jobs = jobs
        self._rounds = rounds
        self._every_s = every_s
        self._say = say
        self._arriving: Arrival | None = None

    def look(
        self,
        state: State,
        now: datetime,
        *,
        start: Callable[[str, str, Mapping[str, object]], None],
    ) -> tuple[Fact, ...]:
        """Let in what has come; return what was refused, or is no more, and the alarms of it.

        Args:
            state: What is on record.
            now: The moment.
            start: Begins a job of a name and a kind, with details.
        """
        answer, arriving = self._jobs.take(_JOB), self._arriving
        if answer is not None and arriving is not None:
            self._conclude(arriving, answer)
            self._arriving = None
            # What was added is not in this state yet.
            return ()
        if self._jobs.is_running(_JOB) or not self._rounds.is_due(_LOOK, self._every_s):
            return ()
        found = self._arrivals.look(state)
        for trouble in found.troubles:
            self._say(trouble.render())
        if found.arrivals:
            self._arriving = found.arrivals[0]
            details = {"dataset": self._arriving.dataset, "file": self._arriving.file}
            start(_JOB, _JOB, details)
        alarms = alarms_of(state.refused, state.alarms, found.refusals, at=to_iso(now))
        return (*found.refusals, *alarms)

    def _conclude(self, arriving: Arrival, answer: Answer) -> None:
        """Take note of how it went, and say so."""
        if answer.error:
            if not answer.is_outside:
                self._arrivals.refuse(arriving, answer.error)
            self._say(answer.error)
            return
        if answer.said:
            self._say(answer.said)
        else:
            self._arrivals.settle(arriving)
        name = arriving.dataset
        if answer.notes:
            self._rounds.complain(name, "; ".join(answer.notes), self._say)
