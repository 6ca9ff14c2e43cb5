"""A compiled model as one ONNX model for others: named inputs, double precision, nothing of Bucle.

Imports onnx and onnxruntime when a model is exported.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from bucle.errors import PackageError
from bucle.models.compiled.encoder import table_of
from bucle.models.compiled.form import Form, NumberCell, Record, TableCells, TimeCells
from bucle.models.compiled.layout import width_of
from bucle.models.compiled.onnx_file import check_trees_file
from bucle.models.compiled.values import NUMBERS, time_reader
from bucle.models.signature import Feature

__all__ = ["Exported", "export_onnx", "onnx_inputs"]

_PLAIN, _IR = 18, 10
_ENSEMBLE = 5
_HUGE = 2.0**63


class Exported(Struct, frozen=True, kw_only=True):
    """An ONNX model, and the names of its inputs with what each takes."""

    content: bytes
    inputs: dict[str, str]


def export_onnx(record: Record, *, trees: bytes | None) -> Exported:
    """Return a compiled model as one ONNX model.

    Each column is an input of shape (rows, 1): words as text, everything else as doubles, dates and
    moments as their parts. A null is NaN, or an empty text. The output `prediction` is NaN for a
    row that the model refuses.

    Args:
        record: What the package says of its compiled form.
        trees: Its ONNX file of trees; None where it is linear.

    Raises:
        PackageError: The model has no compiled form, or it cannot be said in ONNX.
    """
    if record.model is None:
        raise PackageError(
            "Cannot export the model to ONNX: it has no compiled form",
            cause=record.engine.reason,
            code="bucle-313",
        )
    if trees is not None:
        check_trees_file(trees)
    graph = _Graph()
    content = graph.model(record.model, trees)
    return Exported(content=content, inputs=graph.inputs)


def onnx_inputs(form: Form, rows: Sequence[Sequence[Any]]) -> dict[str, NDArray[Any]]:
    """Return rows of Python values as what the exported model takes.

    Raises:
        PackageError: A row holds a value that is not of its column's type.
    """
    columns = list(zip(*rows, strict=True))
    found: dict[str, NDArray[Any]] = {}
    for name, source, part in _inputs(form):
        feature = form.columns[source]
        if feature.dtype == "String":
            words = ["" if value is None else value for value in columns[source]]
            found[name] = np.asarray(words, dtype=object).reshape(-1, 1)
        else:
            reader = time_reader(feature, part) if part else _as_double
            numbers = [reader(value) for value in columns[source]]
            found[name] = np.asarray(numbers, dtype=np.float64).reshape(-1, 1)
    return found


def _as_double(value: Any) -> float:
    return float("nan") if value is None else float(value)


def _inputs(form: Form) -> list[tuple[str, int, str]]:
    """Return name, column and part of each input."""
    parts: dict[int, dict[str, None]] = {}
    for cell in form.cells:
        wanted = cell.parts if isinstance(cell, TimeCells) else ("",)
        parts.setdefault(cell.source, {}).update(dict.fromkeys(wanted))
    found = []
    for source, feature in enumerate(form.columns):
        if feature.dtype != "String" and feature.dtype not in NUMBERS:
            chosen = [part for part in parts.get(source, {}) if part]
            for part in chosen:
                plain = part in {"day", "seconds"}
                found.append((feature.name if plain else f"{feature.name}.{part}", source, part))
        elif source in parts:
            found.append((feature.name, source, ""))
    return found


class _Graph:
    """Collects nodes and constants under names of its own."""

    def __init__(self) -> None:
        self.inputs: dict[str, str] = {}
        self._nodes: list[Any] = []
        self._constants: list[Any] = []
        self._refusals: list[str] = []
        self._count = 0
        self._rows = ""

    def model(self, form: Form, trees: bytes | None) -> bytes:
        from onnx import TensorProto, helper  # noqa: PLC0415  (only where a model is exported)

        places = {(source, part): name for name, source, part in _inputs(form)}
        values = []
        for name, source, _ in _inputs(form):
            is_word = form.columns[source].dtype == "String"
            self.inputs[name] = "text" if is_word else "number"
            kind = TensorProto.STRING if is_word else TensorProto.DOUBLE
            values.append(helper.make_tensor_value_info(name, kind, ["rows", 1]))
        if not values:
            raise _unsaid("a model that depends on no column")
        self._rows = self.add("Shape", values[0].name, start=0, end=1)
        blocks = [
            self._cell(cell, form.columns[cell.source], places)
            for cell in sorted(form.cells, key=lambda cell: cell.at)
            if width_of(cell)
        ]
        matrix = self.add("Concat", *blocks, axis=1)
        raw = self._trees(matrix, trees) if trees is not None else self._weighted(matrix, form)
        total = self.add("Add", raw, self.number(form.offset))
        shared = self.add("Div", total, self.number(form.share))
        found = self._output(shared, form.output)
        for refusal in self._refusals:
            found = self.add("Add", found, refusal)
        self._nodes.append(helper.make_node("Identity", [found], ["prediction"]))
        out = helper.make_tensor_value_info("prediction", TensorProto.DOUBLE, ["rows", 1])
        graph = helper.make_graph(self._nodes, "model", values, [out], self._constants)
        opsets = [helper.make_opsetid("", _PLAIN), helper.make_opsetid("ai.onnx.ml", _ENSEMBLE)]
        whole = helper.make_model(graph, opset_imports=opsets, ir_version=_IR)
        return bytes(whole.SerializeToString(deterministic=True))

    def add(self, operator: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        from onnx import helper  # noqa: PLC0415  (as above)

        self._count += 1
        name = f"_{self._count}"
        self._nodes.append(
            helper.make_node(operator, list(inputs), [name], domain=domain, **attributes)
        )
        return name

    def constant(self, values: NDArray[Any]) -> str:
        from onnx import numpy_helper  # noqa: PLC0415  (as above)

        self._count += 1
        name = f"_{self._count}"
        self._constants.append(numpy_helper.from_array(values, name))
        return name

    def number(self, value: float) -> str:
        return self.constant(np.asarray(value, dtype=np.float64))

    def refuse(self, condition: str) -> None:
        """Make the answer NaN where a condition holds."""
        nan, zero = self.number(float("nan")), self.number(0.0)
        self._refusals.append(self.add("Where", condition, nan, zero))

    def _cell(
        self,
        cell: NumberCell | TimeCells | TableCells,
        feature: Feature,
        places: dict[tuple[int, str], str],
    ) -> str:
        if isinstance(cell, TimeCells):
            names = [places[cell.source, part] for part in cell.parts]
            return self.add("Concat", *names, axis=1)
        if isinstance(cell, TableCells):
            if feature.dtype != "String" and feature.dtype not in NUMBERS:
                return self._constantly(cell)
            return self._looked_up(cell, feature, places[cell.source, ""])
        value = places[cell.source, ""]
        for step, number in cell.steps:
            value = self._step(value, step, number)
        return value

    def _step(self, value: str, step: str, number: float) -> str:
        if step in _ARITHMETIC:
            return self.add(_ARITHMETIC[step], value, self.number(number))
        if step == "fill":
            return self.add("Where", self.add("IsNaN", value), self.number(number), value)
        if step == "known":
            self.refuse(self.add("IsNaN", value))
            return value
        if step == "finite":
            size = self.add("Abs", value)
            self.refuse(self.add("Equal", size, self.number(float("inf"))))
            return value
        if step == "single":
            from onnx import TensorProto  # noqa: PLC0415  (as above)

            single = self.add("Cast", value, to=TensorProto.FLOAT)
            return self.add("Cast", single, to=TensorProto.DOUBLE)
        if step == "clip":
            return self._at_most(self._at_least(value, -number), number)
        return self._at_least(value, number) if step == "least" else self._at_most(value, number)

    def _at_least(self, value: str, number: float) -> str:
        edge = self.number(number)
        return self.add("Where", self.add("Less", value, edge), edge, value)

    def _at_most(self, value: str, number: float) -> str:
        edge = self.number(number)
        return self.add("Where", self.add("Greater", value, edge), edge, value)

    def _looked_up(self, cell: TableCells, feature: Feature, value: str) -> str:
        """Look a value's row up, then the numbers of the row."""
        refused = len(cell.rows)
        if feature.dtype == "String":
            row = self._word_row(cell, value)
        else:
            row = self._number_row(cell, value)
        index = self._whole(row)
        if min(cell.unknown, cell.null, *cell.keys.values(), *(at for _, at in cell.numbers)) < 0:
            self.refuse(self.add("Equal", row, self.number(float(refused))))
        table = self.constant(np.vstack([table_of(cell), np.full((1, cell.width), np.nan)]))
        picked = self.add("Gather", table, index, axis=0)
        flat = self.constant(np.asarray([-1, cell.width], dtype=np.int64))
        return self.add("Reshape", picked, flat)

    def _constantly(self, cell: TableCells) -> str:
        """Return the same numbers for every row, whatever the column holds."""
        shape = self.add(
            "Concat", self._rows, self.constant(np.asarray([1], dtype=np.int64)), axis=0
        )
        return self.add("Expand", self.constant(table_of(cell)[:1]), shape)

    def _whole(self, row: str) -> str:
        from onnx import TensorProto  # noqa: PLC0415  (as above)

        return self.add("Cast", row, to=TensorProto.INT64)

    def _word_row(self, cell: TableCells, value: str) -> str:
        rows = {"": cell.null, **cell.keys}
        return self._labels(value, list(rows), list(rows.values()), cell.unknown, cell)

    def _number_row(self, cell: TableCells, value: str) -> str:
        missing = self.add("IsNaN", value)
        known = self.add("Where", missing, self.number(0.0), value)
        keys = [float(number) for number, _ in cell.numbers]
        rows = [at for _, at in cell.numbers]
        row = self._labels(known, keys or [0.5], rows or [cell.unknown], cell.unknown, cell)
        if cell.huge is not None:
            size = self.add("Abs", known)
            large = self.add(
                "And",
                self.add("GreaterOrEqual", size, self.number(_HUGE)),
                self.add("Less", size, self.number(float("inf"))),
            )
            row = self.add("Where", large, self.number(self._row(cell, cell.huge)), row)
        return self.add("Where", missing, self.number(self._row(cell, cell.null)), row)

    @staticmethod
    def _row(cell: TableCells, at: int) -> float:
        return float(len(cell.rows) if at < 0 else at)

    def _labels(
        self, value: str, keys: Sequence[Any], rows: Sequence[int], rest: int, cell: TableCells
    ) -> str:
        from onnx import TensorProto, helper, numpy_helper  # noqa: PLC0415  (as above)

        if isinstance(keys[0], str):
            names = [key.encode() for key in keys]
            tensor = helper.make_tensor("keys", TensorProto.STRING, [len(keys)], names)
        else:
            tensor = numpy_helper.from_array(np.asarray(keys, dtype=np.float64), "keys")
        numbers = np.asarray([self._row(cell, at) for at in rows], dtype=np.float64)
        default = np.asarray([self._row(cell, rest)], dtype=np.float64)
        return self.add(
            "LabelEncoder",
            value,
            domain="ai.onnx.ml",
            keys_tensor=tensor,
            values_tensor=numpy_helper.from_array(numbers, "rows"),
            default_tensor=numpy_helper.from_array(default, "rest"),
        )

    def _trees(self, matrix: str, trees: bytes) -> str:
        import onnx  # noqa: PLC0415  (as above)

        node = onnx.load_model_from_string(trees).graph.node[0]
        self._count += 1
        name = f"_{self._count}"
        node.input[:], node.output[:] = [matrix], [name]
        self._nodes.append(node)
        return name

    def _weighted(self, matrix: str, form: Form) -> str:
        weights = np.asarray(form.weights, dtype=np.float64).reshape(-1, 1)
        return self.add("MatMul", matrix, self.constant(weights))

    def _output(self, value: str, output: str) -> str:
        if output == "probability":
            return self.add("Sigmoid", value)
        if output == "exp":
            return self.add("Exp", value)
        if output == "expm1":
            return self.add("Sub", self.add("Exp", value), self.number(1.0))
        if output == "log":
            return self.add("Log", value)
        if output == "log1p":
            return self.add("Log", self.add("Add", value, self.number(1.0)))
        return value


_ARITHMETIC = {"subtract": "Sub", "divide": "Div", "multiply": "Mul", "add": "Add"}


def _unsaid(what: str) -> PackageError:
    return PackageError(
        "Cannot export the model to ONNX",
        cause=f"{what} cannot be said in it",
        code="bucle-314",
    )
