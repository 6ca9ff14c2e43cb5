"""Where a project's code failed: its own frames, without those of libraries and of Bucle.

Imports the standard library only.
"""

import traceback
from pathlib import Path

__all__ = ["last_line", "trimmed_traceback"]

_ENVIRONMENTS = frozenset({"site-packages", "dist-packages"})


def trimmed_traceback(error: BaseException, *, root: Path, message: bool = True) -> str:
    """Return the traceback of an error and its causes, with frames of the project alone.

    Without `message` it ends with the name of the error's class, for an error that is told in
    full elsewhere.
    """
    whole = traceback.TracebackException.from_exception(error)
    pending, seen = [whole], {id(whole)}
    while pending:
        part = pending.pop()
        kept = [_relative(frame, root) for frame in part.stack if _is_own(frame, root)]
        part.stack = traceback.StackSummary.from_list(kept)
        for other in (part.__cause__, part.__context__):
            if other is not None and id(other) not in seen:
                seen.add(id(other))
                pending.append(other)
    lines = list(whole.format())
    if not message:
        lines[-len(list(whole.format_exception_only())) :] = [_class_name(error)]
    return "".join(lines).rstrip("\n")


def last_line(error: BaseException, *, root: Path) -> str:
    """Return the project's line where an error came up, as `file.py:12`; empty if in none."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{_name(error.filename, root)}:{error.lineno}"
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if _is_own(frame, root)]
    return f"{_name(own[-1].filename, root)}:{own[-1].lineno}" if own else ""


def _class_name(error: BaseException) -> str:
    kind = type(error)
    return f"{kind.__module__}.{kind.__qualname__}"


def _is_own(frame: traceback.FrameSummary, root: Path) -> bool:
    path = Path(frame.filename)
    return path.is_relative_to(root) and _ENVIRONMENTS.isdisjoint(path.parts)


def _relative(frame: traceback.FrameSummary, root: Path) -> traceback.FrameSummary:
    return traceback.FrameSummary(
        _name(frame.filename, root), frame.lineno, frame.name, line=frame.line
    )


def _name(filename: str, root: Path) -> str:
    path = Path(filename)
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.name
