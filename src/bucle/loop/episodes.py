"""What belongs together in a story, from an alarm, a wish or a run to what came of it. Pure."""

from collections.abc import Iterator

from msgspec import Struct

from bucle.loop.actions import action_id
from bucle.loop.events import (
    AlarmRaised,
    AlarmResolved,
    Approved,
    Deployed,
    Fact,
    Promoted,
    Refitted,
    RetrainAsked,
    RolledBack,
    RunFinished,
    RunStarted,
    VerdictGiven,
    Withdrawn,
)
from bucle.loop.sentences import IS_PAST
from bucle.loop.state import Fold
from bucle.loop.twins import is_of_champion
from bucle.models.registry import champion

__all__ = ["Episode", "Episodes", "Sentence"]

_ALARM = "An alarm of harm"
_ASKED = "A retrain that was asked for"
_CROWNED = "became champion"
_BACK = "Back to an earlier champion"
_MODEL = "A new model"


class Sentence(Struct, frozen=True, kw_only=True):
    """What happened on a day, in plain words; `event` is its place in the log."""

    day: str
    words: str
    event: int


class Episode:
    """One course of events: what it is about, and how it ended; `outcome` is empty until then."""

    def __init__(self, opening: str) -> None:
        self.opening = opening
        self.sentences: list[Sentence] = []
        self.outcome = ""
        self.asked: set[str] = set()
        self.alarms: set[str] = set()
        self.models: set[str] = set()
        self.run = ""
        self.is_trained = False
        self.is_passed = False

    @property
    def title(self) -> str:
        """What it was about, and how it ended."""
        return _BACK if self.opening == _BACK else f"{self.opening}: {self.outcome}"

    @property
    def ends_alarms(self) -> bool:
        """Whether another model became champion at its end."""
        return self.opening == _BACK or self.outcome.endswith(_CROWNED)

    @property
    def made(self) -> str:
        """What its model is called in its title."""
        return "it" if self.opening == _MODEL else "the new model"


class Episodes:
    """Finds the episode that an event belongs to, and knows how each of them ended."""

    def __init__(self) -> None:
        self.all: list[Episode] = []
        self._fold = Fold()

    def place(self, fact: Fact | None, at: str) -> Episode | None:
        """Return the episode of an event, a new one where one begins; None for none.

        Args:
            fact: What happened.
            at: When, as the log says.
        """
        match fact:
            case RetrainAsked():
                return self._ask(at)
            case AlarmRaised(layer="harm") | AlarmResolved(layer="harm"):
                return self._alarm(fact)
            case RolledBack():
                return self._find_idle_alarm() or self._begin(_BACK)
            case RunStarted():
                return self._start(fact)
            case RunFinished() | VerdictGiven():
                found = self._of_run(fact.run) or self._begin(_MODEL)
                found.run = fact.run
                return found
            case Refitted() | Deployed() | Approved() | Promoted() | Withdrawn():
                run, model = getattr(fact, "run", ""), getattr(fact, "model", None)
                return self._of_run(run) or self._of_model(model or "")
        return None

    def is_same(self, fact: Fact | None) -> bool:
        """Tell whether a run that has just ended made what the champion is already."""
        if not isinstance(fact, RunFinished) or fact.state != "done" or fact.tested is None:
            return False
        return is_of_champion(self._fold.state(), fact.tested)

    def follow(self, fact: Fact | None, episode: Episode | None) -> None:
        """Take in what an event says of its episode, and what of it the others end with.

        What `fold` makes of the event has been taken in before.
        """
        if episode is not None:
            _learn(episode, fact)
            episode.outcome = episode.outcome or self._outcome(fact, episode)
        if isinstance(fact, Promoted):
            for other in self._open():
                # Another run had made the very same model.
                if fact.model in other.models:
                    other.outcome = f"{other.made} {_CROWNED}"
        for other in self._open():
            other.outcome = self._overtaken(other)

    def end(self) -> None:
        """Say of what is open where it stands."""
        finished = [name for name, run in self._fold.runs.items() if run.finished is not None]
        order = list(self._fold.runs)
        for one in self._open():
            one.outcome = "not over yet"
            if one.opening == _ASKED and not one.run:
                one.outcome = "not begun yet"
            elif one.run and not one.is_trained:
                # Who was killed leaves no end on record.
                later = order[order.index(one.run) + 1 :] if one.run in order else []
                if not set(later).isdisjoint(finished):
                    one.outcome = "it was cut short"
            elif one.is_passed and not self._is_deployed(one):
                one.outcome = f"{one.made} passed, and waits"

    @property
    def fold(self) -> Fold:
        """What is true after the events so far."""
        return self._fold

    # ---- which one ---------------------------------------------------------------

    def _open(self) -> Iterator[Episode]:
        """Return those that have not ended, the last one first."""
        return (one for one in reversed(self.all) if not one.outcome)

    def _begin(self, opening: str) -> Episode:
        self.all.append(Episode(opening))
        return self.all[-1]

    def _of_run(self, run: str) -> Episode | None:
        return next((one for one in self._open() if run and one.run == run), None)

    def _of_model(self, model: str) -> Episode | None:
        return next((one for one in self._open() if model in one.models), None)

    def _find_idle_alarm(self) -> Episode | None:
        """Return the alarm that nothing was trained for yet."""
        return next((one for one in self._open() if one.alarms and not one.run), None)

    def _ask(self, at: str) -> Episode:
        waiting = (one for one in self._open() if one.opening == _ASKED and not one.run)
        found = next(waiting, None) or self._begin(_ASKED)
        # The run that is begun for it says so.
        found.asked.add(action_id("retrain", "person", at))
        return found

    def _alarm(self, fact: AlarmRaised | AlarmResolved) -> Episode | None:
        if isinstance(fact, AlarmRaised):
            return next((one for one in self._open() if one.alarms), None) or self._begin(_ALARM)
        known = [one for one in self.all if fact.name in one.alarms]
        # What a new champion ended is told with it, the alarm included.
        is_told = bool(known) and known[-1].ends_alarms and IS_PAST in fact.why
        return known[-1] if known and (is_told or not known[-1].outcome) else None

    def _start(self, fact: RunStarted) -> Episode:
        asked = (one for one in self._open() if fact.asked and fact.asked in one.asked)
        found = next(asked, None) or (self._find_idle_alarm() if fact.asked else None)
        found = found or self._begin(_MODEL)
        found.run = fact.run
        if fact.asked:
            # One that is begun once more after a crash is asked for under the same id.
            found.asked.add(fact.asked)
        return found

    # ---- how it ends -------------------------------------------------------------

    def _outcome(self, fact: Fact | None, episode: Episode) -> str:
        """Say how an event ended its episode; empty where it goes on."""
        match fact:
            case RunFinished():
                return self._end_of_run(fact)
            case VerdictGiven() if fact.verdict.outcome != "pass":
                is_first = fact.verdict.champion is None
                return f"{episode.made} stays outside" if is_first else "the champion stays"
            case Withdrawn():
                return f"{episode.made} was taken away"
            case Promoted():
                return f"{episode.made} {_CROWNED}"
            case AlarmResolved() if not episode.alarms and not episode.run:
                return "it is over"
            case RolledBack():
                return "done"
        return ""

    def _end_of_run(self, fact: RunFinished) -> str:
        """Say how a run ended that made nothing to be judged; empty where it did."""
        if fact.state != "done":
            return f"the training {fact.state}"
        if fact.tested is None:
            return "no model came out"
        return "the same model came out" if self.is_same(fact) else ""

    def _overtaken(self, episode: Episode) -> str:
        """Say how an episode ended that no event of its own ended; empty where it goes on."""
        if not episode.is_trained or self._is_deployed(episode):
            return ""
        if self._fold.ended not in {None, episode.run}:
            return "another run came after it"
        left = [self._fold.withdrawn[name] for name in episode.models & {*self._fold.withdrawn}]
        reigning = champion(self._fold.tenures)
        # Beside another champion than that of then it is judged once more.
        here = (episode.run, reigning.model if reigning else None)
        is_gone = any((one.run, one.champion) == here for one in left)
        return f"{episode.made} was taken away" if is_gone else ""

    def _is_deployed(self, episode: Episode) -> bool:
        deployed = self._fold.deployment
        return deployed is not None and deployed.model in episode.models


def _learn(episode: Episode, fact: Fact | None) -> None:
    """Take in which alarms and models an episode is about, and how far its run has come."""
    match fact:
        case AlarmRaised():
            episode.alarms.add(fact.name)
        case AlarmResolved() if not episode.outcome:
            episode.alarms.discard(fact.name)
        case RolledBack():
            episode.opening = _BACK
        case RunStarted():
            episode.is_trained = False
        case RunFinished():
            episode.models |= {name for name in (fact.tested, fact.model) if name}
            episode.is_trained = True
        case VerdictGiven():
            episode.models.add(fact.verdict.challenger)
            episode.is_trained, episode.is_passed = True, fact.verdict.outcome == "pass"
        case Refitted() if fact.model:
            episode.models.add(fact.model)
