"""A model written down as data: which numbers a row becomes, and what is made of them.

Values only, kept as JSON beside the trees. Whoever reads them runs nothing. Imports nothing heavy.
"""

from typing import Literal

import msgspec
from msgspec import Struct

from bucle.errors import PackageError
from bucle.ids import canonical_json
from bucle.models.signature import Feature

__all__ = [
    "Cell",
    "Engine",
    "Form",
    "NumberCell",
    "Output",
    "Record",
    "Row",
    "Step",
    "TableCells",
    "TimeCells",
    "check_form",
    "record_bytes",
    "record_from_bytes",
]

Output = Literal["same", "exp", "expm1", "log", "log1p", "probability"]
Step = tuple[
    Literal[
        "add",
        "clip",
        "divide",
        "fill",
        "finite",
        "known",
        "least",
        "most",
        "multiply",
        "single",
        "subtract",
    ],
    float,
]
Row = tuple[tuple[int, float | None], ...]
"""Where a row of a table differs from its base: place and number, None for NaN."""


class Engine(Struct, frozen=True, kw_only=True):
    """How a model answers: `compiled` once it was proved equal, else `estimator`, and why."""

    name: Literal["compiled", "estimator"]
    reason: str

    def __str__(self) -> str:
        return f"{self.name}: {self.reason}"


class NumberCell(Struct, frozen=True, kw_only=True, tag="number"):
    """One number of the matrix, made from one column by steps that are taken in order.

    `source` counts the form's columns, `at` the matrix's. Steps: `clip` to ±value, `fill` a null,
    `subtract`, `divide`, `multiply`, `add`, `least`, `most`, `single` (round to single precision),
    `finite` (refuse an infinity), `known` (refuse a null).
    """

    source: int
    at: int
    steps: tuple[Step, ...]


class TimeCells(Struct, frozen=True, kw_only=True, tag="time"):
    """Several numbers made from one date, moment or span: `day`, `month`, `weekday`, `hour`."""

    source: int
    at: int
    parts: tuple[Literal["day", "month", "weekday", "hour", "seconds"], ...]


class TableCells(Struct, frozen=True, kw_only=True, tag="table"):
    """Numbers looked up by what a column holds, `width` of them from `at` on.

    `keys` and `numbers` say which row a word or a number has; anything else has the row `unknown`,
    a null the row `null`; -1 refuses. NaN has the row `nan` and a whole number of more than 64 bits
    the row `huge`, where those are not None. Rows say where they differ from `base`.
    """

    source: int
    at: int
    base: tuple[float | None, ...]
    rows: tuple[Row, ...]
    keys: dict[str, int] = {}
    numbers: tuple[tuple[int | float, int], ...] = ()
    unknown: int
    null: int
    nan: int | None = None
    huge: int | None = None

    @property
    def width(self) -> int:
        """How many numbers each row has."""
        return len(self.base)


Cell = NumberCell | TimeCells | TableCells


class Form(Struct, frozen=True, kw_only=True):
    """A model as data.

    The matrix is `width` wide; its last `given` numbers come from outside (the prediction that σ
    depends on). Without `weights` the trees beside it give one number a row, with them the row is
    multiplied by them; `offset` is added, the sum divided by `share`, and `output` applied.
    """

    columns: tuple[Feature, ...]
    cells: tuple[Cell, ...]
    width: int
    given: int = 0
    weights: tuple[float, ...] | None = None
    offset: float
    share: float = 1.0
    output: Output


class Record(Struct, frozen=True, kw_only=True):
    """What a package says of how it answers: the engine, and the forms where it is compiled."""

    format: Literal[1] = 1
    engine: Engine
    model: Form | None = None
    scale: Form | None = None


def check_form(form: Form) -> None:
    """Refuse a form whose parts do not fit together.

    Raises:
        PackageError: A cell reads a column that is not there, a row of a table is missing, or the
            cells do not fill the matrix in order, single numbers first.
    """
    at, seen_block = 0, False
    for cell in sorted(form.cells, key=lambda cell: cell.at):
        is_block = isinstance(cell, TableCells) and cell.width != 1
        if not 0 <= cell.source < len(form.columns) or cell.at != at:
            raise _odd(f"a cell reads column {cell.source} and writes place {cell.at}")
        if seen_block and not is_block:
            raise _odd("a single number stands behind a block")
        seen_block |= is_block
        if isinstance(cell, TableCells):
            _check_table(cell)
            at += cell.width
        else:
            at += len(cell.parts) if isinstance(cell, TimeCells) else 1
    if at + form.given != form.width or form.given < 0:
        raise _odd(f"its cells fill {at} of {form.width} places")
    if form.weights is not None and len(form.weights) != form.width:
        raise _odd("it has other weights than places")


def _check_table(cell: TableCells) -> None:
    rows = [cell.unknown, cell.null, *cell.keys.values(), *(row for _, row in cell.numbers)]
    rows += [row for row in (cell.nan, cell.huge) if row is not None]
    if not all(-1 <= row < len(cell.rows) for row in rows):
        raise _odd("a table lacks a row that it names")
    if not all(0 <= place < cell.width for row in cell.rows for place, _ in row):
        raise _odd("a table writes beyond its width")


def _odd(cause: str) -> PackageError:
    return PackageError(
        "Cannot use the compiled form of a model",
        cause=cause,
        attempt="bucle run",
        code="bucle-311",
    )


def record_bytes(record: Record) -> bytes:
    """Write a record in its one byte form."""
    return canonical_json(msgspec.to_builtins(record))


def record_from_bytes(content: bytes) -> Record:
    """Read a record; its digest must have been checked before.

    Raises:
        PackageError: It is no such record.
    """
    try:
        return msgspec.json.decode(content, type=Record)
    except (msgspec.DecodeError, RecursionError) as error:
        raise PackageError(
            "Cannot read the compiled form of a model",
            cause=str(error),
            attempt="bucle run",
            code="bucle-311",
        ) from error
