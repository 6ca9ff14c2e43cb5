"""One execution: tasks go to workers as soon as what they need is there, unless they are cached.

Knows nothing of processes; it drives any executor of `concurrent.futures`. Must not import
anything heavy.
"""

import contextlib
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Protocol

from bucle.errors import PipelineError, StepError
from bucle.pipeline.cache import Cache, Entry, Remembered
from bucle.pipeline.code import CodeReader
from bucle.pipeline.jobs import Done
from bucle.pipeline.keys import KeyParts, derive_seed, explain, key_of, key_parts
from bucle.pipeline.progress import Progress
from bucle.pipeline.tasks import Artifact, Task, TaskResult
from bucle.types import Blobs

if TYPE_CHECKING:
    from concurrent.futures import Future

__all__ = ["Execution", "Host"]

_ATTEMPTS = 3
_LOOK_S = 0.2


class Host(Protocol):
    """What an execution needs of the engine that owns it."""

    cache: Cache
    blobs: Blobs
    reader: CodeReader
    seed: int

    def submit(
        self, task: Task, inputs: Mapping[str, Artifact], *, waiting: Iterable[Task]
    ) -> "Future[Done]":
        """Give a task to a worker; `waiting` are those that may follow."""
        ...


class _Phase(Enum):
    WAITING = 1
    RUNNING = 2
    OVER = 3


class Execution:
    """Runs a set of tasks once.

    Args:
        host: The engine.
        tasks: What to run; names are unique, inputs are among them.
        progress: Who is told what happens.

    Raises:
        PipelineError: Two tasks have one name, or an input is none of them (bucle-149).
    """

    def __init__(self, host: Host, tasks: Sequence[Task], progress: Progress) -> None:
        self._host = host
        self._progress = progress
        self.is_ended = False
        self._tasks = {task.name: task for task in tasks}
        if len(self._tasks) != len(tasks):
            raise PipelineError("Two tasks have the same name", code="bucle-149")
        self._needs: dict[str, set[str]] = {}
        self._needed_by: dict[str, list[str]] = {name: [] for name in self._tasks}
        for task in tasks:
            self._needs[task.name] = {*task.inputs.values(), *task.after}
            for name in self._needs[task.name]:
                if name not in self._tasks:
                    raise PipelineError(
                        f"Task {task.name!r} needs {name!r}, which is no task", code="bucle-149"
                    )
                self._needed_by[name].append(task.name)
        self._phases = dict.fromkeys(self._tasks, _Phase.WAITING)
        self._results: dict[str, TaskResult] = {}
        self._ready = deque(name for name, needs in self._needs.items() if not needs)
        self._ended: SimpleQueue[tuple[str, Future[Done]]] = SimpleQueue()
        self._running: dict[str, tuple[str, KeyParts, str]] = {}
        self._by_key: dict[str, list[str]] = {}
        self._attempts: dict[str, int] = {}
        self._again: set[str] = set()

    def __contains__(self, name: str) -> bool:
        return name in self._tasks

    def run(self) -> dict[str, TaskResult]:
        """Run everything that can run and return the results in the order of the tasks.

        Raises:
            PipelineError: Tasks need each other in a circle (bucle-149).
        """
        try:
            self.begin()
            # Until nothing runs: a result may be made again because its artifact is damaged.
            while self._running:
                self._take_next()
            return {name: self.wait(name) for name in self._tasks}
        finally:
            self.end()

    def begin(self) -> None:
        """Give to the workers what can run, and return at once."""
        self._progress.begin(len(self._tasks))
        self._offer_ready()

    def wait(self, name: str) -> TaskResult:
        """Return how a task went, once it is over.

        Raises:
            PipelineError: Tasks need each other in a circle (bucle-149).
        """
        while name not in self._results:
            if not self._running:
                missing = [task for task in self._tasks if task not in self._results]
                raise PipelineError(
                    f"Tasks need each other in a circle: {', '.join(missing)}", code="bucle-149"
                )
            self._take_next()
        return self._results[name]

    def end(self) -> None:
        """Take the progress away; tasks that are not over are not waited for."""
        if not self.is_ended:
            self.is_ended = True
            self._progress.end()

    def _take_next(self) -> None:
        self._take(*self._next_ended())
        self._offer_ready()

    def _offer_ready(self) -> None:
        while self._ready:
            self._offer(self._tasks[self._ready.popleft()])

    def _next_ended(self) -> "tuple[str, Future[Done]]":
        """Wait for the next task to end, in short stretches.

        Polars makes waiting calls start anew after a signal: Ctrl-C would not end a long one.
        """
        while True:
            with contextlib.suppress(Empty):
                return self._ended.get(timeout=_LOOK_S)

    # ---- before -----------------------------------------------------------------

    def _offer(self, task: Task) -> None:
        """Find a task in the cache or give it to a worker."""
        self._phases[task.name] = _Phase.RUNNING
        results = {name: self._results[name] for name in (*task.inputs.values(), *task.after)}
        broken = [name for name, result in results.items() if result.artifact is None]
        if broken:
            self._skip(task, results[broken[0]])
            return
        given = {
            name: artifact
            for name, result in task.inputs.items()
            if (artifact := results[result].artifact)
        }
        inputs = {**task.artifacts, **given}
        parts = self._parts(task, inputs)
        key = key_of(parts)
        if key in self._by_key:
            self._by_key[key].append(task.name)
            return
        last = self._host.cache.last(task.name)
        entry = None if task.name in self._again else self._host.cache.find(key)
        if entry is not None and self._host.blobs.has(entry.artifact.digest):
            self._found(task, key, parts, last, entry.artifact)
            return
        if task.name in self._again:
            why = "its artifact was damaged"
        elif last is not None and last.key == key:
            why = "its artifact is gone"
        else:
            why = explain(parts, last.parts if last else None)
        self._start(task, inputs, key, parts, why)

    def _parts(self, task: Task, inputs: Mapping[str, Artifact]) -> KeyParts:
        types: dict[str, str] = {}
        for artifact in inputs.values():
            for name in artifact.types:
                types |= self._type_parts(name)
        return key_parts(
            task,
            inputs={name: f"{given.digest} {given.format}" for name, given in inputs.items()},
            types=types,
            seed=self._host.seed,
        )

    def _type_parts(self, name: str) -> dict[str, str]:
        try:
            return self._host.reader.of_project(name).parts
        except (KeyError, PipelineError):
            # Reading the artifact will say in the worker what is wrong with it.
            return {name: "missing"}

    def _found(
        self, task: Task, key: str, parts: KeyParts, last: Remembered | None, artifact: Artifact
    ) -> None:
        why = "nothing changed"
        if last is None or last.key != key:
            why = "kept from an earlier run"
            self._host.cache.remember(task.name, Remembered(key=key, parts=parts))
        self._end(self._result(task, key, "cached", why=why, artifact=artifact))

    def _start(
        self, task: Task, inputs: Mapping[str, Artifact], key: str, parts: KeyParts, why: str
    ) -> None:
        self._running[task.name] = (key, parts, why)
        self._by_key[key] = []
        self._progress.start(task.name, why)
        waiting = (
            other for other in self._tasks.values() if self._phases[other.name] is _Phase.WAITING
        )
        future = self._host.submit(task, inputs, waiting=waiting)
        future.add_done_callback(lambda done: self._ended.put((task.name, done)))

    def _skip(self, task: Task, broken: TaskResult) -> None:
        cause = broken.why if broken.state == "skipped" else f"needs `{broken.name}`, which failed"
        self._end(TaskResult(name=task.name, state="skipped", why=cause))

    # ---- after ------------------------------------------------------------------

    def _take(self, name: str, future: "Future[Done]") -> None:
        """Take what came back from a worker."""
        task = self._tasks[name]
        key, parts, why = self._running.pop(name)
        followers = self._by_key.pop(key)
        done = _outcome(task, future)
        if done.state == "damaged":
            self._mend(task, done, key, why)
        elif done.state == "failed" or done.artifact is None:
            self._fail(task, done, key, why)
        else:
            self._again.discard(name)
            cache = self._host.cache
            cache.add(key, Entry(artifact=done.artifact, seconds=done.seconds))
            cache.remember(name, Remembered(key=key, parts=parts))
            result = self._result(task, key, "ran", why=why, artifact=done.artifact)
            self._end(_with(result, seconds=done.seconds, output=done.output))
        # Those with the same key now find it in the cache, or fail in the same way themselves.
        self._ready.extend(followers)

    def _mend(self, task: Task, done: Done, key: str, why: str) -> None:
        """Run again what made the artifacts that could not be read, then the task itself."""
        makers = {task.inputs.get(parameter) for parameter in done.damaged}
        attempt = self._attempts[task.name] = self._attempts.get(task.name, 0) + 1
        if None in makers or attempt >= _ATTEMPTS:
            error = StepError(
                f"Step {task.name!r} could not read its input {', '.join(done.damaged)}",
                cause="the artifact is missing or damaged and cannot be made again",
                where=task.call,
                code="bucle-155",
            )
            self._fail(task, _failed(error), key, why)
            return
        self._phases[task.name] = _Phase.WAITING
        self._needs[task.name] = {maker for maker in makers if maker is not None}
        for maker in sorted(self._needs[task.name]):
            if self._phases[maker] is _Phase.OVER:
                self._again.add(maker)
                self._phases[maker] = _Phase.WAITING
                self._ready.append(maker)

    def _fail(self, task: Task, done: Done, key: str, why: str) -> None:
        result = self._result(task, key, "failed", why=why, artifact=None)
        self._end(
            _with(
                result,
                seconds=done.seconds,
                error=done.error,
                traceback=done.traceback,
                problem=done.problem,
                output=done.output,
            )
        )

    def _result(
        self, task: Task, key: str, state: str, *, why: str, artifact: Artifact | None
    ) -> TaskResult:
        return TaskResult(
            name=task.name,
            state=state,  # type: ignore[arg-type]
            why=why,
            artifact=artifact,
            key=key,
            seed=derive_seed(self._host.seed, task.call),
        )

    def _end(self, result: TaskResult) -> None:
        self._phases[result.name] = _Phase.OVER
        self._results[result.name] = result
        self._progress.finish(result)
        for name in self._needed_by[result.name]:
            needs = self._needs[name]
            if result.name in needs:
                needs.discard(result.name)
                if not needs and self._phases[name] is _Phase.WAITING:
                    self._ready.append(name)


def _outcome(task: Task, future: "Future[Done]") -> Done:
    """Return how a call went; one that ended its process has failed like any other."""
    error = future.exception()
    if error is None:
        return future.result()
    code = getattr(error, "code", None)
    if not isinstance(code, int):
        raise error
    return _failed(_lost(task, code))


def _lost(task: Task, code: int) -> StepError:
    import signal  # noqa: PLC0415  (rare)

    if code >= 0:
        how, cause = f"exit code {code}", "its code, or a library, ended the process"
    else:
        known = {int(number): number.name for number in signal.Signals}
        how = f"signal {-code} ({known.get(-code, 'unknown')})"
        cause = "a library crashed; its traceback is above"
        if -code == signal.SIGKILL:
            cause = "most often the machine ran out of memory"
    return StepError(
        f"Step {task.name!r} failed: its process ended with {how}",
        cause=cause,
        where=task.call,
        code="bucle-154",
    )


def _failed(error: StepError) -> Done:
    problem = {**error.as_json(), "class": "StepError"}
    return Done(state="failed", error=error.what, problem=problem)


def _with(result: TaskResult, **changes: object) -> TaskResult:
    import msgspec  # noqa: PLC0415  (its structs are loaded already)

    return msgspec.structs.replace(result, **changes)
