"""The log as a story: what happened, when, by whom and why, without the looks that did nothing.

Pure: from events to chapters. What belongs together, from an alarm or a retrain to its outcome, is
one chapter; what happens meanwhile and has nothing to do with it stands alone.
"""

from collections.abc import Iterable, Mapping

from msgspec import Struct

from bucle.errors import LogError
from bucle.loop.episodes import Episodes, Sentence
from bucle.loop.events import (
    AlarmRaised,
    AlarmResolved,
    DataAdded,
    Decided,
    Deployed,
    Fact,
    read_fact,
)
from bucle.loop.sentences import find_reasons, say_day, say_rows, write_sentence
from bucle.types import Event

__all__ = ["Chapter", "Sentence", "say_day", "tell_story"]

_SILENT = frozenset({"challenger_seen", "drift_measured", "gain_estimated", "window_judged"})
_IN_PASSING = (AlarmRaised, AlarmResolved, Deployed)


class Chapter(Struct, frozen=True, kw_only=True):
    """What belongs together: a title, empty for what stands alone, and its sentences in order."""

    title: str
    sentences: tuple[Sentence, ...]

    @property
    def first(self) -> str:
        """The day on which it begins."""
        return self.sentences[0].day

    @property
    def last(self) -> str:
        """The day on which it ends."""
        return self.sentences[-1].day


def tell_story(events: Iterable[Event]) -> tuple[Chapter, ...]:
    """Return the story of a log, its chapters in the order in which they begin.

    Args:
        events: In their order, from the first one; kinds that are not known are told by name.
    """
    listed = list(events)
    teller = _Teller(find_reasons(listed))
    for event in listed:
        teller.take(event)
    return teller.finish()


class _Teller:
    """Puts events into chapters as they come."""

    def __init__(self, reasons: Mapping[str, str]) -> None:
        self._reasons = reasons
        self._episodes = Episodes()
        self._alone: list[list[Sentence]] = [[]]
        self._data: list[tuple[Event, DataAdded]] = []

    def take(self, event: Event) -> None:
        """Take the next event in."""
        try:
            fact = read_fact(event)
        except LogError:
            fact = None
        else:
            self._episodes.fold.apply(event)
        if isinstance(fact, DataAdded) and self._is_usual(fact):
            self._data.append((event, fact))
            return
        if isinstance(fact, Decided) or event.kind in _SILENT:
            return
        self._tell(event, fact)

    def _tell(self, event: Event, fact: Fact | None) -> None:
        """Write an event down in its chapter."""
        episodes = self._episodes
        episode = episodes.place(fact, event.at)
        begins = episode is not None and not episode.sentences
        if begins or (episode is None and not isinstance(fact, _IN_PASSING)):
            self._flush_data(event.at[:10])
        if begins:
            self._alone.append([])
        more = ", the same model as before" if episodes.is_same(fact) else ""
        words = write_sentence(event, fact, self._reasons, more=more)
        sentences = self._alone[-1] if episode is None else episode.sentences
        sentences.append(Sentence(day=event.at[:10], words=words, event=event.position))
        episodes.follow(fact, episode)

    def finish(self) -> tuple[Chapter, ...]:
        """Say where things stand, and return everything."""
        if self._data:
            self._flush_data(self._data[-1][0].at[:10])
        self._episodes.end()
        chapters = [
            Chapter(title=one.title, sentences=tuple(one.sentences)) for one in self._episodes.all
        ]
        chapters += [Chapter(title="", sentences=tuple(one)) for one in self._alone if one]
        return tuple(sorted(chapters, key=lambda one: one.sentences[0].event))

    def _is_usual(self, fact: DataAdded) -> bool:
        """Tell whether rows came in as they do every day."""
        is_first = not self._episodes.all and not self._alone[-1]
        return not fact.quarantined and not fact.removed and not is_first

    def _flush_data(self, day: str) -> None:
        """Tell in one sentence what came in since something else began."""
        if not self._data:
            return
        facts, last = [fact for _, fact in self._data], self._data[-1][0]
        words = say_rows(facts)
        first = self._data[0][0].at[:10]
        if first != day:
            words += f" since {say_day(first)}"
        self._data = []
        self._alone[-1].append(Sentence(day=day, words=f"{words}.", event=last.position))
