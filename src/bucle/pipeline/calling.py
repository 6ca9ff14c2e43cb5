"""One call in a worker: load the function, read its inputs, call it, keep the result.

Heavy libraries come in with the project's own code.
"""

import importlib
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bucle.charter.project_code import load_name, loaded_sources
from bucle.clock import from_iso
from bucle.errors import BucleError, DigestMismatchError, StepError, UnknownNameError
from bucle.grammar import with_article
from bucle.pipeline.artifacts import keep_value, read_value
from bucle.pipeline.jobs import Done, Job, Preparation
from bucle.pipeline.output import captured
from bucle.pipeline.tracebacks import last_line, trimmed_traceback
from bucle.types import Blobs

__all__ = ["import_calls", "run_job", "set_seed"]

# These draw no random numbers through numpy, which costs a fifth of a second to import.
_NO_RANDOMNESS = frozenset({"bucle", "dataframely", "msgspec", "polars", "python"})

# What reading an artifact of a format imports.
_READERS = {"arrow": "polars", "npy": "numpy", "skops": "bucle.pipeline.estimators"}

_FUNCTIONS: dict[tuple[str, str], tuple[dict[str, str], Callable[..., Any]]] = {}


def import_calls(wanted: Preparation) -> None:
    """Import what jobs will need; what fails here will say so again in its job."""
    for call in wanted.calls:
        with captured("import"):
            try:
                _load(call, Path(wanted.root))
            except (Exception, SystemExit):  # noqa: BLE001, S112  (as above)
                continue


def run_job(job: Job, *, blobs: Blobs, loaded: Callable[[], None] = lambda: None) -> Done:
    """Run one job.

    Each input is read from its artifact for this call alone, so that no step sees what another
    one changed in place. Random numbers start from the job's seed.

    Args:
        job: What to call and with what.
        blobs: Where artifacts are kept.
        loaded: Called when the function is loaded and has not been called yet.
    """
    root = Path(job.root)
    began = time.perf_counter()
    artifact, trace = None, ""
    problem: dict[str, Any] = {}
    with captured(job.name) as output:
        try:
            damaged, inputs = [], {}
            function = _function(job)
            _import_libraries(job)
            loaded()
            # What a worker imports for all its jobs is no time of the one that came first.
            began = time.perf_counter()
            for name, given in job.inputs.items():
                try:
                    inputs[name] = read_value(given, blobs=blobs, root=root)
                except (DigestMismatchError, UnknownNameError):
                    damaged.append(name)
            if damaged:
                return Done(state="damaged", damaged=tuple(damaged))
            set_seed(job.seed)
            value = function(**inputs, **job.settings, **_moments(job))
            _check_sources(job)
            artifact = keep_value(value, blobs=blobs, root=root)
        except (Exception, SystemExit) as error:  # noqa: BLE001  (the project may raise anything)
            problem, trace = _problem(job, error, root)
        printed = output.finish()
    return Done(
        state="failed" if artifact is None else "ran",
        seconds=time.perf_counter() - began,
        artifact=artifact,
        error=str(problem.get("error", "")),
        traceback=trace,
        problem=problem,
        output=printed,
    )


def _function(job: Job) -> Callable[..., Any]:
    """Return the function of a job; one that came from the same sources is not loaded again."""
    known = _FUNCTIONS.get((job.root, job.call))
    if known is not None and known[0] == job.sources:
        loaded = loaded_sources()
        if all(loaded.get(file) == digest for file, digest in job.sources.items()):
            return known[1]
    function = _load(job.call, Path(job.root))
    _check_sources(job)
    _FUNCTIONS[job.root, job.call] = (job.sources, function)
    return function


def _import_libraries(job: Job) -> None:
    """Import what reading the inputs and seeding will need."""
    for kind in sorted({given.format for given in job.inputs.values()}):
        if kind in _READERS:
            importlib.import_module(_READERS[kind])
    if not _NO_RANDOMNESS.issuperset(job.libraries):
        importlib.import_module("numpy")


def _load(call: str, root: Path) -> Callable[..., Any]:
    module, _, name = call.rpartition(":")
    if module.endswith(".py"):
        found = load_name(root, call)
    elif module.startswith("bucle."):
        found = getattr(importlib.import_module(module), name)
    else:
        raise StepError(f"Cannot call {call!r}: it is of no project and not of Bucle")
    if not callable(found):
        raise StepError(
            f"Cannot call {call!r}: it is {with_article(type(found).__name__)}", where=module
        )
    return found


def _check_sources(job: Job) -> None:
    """Refuse to go on when the code that was loaded is not the code that the key was made of."""
    loaded = loaded_sources()
    for file, digest in job.sources.items():
        if loaded.get(file, digest) != digest:
            raise StepError(
                f"Step {job.name!r} was stopped: {file} changed while the run was going on",
                cause="a result must belong to the code it is kept under",
                where=file,
                attempt="the same command again",
                code="bucle-153",
            )


def set_seed(seed: int) -> None:
    """Start the random numbers that the libraries loaded so far share from a step's seed."""
    random.seed(seed)
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        numpy.random.seed(seed)
    polars = sys.modules.get("polars")
    if polars is not None:
        polars.set_random_seed(seed)


def _moments(job: Job) -> dict[str, Any]:
    return {name: from_iso(text) if text else None for name, text in job.moments.items()}


def _problem(job: Job, error: BaseException, root: Path) -> tuple[dict[str, Any], str]:
    """Return what to tell of an error: its fields, and the frames that concern its owner."""
    is_own = not job.call.startswith("bucle.")
    is_told = isinstance(error, BucleError)
    trace = trimmed_traceback(error, root=root if is_own else Path("/"), message=not is_told)
    if isinstance(error, BucleError):
        fields = {**error.as_json(), "class": type(error).__name__}
        # A function of Bucle's own says nothing to people.
        call = job.call if is_own else ""
        fields["where"] = fields["where"] or last_line(error, root=root) or call
        # Bucle's own refusals say everything; frames help where the project's code was running.
        return fields, trace if last_line(error, root=root) else ""
    step = StepError(
        f"Step {job.name!r} failed: {_summary(error)}",
        where=last_line(error, root=root) or job.call,
        code="bucle-150",
    )
    return {**step.as_json(), "class": "StepError"}, trace


def _summary(error: BaseException) -> str:
    text = " ".join(str(error).split())
    shown = text if len(text) <= 200 else text[:199] + "…"  # noqa: PLR2004  (two lines of a terminal)
    return f"{type(error).__name__}: {shown}" if shown else type(error).__name__
