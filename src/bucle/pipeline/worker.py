"""The two doors of a worker: functions from bytes to bytes that any executor can carry.

Whoever submits imports this module, so it must not import anything heavy at its top.
"""

import contextlib
import sys
import threading
from pathlib import Path

import msgspec

from bucle.pipeline.jobs import Job, Preparation
from bucle.store.file_blobs import FileBlobs

__all__ = ["perform", "prepare"]


def perform(content: bytes) -> bytes:
    """Run the job that some bytes describe and return how it went; never raises for its faults."""
    from bucle.pipeline.calling import run_job  # noqa: PLC0415  (for workers alone)

    job = msgspec.json.decode(content, type=Job)
    done = run_job(job, blobs=FileBlobs(Path(job.blobs)), loaded=_fetch_ahead)
    return msgspec.json.encode(done)


def prepare(content: bytes) -> bytes:
    """Import what the jobs to come will need, and return nothing."""
    from bucle.pipeline.calling import import_calls  # noqa: PLC0415  (for workers alone)

    import_calls(msgspec.json.decode(content, type=Preparation))
    return b""


def _fetch_ahead() -> None:
    """Import what keeping an estimator will need while the first steps compute.

    Where a project uses scikit-learn, some step is likely to return an estimator, and skops takes
    a quarter of a second to import.
    """
    if "sklearn" in sys.modules and not _FETCHED.is_set():
        _FETCHED.set()
        threading.Thread(target=_fetch, daemon=True).start()


def _fetch() -> None:
    # Whoever really needs it will import it again and hear what is wrong.
    with contextlib.suppress(Exception):
        from bucle.pipeline.skops_import import import_skops  # noqa: PLC0415  (heavy)

        import_skops()


_FETCHED = threading.Event()
