"""The engine: executes tasks, one batch after another, with workers that stay between batches.

Nothing is started and nothing heavy imported while everything asked for is in the cache. Must
not import anything heavy.
"""

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self

import msgspec

from bucle.pipeline.cache import Cache
from bucle.pipeline.code import CodeReader
from bucle.pipeline.execution import Execution
from bucle.pipeline.jobs import Done, Job, Preparation
from bucle.pipeline.keys import derive_seed
from bucle.pipeline.progress import Progress, SilentProgress
from bucle.pipeline.tasks import Artifact, Task, TaskResult
from bucle.types import Blobs

if TYPE_CHECKING:
    from concurrent.futures import Executor, Future

__all__ = ["Engine", "ExecutorMaker", "process_executor"]

_Work = Callable[[bytes], bytes]


class ExecutorMaker(Protocol):
    """Makes the executor when the first task has to run."""

    def __call__(
        self, workers: int, *, folder: Path, preparation: tuple[_Work, bytes]
    ) -> "Executor":
        """Return an executor for functions from bytes to bytes.

        Args:
            workers: How many calls may run at once.
            folder: The working directory of steps.
            preparation: What a further worker should be called with before its first call.
        """
        ...


def process_executor(workers: int, *, folder: Path, preparation: tuple[_Work, bytes]) -> "Executor":
    """Return an executor with processes of this machine."""
    from bucle.pipeline.executors import ProcessExecutor  # noqa: PLC0415  (when needed)

    return ProcessExecutor(workers, folder=folder, preparation=preparation)


class Engine:
    """Executes tasks of one project.

    Use it in a `with` block: leaving it ends the workers at once, whatever they are at. What was
    finished stays in the cache.

    Args:
        reader: Reads the code of the project.
        blobs: Where artifacts are kept.
        cache: What was worked out before.
        folder: The blobs' folder, for workers in other processes.
        seed: The seed of the run; each step gets its own from it.
        workers: How many steps may run at once.
        progress: Who is told what happens.
        executor: Makes the executor when it is first needed; worker processes by default.
    """

    def __init__(
        self,
        reader: CodeReader,
        *,
        blobs: Blobs,
        cache: Cache,
        folder: Path | None = None,
        seed: int = 0,
        workers: int = 2,
        progress: Progress | None = None,
        executor: ExecutorMaker | None = None,
    ) -> None:
        self.reader = reader
        self.blobs = blobs
        self.cache = cache
        self.seed = seed
        self.workers = workers
        self.progress: Progress = progress or SilentProgress()
        self._folder = folder or Path(getattr(blobs, "folder", "."))
        self._make = executor or process_executor
        self._expected: tuple[str, ...] = ()
        self._begun: list[Execution] = []
        self._executor: Executor | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def is_started(self) -> bool:
        """Whether any task had to run so far."""
        return self._executor is not None

    def expect(self, calls: Iterable[str]) -> None:
        """Take calls as sure to follow once anything has to run.

        With the first task that runs every worker starts, and imports what these calls need.
        """
        self._expected = tuple(calls)

    def execute(self, tasks: Sequence[Task]) -> dict[str, TaskResult]:
        """Execute tasks and return how each went, in the order they were given.

        A task whose key is in the cache is not run. A failed task fails nothing but what needs
        it; nothing is raised for it (see `failure_of`).

        Raises:
            PipelineError: The tasks do not fit together (bucle-149).
            OutsideError: The cache cannot be written.
        """
        # What is executed beside others is theirs to tell about.
        beside = any(not other.is_ended for other in self._begun)
        progress = SilentProgress() if beside else self.progress
        try:
            return Execution(self, tasks, progress).run()
        except BaseException:
            self.close()
            raise

    def begin(self, tasks: Sequence[Task]) -> Execution:
        """Begin to execute tasks; whoever needs one waits for it, and ends the execution.

        Meanwhile more can be executed, behind them in the workers' queue.

        Raises:
            As `execute`.
        """
        execution = Execution(self, tasks, self.progress)
        self._begun.append(execution)
        execution.begin()
        return execution

    def read(self, artifact: Artifact) -> Any:
        """Return a fresh copy of an artifact's value; light when it is JSON.

        Raises:
            UnknownNameError: Its content is not there.
            DigestMismatchError: Its content is damaged.
        """
        from bucle.pipeline.artifacts import read_value  # noqa: PLC0415  (when needed)

        return read_value(artifact, blobs=self.blobs, root=self.reader.modules.root)

    def keep(self, value: Any) -> Artifact:
        """Keep a value as an artifact, for tasks to come.

        Raises:
            PipelineError: It is of a kind that cannot be kept.
        """
        from bucle.pipeline.artifacts import keep_value  # noqa: PLC0415  (when needed)

        return keep_value(value, blobs=self.blobs, root=self.reader.modules.root)

    def close(self) -> None:
        """End the workers at once; a later `execute` starts new ones."""
        while self._begun:
            self._begun.pop().end()
        executor, self._executor = self._executor, None
        if executor is not None:
            # Nothing they do is waited for: `execute` returns when every call is answered.
            executor.shutdown(wait=False, cancel_futures=True)

    def submit(
        self, task: Task, inputs: Mapping[str, Artifact], *, waiting: Iterable[Task]
    ) -> "Future[Done]":
        """Give one task to the executor; for the execution that this engine runs."""
        from bucle.pipeline import worker  # noqa: PLC0415  (when needed)

        root = self.reader.modules.root
        further: list[bytes] = []
        if self._executor is None:
            known = {other.call for other in (task, *waiting)}
            calls = tuple(sorted({*known, *self._expected}))
            content = msgspec.json.encode(Preparation(root=str(root), calls=calls))
            self._executor = self._make(
                self.workers, folder=root, preparation=(worker.prepare, content)
            )
            further = [content] * (self.workers - 1 if self._expected else 0)
        job = Job(
            name=task.name,
            call=task.call,
            root=str(root),
            blobs=str(self._folder.absolute()),
            inputs=dict(inputs),
            settings={**task.parameters, **task.context},
            moments=task.moments,
            seed=derive_seed(self.seed, task.call),
            sources=task.code.sources,
            libraries=tuple(task.code.libraries),
        )
        answer = self._executor.submit(worker.perform, msgspec.json.encode(job))
        for content in further:
            self._executor.submit(worker.prepare, content)
        return _decoded(answer)


def _decoded(answer: "Future[bytes]") -> "Future[Done]":
    """Return a future of the same call with its answer decoded."""
    from concurrent.futures import Future  # noqa: PLC0415  (loaded by the executor already)

    decoded: Future[Done] = Future()
    answer.add_done_callback(functools.partial(_pass_on, decoded))
    return decoded


def _pass_on(decoded: "Future[Done]", answer: "Future[bytes]") -> None:
    if answer.cancelled():
        decoded.cancel()
        return
    error = answer.exception()
    if error is not None:
        decoded.set_exception(error)
        return
    try:
        decoded.set_result(msgspec.json.decode(answer.result(), type=Done))
    except msgspec.MsgspecError as fault:
        decoded.set_exception(fault)
