"""Put the cells of a matrix in their final order, single numbers first, and join tree and cell.

Imports numpy and its own forms only.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from bucle.models.compiled.form import Cell, Form, NumberCell, Step, TableCells, TimeCells
from bucle.models.compiled.learners import Learned, NoForm
from bucle.models.compiled.trees import forest_bytes
from bucle.models.signature import Feature

__all__ = ["Compiled", "Wired", "join", "width_of"]

_MOST_NODES = 300_000


@dataclass(frozen=True)
class Wired:
    """A cell, and which columns of the learner's matrix its numbers are."""

    cell: Cell
    outputs: tuple[int, ...]


@dataclass(frozen=True)
class Compiled:
    """A model as data: its form, what it learned, its ONNX file, and where features stand."""

    form: Form
    learned: Learned
    trees: bytes | None
    places: NDArray[np.int64]


def width_of(cell: Cell) -> int:
    """Return how many numbers a cell makes."""
    if isinstance(cell, NumberCell):
        return 1
    return len(cell.parts) if isinstance(cell, TimeCells) else cell.width


def join(
    wired: Sequence[Wired],
    learned: Learned,
    columns: tuple[Feature, ...],
    *,
    width: int,
    given: int = 0,
) -> Compiled:
    """Lay the cells out and return the model as data.

    Args:
        wired: Cells with the columns of the learner's matrix they make.
        learned: What the learner adds up.
        columns: What a row holds.
        width: How wide the learner's matrix is; its last `given` columns come from outside.
        given: How many those are.

    Raises:
        NoForm: A column of the matrix is made by no cell, levels are not looked up, or there are
            more than 300,000 nodes.
    """
    nodes = sum(len(tree.leaf) for tree in learned.trees)
    if nodes > _MOST_NODES:
        raise NoForm(f"its {nodes:,} nodes are too many to load at each start of a server")
    places = np.full(width, -1, dtype=np.int64)
    cells: list[Cell] = []
    at = 0
    for item in sorted(wired, key=_is_block):
        cell = _guarded(item, learned)
        cells.append(replace(cell, at=at))
        places[list(item.outputs)] = np.arange(at, at + len(item.outputs))
        at += width_of(cell)
    if given:
        places[width - given :] = np.arange(at, at + given)
    if (places < 0).any() or at + given != width:
        raise NoForm("a column of its matrix has no known origin")
    trees = forest_bytes(learned.trees, places, width=width) if learned.trees else None
    weights = None
    if trees is None:
        ordered = np.zeros(width)
        if learned.weights is not None:
            ordered[places] = learned.weights
        weights = tuple(ordered.tolist())
    form = Form(
        columns=columns,
        cells=tuple(cells),
        width=width,
        given=given,
        weights=weights,
        offset=learned.offset,
        share=learned.share,
        output=learned.output,
    )
    return Compiled(form=form, learned=learned, trees=trees, places=places)


def _is_block(item: Wired) -> bool:
    return isinstance(item.cell, TableCells) and item.cell.width != 1


def _guarded(item: Wired, learned: Learned) -> Cell:
    """Return a cell that refuses, rounds and forgets what the learner does."""
    cell = item.cell
    levels = {
        place: learned.levels[out]
        for place, out in enumerate(item.outputs)
        if out in learned.levels
    }
    if isinstance(cell, NumberCell):
        if levels:
            raise NoForm("it takes numbers as levels that are not looked up")
        steps: list[Step] = list(cell.steps)
        if learned.known:
            steps.append(("known", 0.0))
        if learned.single:
            steps.append(("single", 0.0))
        if learned.finite:
            steps.append(("finite", 0.0))
        return replace(cell, steps=tuple(steps))
    if isinstance(cell, TimeCells):
        if learned.single or learned.known or levels:
            raise NoForm("it takes dates in a way that has no compiled form")
        return cell
    return _guarded_table(cell, levels, learned)


def _guarded_table(
    cell: TableCells, levels: dict[int, frozenset[float]], learned: Learned
) -> TableCells:
    """Round and forget in a table, once for all; rows that would be refused are."""

    def settle(place: int, number: float | None) -> float | None:
        if number is None or (place in levels and number not in levels[place]):
            return None
        return float(np.float32(number)) if learned.single else number

    base = tuple(settle(place, number) for place, number in enumerate(cell.base))
    rows = tuple(
        tuple((place, settle(place, number)) for place, number in row) for row in cell.rows
    )
    refused: set[int] = set()
    if learned.known:
        for at, row in enumerate(rows):
            numbers = {**dict(enumerate(base)), **dict(row)}
            if None in numbers.values():
                refused.add(at)

    def keep(row: int) -> int:
        return -1 if row in refused else row

    return replace(
        cell,
        base=base,
        rows=rows,
        keys={word: keep(row) for word, row in cell.keys.items()},
        numbers=tuple((number, keep(row)) for number, row in cell.numbers),
        unknown=keep(cell.unknown),
        null=keep(cell.null),
        nan=None if cell.nan is None else keep(cell.nan),
        huge=None if cell.huge is None else keep(cell.huge),
    )
