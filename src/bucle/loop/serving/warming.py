"""Models on their way into service, and those kept ready: loaded aside while others answer.

Nothing here waits: a model is asked for again and again until it is ready or refused, so that a
slow load never keeps a rollback waiting.
"""

import asyncio
import time
from collections.abc import Callable, Collection

from bucle.errors import BucleError, OutsideError
from bucle.loop.serving.following import Wanted
from bucle.models.trial import LateTrialError
from bucle.serve.slots import Served

__all__ = ["Warming"]

_KEPT = 4
_PAUSE_S = 2.0
_LONGEST_S = 600.0


class Warming:
    """Loads models in threads and keeps the last few of them.

    A refused model is not tried again before another was asked for. While no model at all is
    ready it is, after growing pauses, and so is one whose trial did not end in time, since the
    machine may have been to blame.

    Args:
        load: Returns a model ready to answer; called in a thread.
        refuse: Told what cannot be used: a word for the counts, and the reason.
        patience_s: The first of these pauses.
    """

    def __init__(
        self,
        load: Callable[[Wanted], Served],
        refuse: Callable[[str, str], None],
        *,
        patience_s: float = 30.0,
    ) -> None:
        self._load = load
        self._refuse = refuse
        self._first_s = self._patience_s = patience_s
        self._warm: dict[str, Served] = {}
        self._loading: dict[Wanted, asyncio.Task[None]] = {}
        self._refused: dict[Wanted, float] = {}
        self._late: set[Wanted] = set()
        self._again_at = 0.0

    def take(self, wanted: Wanted) -> Served | None:
        """Return a model that is ready; None while it is loaded, and where it is refused."""
        served = self._warm.get(wanted.model)
        if served is not None or wanted in self._loading:
            return served
        if self._may_try(wanted):
            self._loading[wanted] = asyncio.create_task(self._fetch(wanted))
        return None

    def _may_try(self, wanted: Wanted) -> bool:
        if wanted in self._refused:
            is_hopeful = not self._warm or wanted in self._late
            return is_hopeful and time.monotonic() >= self._refused[wanted]
        return time.monotonic() >= self._again_at

    async def settle(self, look: Callable[[], bool]) -> None:
        """Look until whoever is wanted is there, or nobody is being loaded any more.

        Whoever is wanted by the time that another has been loaded is waited for as well.

        Args:
            look: Takes who is wanted now; tells whether he is there.
        """
        while not look() and self._loading:
            await asyncio.gather(*self._loading.values())

    def keep(self, used: Collection[str]) -> None:
        """Let go of the models that were ready longest, but of none that is in use."""
        for model in used:
            self._warm[model] = self._warm.pop(model)
        for model in list(self._warm)[: max(0, len(self._warm) - _KEPT)]:
            if model not in used:
                self._warm.pop(model).engine.close()

    def give_another_chance(self) -> None:
        """Forget what was refused: whoever asks for it once more may have mended it."""
        self._refused.clear()
        self._late.clear()
        self._patience_s = self._first_s

    def close(self) -> None:
        """Let go of everything."""
        for task in self._loading.values():
            task.cancel()
        for served in self._warm.values():
            served.engine.close()

    async def _fetch(self, wanted: Wanted) -> None:
        try:
            self._warm[wanted.model] = await asyncio.to_thread(self._load, wanted)
        except OutsideError as error:
            # A disk or a busy trial may do better the next time.
            self._again_at = time.monotonic() + _PAUSE_S
            self._refuse("look failed", error.render())
        except BucleError as error:
            self._put_off(wanted)
            if isinstance(error, LateTrialError):
                self._late.add(wanted)
            self._refuse("package refused", error.render())
        except Exception as error:  # noqa: BLE001  (to follow the log matters more than any model)
            self._put_off(wanted)
            self._refuse("package refused", f"{type(error).__name__}: {error}")
        finally:
            del self._loading[wanted]

    def _put_off(self, wanted: Wanted) -> None:
        self._refused[wanted] = time.monotonic() + self._patience_s
        self._patience_s = min(2 * self._patience_s, _LONGEST_S)
