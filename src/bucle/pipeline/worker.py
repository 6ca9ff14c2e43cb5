"""The two doors of a worker: functions from bytes to bytes that any executor can carry.

Whoever submits imports this module, so it must not import anything heavy at its top.
"""

from pathlib import Path

import msgspec

from bucle.pipeline.jobs import Job, Preparation
from bucle.store.file_blobs import FileBlobs

__all__ = ["perform", "prepare"]


def perform(content: bytes) -> bytes:
    """Run the job that some bytes describe and return how it went; never raises for its faults."""
    from bucle.pipeline.calling import run_job  # noqa: PLC0415  (for workers alone)

    job = msgspec.json.decode(content, type=Job)
    return msgspec.json.encode(run_job(job, blobs=FileBlobs(Path(job.blobs))))


def prepare(content: bytes) -> bytes:
    """Import what the jobs to come will need, and return nothing."""
    from bucle.pipeline.calling import import_calls  # noqa: PLC0415  (for workers alone)

    import_calls(msgspec.json.decode(content, type=Preparation))
    return b""
