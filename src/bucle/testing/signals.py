"""What comes into a simulated project: rows, another code, and alarms about the champion.

Must not be imported by anything but tests. Imports nothing heavy.
"""

from collections.abc import Sequence

from bucle.ids import digest_json
from bucle.loop.events import AlarmRaised, AlarmResolved, CodeSeen, DataAdded, Fact, WindowJudged
from bucle.loop.state import State
from bucle.models.registry import champion
from bucle.testing.chance import chance
from bucle.testing.options import Live, Options

__all__ = ["Signals"]

_ROWS = 1000
_BAD = 1.6
_GOOD = 1.3
_HARM = "loss"


class Signals:
    """Says what came until it is on record, so that no kill loses it.

    Args:
        options: What the seed stands for.
    """

    def __init__(self, options: Options) -> None:
        self._options = options
        self._live = options.live or Live()
        self._arrived: list[DataAdded] = []
        self._changes = 0
        self._is_false = False
        self._arrive(_ROWS)

    @property
    def fingerprint(self) -> str:
        """That of the rows that are there."""
        return self._arrived[-1].fingerprint

    @property
    def source(self) -> str:
        """The digest of the code as it is."""
        return f"code {self._changes}"

    def pass_tick(self, number: int) -> None:
        """Let a tick pass, in which something may come."""
        draw = chance(self._options.seed, "signals", number)
        if draw.happens(self._live.new):
            self._arrive(draw.whole(0, _ROWS))
        if draw.happens(self._live.new):
            self._changes += 1
        self._is_false = draw.happens(self._live.false)

    def surge(self) -> None:
        """Let as many rows come as are there, and another code."""
        self._arrive(self._arrived[-1].rows)
        self._changes += 1

    def arrivals(self, state: State) -> Sequence[Fact]:
        """Return the rows and the code that are not on record yet."""
        if self._options.live is None:
            return ()
        known = state.datasets.get("sales")
        version = known.current.version if known else 0
        facts: list[Fact] = list(self._arrived[version:])
        if state.code != self.source:
            facts.append(CodeSeen(source=self.source, code=self.source))
        return facts

    def alarms(self, state: State) -> list[Fact]:
        """Return the alarm that what was seen of the champion gives, or its end."""
        reigning = champion(state.tenures)
        seen = state.observed.get(reigning.model) if reigning else None
        judged = seen.window[1] if seen and seen.window else None
        open_ones = [one for one in state.alarms.values() if one.layer == "harm"]
        if reigning is None or judged is None:
            return []
        if not open_ones and (_is_above(judged, _BAD) or self._is_false):
            why = f"{judged.metric} {judged.error:.3f} where {judged.reference:.3f} was shown"
            alarm = AlarmRaised(
                layer="harm", subject=_HARM, since=judged.start, why=why, model=reigning.model
            )
            return [alarm]
        if open_ones and not _is_above(judged, _GOOD) and not self._is_false:
            return [AlarmResolved(layer="harm", subject=_HARM, why="it is as it was")]
        return []

    def _arrive(self, rows: int) -> None:
        version = len(self._arrived) + 1
        before = self._arrived[-1].rows if self._arrived else 0
        self._arrived.append(
            DataAdded(
                dataset="sales",
                data_version=version,
                table_version=version - 1,
                rows=before + rows,
                fingerprint=digest_json([self._options.seed, "sales", version]),
                read=rows,
                added=rows,
                changed=0,
                unchanged=0,
                quarantined=0,
            )
        )


def _is_above(judged: WindowJudged, times: float) -> bool:
    return judged.error > times * judged.reference
