"""Every error Bucle raises on purpose, in one tree.

    BucleError                      base: carries cause, suggestions, a command to try, a code
    ├── RequestError                the request is wrong                          exit 2
    │   ├── UsageError              a command or an option
    │   ├── UnknownNameError        a name that does not exist (also a LookupError)
    │   ├── CharterError            bucle.toml: key, type, contradiction
    │   ├── SourceError             a file or query that cannot be read as asked
    │   ├── ContractError           a contract that cannot be used
    │   ├── PipelineError           a graph that cannot be built
    │   │   └── CycleError          the graph has a cycle
    │   ├── StepError               a step of the project raised
    │   ├── PackageError            a model package that is refused
    │   └── EvidenceError           a gate that cannot be judged
    ├── LogError                    the event log
    │   ├── StalePositionError      another writer was first; read again and decide again
    │   ├── LeaseTakenError         another process leads now
    │   │   └── FencedError         a write of a process that leads no more
    │   └── LogDamagedError         damage in the middle; reading only           exit 1
    ├── DigestMismatchError         stored content is not what its address says   exit 3
    └── OutsideError                disk, database or service failed              exit 3
        └── NotDurableError         the disk failed to keep a write: end the process

Codes are stable; each has a section in docs/reference/errors.md.
This module imports nothing of Bucle.
"""

from collections.abc import Sequence

__all__ = [
    "BucleError",
    "CharterError",
    "ContractError",
    "CycleError",
    "DigestMismatchError",
    "EvidenceError",
    "FencedError",
    "LeaseTakenError",
    "LogDamagedError",
    "LogError",
    "NotDurableError",
    "OutsideError",
    "PackageError",
    "PipelineError",
    "RequestError",
    "SourceError",
    "StalePositionError",
    "StepError",
    "UnknownNameError",
    "UsageError",
    "nearest",
]


def nearest(name: str, known: Sequence[str]) -> tuple[str, ...]:
    """Return at most three of the known names that are close to a mistyped one.

    Example:
        >>> nearest("promot", ["promote", "rollback"])
        ('promote',)
    """
    from difflib import get_close_matches  # noqa: PLC0415  (slow to import, needed in errors only)

    by_folded = {candidate.casefold(): candidate for candidate in known}
    close = get_close_matches(name.casefold(), list(by_folded), n=3, cutoff=0.6)
    return tuple(by_folded[match] for match in close)


class BucleError(Exception):
    """Something could not be done.

    Args:
        what: What could not be done and the value it failed on, without a final stop.
        cause: The rule that was broken or the underlying error.
        where: The file and line, field or event it is about.
        did_you_mean: At most three near names.
        attempt: One command or one line of code to try.
        code: Stable code, documented in docs/reference/errors.md.
    """

    code = "bucle-000"
    exit_code = 2

    def __init__(
        self,
        what: str = "",
        *,
        cause: str = "",
        where: str = "",
        did_you_mean: Sequence[str] = (),
        attempt: str = "",
        code: str = "",
    ) -> None:
        self.what = what or (type(self).__doc__ or "").split("\n", 1)[0].rstrip(".")
        self.cause = cause
        self.where = where
        self.did_you_mean = tuple(did_you_mean)[:3]
        self.attempt = attempt
        self.code = code or type(self).code
        super().__init__(self.render())

    def render(self) -> str:
        """Return the message: one line that says what, then the indented reasons."""
        head = f"{self.where}: {self.what}" if self.where else self.what
        lines = [head.rstrip(".") + "."]
        for label, text in (
            ("Cause", self.cause),
            ("Did you mean", ", ".join(self.did_you_mean)),
            ("Try", self.attempt),
            ("Code", self.code),
        ):
            if text:
                lines.append(f"  {label}: {text}")
        return "\n".join(lines)

    def as_json(self) -> dict[str, object]:
        """Return the fields of the error for `--json`."""
        return {
            "error": self.what,
            "cause": self.cause,
            "where": self.where,
            "did_you_mean": list(self.did_you_mean),
            "try": self.attempt,
            "code": self.code,
        }


class RequestError(BucleError):
    """The request or the configuration is wrong."""

    code = "bucle-100"


class UsageError(RequestError):
    """A command or an option is not one that Bucle knows."""

    code = "bucle-101"


class UnknownNameError(RequestError, LookupError):
    """A name does not exist."""

    code = "bucle-102"


class CharterError(RequestError, ValueError):
    """The charter cannot be used."""

    code = "bucle-110"


class SourceError(RequestError, ValueError):
    """A source cannot be read."""

    code = "bucle-120"


class ContractError(RequestError, ValueError):
    """A data contract cannot be used."""

    code = "bucle-130"


class PipelineError(RequestError, ValueError):
    """A pipeline cannot be built."""

    code = "bucle-140"


class CycleError(PipelineError):
    """The pipeline has a cycle.

    Args:
        path: The names of the steps on the cycle, first one repeated at the end.
    """

    code = "bucle-141"

    def __init__(self, what: str = "", *, path: Sequence[str] = (), **fields: str) -> None:
        self.path = tuple(path)
        super().__init__(what, **fields)


class StepError(RequestError, RuntimeError):
    """A step of the project failed."""

    code = "bucle-150"


class PackageError(RequestError, ValueError):
    """A model package is refused."""

    code = "bucle-160"


class EvidenceError(RequestError, ValueError):
    """A gate cannot be judged on this evidence."""

    code = "bucle-170"


class LogError(BucleError):
    """The event log refused."""

    code = "bucle-200"
    exit_code = 3


class StalePositionError(LogError):
    """The log has moved on: another writer appended first.

    Args:
        expected: The position the writer had read up to.
        actual: The position the log is at.
    """

    code = "bucle-201"

    def __init__(self, *, expected: int, actual: int) -> None:
        self.expected = expected
        self.actual = actual
        super().__init__(
            f"Cannot append after event {expected}: the log is at event {actual}",
            cause="another process appended in between",
            attempt="the same command again",
        )


class LeaseTakenError(LogError):
    """A lease is not as it was: another process leads now.

    Args:
        name: The lease.
        holder: Who asked.
        cause: How the lease stands instead.
        doing: What was asked: to `take`, `renew` or `release` it, or to `write under` it.
    """

    code = "bucle-411"

    def __init__(self, *, name: str, holder: str, cause: str, doing: str = "renew") -> None:
        self.name = name
        self.holder = holder
        super().__init__(
            f"Cannot {doing} the lease {name!r} as {holder!r}", cause=cause, attempt="bucle status"
        )


class FencedError(LeaseTakenError):
    """A write came from a process that leads no more; nothing was written."""

    code = "bucle-410"


class LogDamagedError(LogError):
    """The log is damaged in the middle; it can be read up to there and not written.

    Args:
        position: The first event that does not fit its chain.
        doing: What the damage has stopped: `read` or `write to`.
    """

    code = "bucle-202"
    exit_code = 1

    def __init__(self, *, position: int, cause: str, doing: str = "read") -> None:
        self.position = position
        super().__init__(
            f"Cannot {doing} the log: event {position} is damaged",
            cause=cause,
            attempt="bucle log verify",
        )


class DigestMismatchError(BucleError):
    """Stored content is not what its address says."""

    code = "bucle-210"
    exit_code = 3


class OutsideError(BucleError, OSError):
    """A part outside Bucle failed: a disk, a database, a service."""

    code = "bucle-300"
    exit_code = 3


class NotDurableError(OutsideError):
    """The disk failed to keep what was written; only a new process may write again."""

    code = "bucle-412"
