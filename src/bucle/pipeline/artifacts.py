"""Values of steps as bytes and back, in formats that carry no code.

Frames become Arrow IPC, arrays npy, fitted estimators skops, everything made of JSON values
canonical JSON; equal values give equal bytes. Anything else is refused with a way out. Heavy
libraries are imported only when a value of their kind is met.
"""

import io
import json
import math
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from bucle.errors import BucleError, OutsideError, PipelineError
from bucle.grammar import with_article
from bucle.ids import canonical_json
from bucle.pipeline.tasks import Artifact, Format
from bucle.types import Blobs

if TYPE_CHECKING:
    import numpy as np
    import polars as pl

__all__ = ["Encoded", "decode_value", "encode_value", "keep_value", "read_value"]

_NUMBERS = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}
_MAX_DEPTH = 100


class Encoded(Struct, frozen=True):
    """The bytes of a value, and what an artifact says of it beside them."""

    content: bytes
    format: Format
    rows: int | None = None
    types: tuple[str, ...] = ()


def keep_value(value: Any, *, blobs: Blobs, root: Path) -> Artifact:
    """Encode a value, keep its bytes and return the artifact that refers to them.

    Raises:
        PipelineError: The value is of a kind that cannot be kept (bucle-151).
    """
    encoded = encode_value(value, root=root)
    return Artifact(
        digest=blobs.put(encoded.content),
        format=encoded.format,
        bytes=len(encoded.content),
        rows=encoded.rows,
        types=encoded.types,
    )


def read_value(artifact: Artifact, *, blobs: Blobs, root: Path) -> Any:
    """Return a fresh copy of an artifact's value; its digest is checked before it is parsed.

    Raises:
        UnknownNameError: The content is not there.
        DigestMismatchError: The content is not what its address says.
    """
    return decode_value(blobs.get(artifact.digest), format=artifact.format, root=root)


def encode_value(value: Any, *, root: Path) -> Encoded:
    """Return a value as bytes.

    Tuples become lists and numpy's numbers plain ones; NaN and the infinities inside JSON values
    are written as `{"$number": "nan"}`. A lazy frame is collected.

    Args:
        value: What a step returned.
        root: The project's folder; estimators may be of its classes.

    Raises:
        PipelineError: The value is of a kind that cannot be kept (bucle-151).
        PackageError: An estimator holds something that cannot be kept.
    """
    origin = type(value).__module__.partition(".")[0]
    if origin == "polars":
        return _encode_polars(value)
    if origin == "numpy":
        return _encode_numpy(value)
    if origin in {"pandas", "pyarrow"}:
        raise _unfit(value, f"a {origin} value", "return polars: pl.from_" + _polars_door(origin))
    if _is_estimator(value):
        return _encode_estimator(value, root)
    return Encoded(canonical_json(_to_json(value, "the value", 0)), "json")


def decode_value(content: bytes, *, format: Format, root: Path) -> Any:  # noqa: A002  (its name)
    """Return the value that bytes stand for; their digest must have been checked.

    Raises:
        OutsideError: The bytes are not of the format.
    """
    try:
        if format == "arrow":
            return _decode_frame(content)
        if format == "npy":
            return _decode_array(content)
        if format == "skops":
            from bucle.pipeline.estimators import estimator_from_bytes  # noqa: PLC0415  (heavy)

            return estimator_from_bytes(content, project=root)
        return _from_json(json.loads(content))
    except BucleError:
        raise
    except Exception as error:
        raise OutsideError(
            f"Cannot read an artifact as {format}",
            cause=f"{type(error).__name__}: {error}",
            code="bucle-152",
        ) from error


# ---- frames and arrays --------------------------------------------------------


def _encode_polars(value: Any) -> Encoded:
    import polars as pl  # noqa: PLC0415  (loaded already: the value is of it)

    if isinstance(value, pl.LazyFrame):
        value = value.collect()
    if not isinstance(value, pl.DataFrame):
        raise _unfit(value, "no frame", "return a DataFrame: value.to_frame()")
    for name, kind in value.schema.items():
        if kind == pl.Object:
            raise _unfit(value, f"column {name!r} holds Python objects", "give it a polars type")
    stream = io.BytesIO()
    # The oldest layout writes texts without gaps, whatever was filtered away before.
    _settled(value).write_ipc(stream, compression="uncompressed", compat_level=_oldest())
    return Encoded(stream.getvalue(), "arrow", rows=value.height)


def _settled(frame: "pl.DataFrame") -> "pl.DataFrame":
    """Return an equal frame in one piece and with nothing left over behind its nulls."""
    import polars as pl  # noqa: PLC0415  (as above)

    frame = frame.rechunk()
    fresh = []
    for name, kind in frame.schema.items():
        column = pl.col(name)
        if kind.is_nested() or isinstance(kind, pl.Categorical | pl.Enum):
            fresh.append(column.gather(pl.int_range(pl.len())))
        elif kind != pl.Null and frame[name].null_count():
            fresh.append(pl.when(column.is_not_null()).then(column.fill_null(_blank(kind))))
    return frame.with_columns(fresh).rechunk() if fresh else frame


def _blank(kind: Any) -> Any:
    """Return a value of a column type to stand, unseen, behind its nulls."""
    import polars as pl  # noqa: PLC0415  (as above)

    if kind == pl.String:
        return pl.lit("")
    if kind == pl.Binary:
        return pl.lit(b"")
    return pl.lit(0).cast(kind)


def _oldest() -> Any:
    import polars as pl  # noqa: PLC0415  (as above)

    return pl.CompatLevel.oldest()


def _decode_frame(content: bytes) -> "pl.DataFrame":
    import polars as pl  # noqa: PLC0415  (heavy)

    return pl.read_ipc(io.BytesIO(content)).rechunk()


def _encode_numpy(value: Any) -> Encoded:
    import numpy as np  # noqa: PLC0415  (loaded already: the value is of it)

    if isinstance(value, np.generic):
        return Encoded(canonical_json(_to_json(value, "the value", 0)), "json")
    if not isinstance(value, np.ndarray):
        raise _unfit(value, "no array", "return a numpy array")
    if value.dtype.hasobject:
        raise _unfit(value, "an array of Python objects", "give it a number or text type")
    stream = io.BytesIO()
    np.save(stream, np.ascontiguousarray(value).reshape(value.shape), allow_pickle=False)
    return Encoded(stream.getvalue(), "npy", rows=value.shape[0] if value.ndim else None)


def _decode_array(content: bytes) -> "np.ndarray[Any, Any]":
    import numpy as np  # noqa: PLC0415  (heavy)

    found: np.ndarray[Any, Any] = np.load(io.BytesIO(content), allow_pickle=False)
    return found


# ---- estimators ---------------------------------------------------------------


def _is_estimator(value: object) -> bool:
    methods = ("fit", "get_params")
    return not isinstance(value, type) and all(hasattr(value, name) for name in methods)


def _encode_estimator(value: Any, root: Path) -> Encoded:
    from bucle.pipeline.estimators import estimator_to_bytes  # noqa: PLC0415  (heavy)

    content = estimator_to_bytes(value, project=root)
    return Encoded(content, "skops", types=_project_types(content, root))


def _project_types(content: bytes, root: Path) -> tuple[str, ...]:
    """Return the project's classes and functions that reading these bytes will need."""
    from bucle.pipeline.estimator_types import module_file, named_types  # noqa: PLC0415  (parser)

    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        schema = json.loads(archive.read("schema.json"))
    found: set[str] = set()
    base = root.resolve()
    for name in {name for _, name in named_types(schema)}:
        module, _, last = name.rpartition(".")
        if module.partition(".")[0] in sys.stdlib_module_names:
            continue
        file = module_file(base, module)
        if file is not None:
            found.add(f"{file.relative_to(base).as_posix()}:{last}")
    return tuple(sorted(found))


# ---- JSON values ----------------------------------------------------------------


def _to_json(value: Any, where: str, depth: int) -> Any:
    if depth > _MAX_DEPTH:
        raise _unfit(value, f"{where} is nested more than {_MAX_DEPTH} deep", "return it flatter")
    if value is None or isinstance(value, bool | str):
        return value
    if hasattr(value, "dtype") and hasattr(value, "item") and not getattr(value, "ndim", 0):
        value = value.item()  # a number of numpy; its own types are no JSON values
    if isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else {"$number": str(value)}
    if isinstance(value, list | tuple):
        return [_to_json(item, f"{where}[{place}]", depth + 1) for place, item in enumerate(value)]
    if isinstance(value, Mapping):
        return {
            _key(name, where): _to_json(item, f"{where}[{name!r}]", depth + 1)
            for name, item in value.items()
        }
    raise _unfit(value, f"{where} is {with_article(_kind(value))}", _way_out(value))


def _key(name: Any, where: str) -> str:
    if not isinstance(name, str):
        raise _unfit(name, f"{where} has the key {name!r}, which is no text", "use text keys")
    # `$` begins the names that this form uses itself.
    return f"${name}" if name.startswith("$") else str(name)


def _from_json(value: Any) -> Any:
    if isinstance(value, list):
        return [_from_json(item) for item in value]
    if isinstance(value, dict):
        if len(value) == 1 and "$number" in value:
            return _NUMBERS[value["$number"]]
        return {name.removeprefix("$"): _from_json(item) for name, item in value.items()}
    return value


# ---- errors ---------------------------------------------------------------------


def _unfit(value: Any, cause: str, attempt: str) -> PipelineError:
    return PipelineError(
        f"A step cannot return {with_article(_kind(value))}",
        cause=cause,
        attempt=attempt,
        code="bucle-151",
    )


def _kind(value: Any) -> str:
    kind = type(value)
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"


def _polars_door(origin: str) -> str:
    return "pandas(value)" if origin == "pandas" else "arrow(value)"


def _way_out(value: Any) -> str:
    if isinstance(value, set | frozenset):
        return "return sorted(value)"
    if hasattr(value, "isoformat"):
        return "return value.isoformat()"
    if isinstance(value, bytes | bytearray):
        return "return text, or an array: np.frombuffer(value, np.uint8)"
    if type(value).__module__.partition(".")[0] == "polars":
        return "return the frame by itself from a step of its own"
    return "return a polars frame, a numpy array, a fitted estimator or plain JSON values"
