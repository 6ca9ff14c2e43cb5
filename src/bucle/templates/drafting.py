"""The texts of a project drafted from a table: contract, pipeline constants, charter, notes.

What was decided about the table comes from `table`. Reads frames, so it is heavy to import.
"""

import json
import keyword
import math
import re
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING

import dataframely as dy
import polars as pl

from bucle.data.inference import infer_types
from bucle.data.sources import read_source
from bucle.templates.advice import tell_texts
from bucle.templates.table import Column, Roles, Table, refuse_width, survey_table

if TYPE_CHECKING:
    from bucle.charter.settings import DatasetSettings
    from bucle.templates.creation import TemplateOptions

__all__ = ["charter_text", "contract_text", "pipeline_text", "write_draft"]

_SURE_ROWS = 1000  # from here on, what was never seen is written down as not allowed
_RESERVED = frozenset(dir(dy.Schema))
_NOTES = 12
_DEFAULTS = "learning_rate: float = 0.08, max_iter: int = 200"
# Rows up to which a learner bears no more trees; measured on a yes or no that is hard to tell,
# where 200 trees on 3,000 rows were worse than the base rate and 60 saved a fifth of the loss.
_TREES = ((20_000, 0.05, 60), (100_000, 0.08, 100))


def write_draft(
    draft: Path, *, name: str, options: "TemplateOptions", copied: tuple[str, ...]
) -> list[str]:
    """Write contract, pipeline constants, charter and README of a table; return notes.

    Args:
        draft: The project's folder, with the template's files and the data in it.
        name: The project's name.
        options: The columns that were named, and how to read.
        copied: Names of the files in `data/`.

    Raises:
        SourceError: A file cannot be read, or a time column holds no times.
        UnknownNameError: A named column is not in the table.
        UsageError: The target has nothing to learn.
    """
    # Errors and notes name the files alone: the draft's folder goes away.
    folder = draft.absolute() / "data"
    raw = read_source([folder / file for file in copied], options.reading, root=folder)
    refuse_width(raw.frame)
    inferred, coercions = infer_types(raw.frame, settings=options.reading)
    roles = Roles(
        target=options.target or "",
        event_time=options.event_time,
        label_time=options.label_time,
        key=options.key,
        late=options.late,
    )
    frame, table = survey_table(inferred, roles, reading=options.reading, coercions=coercions)
    contract = contract_text(table)
    (draft / "contract.py").write_text(contract, encoding="utf-8")
    pipeline = draft / "pipeline.py"
    pipeline.write_text(
        pipeline_text(pipeline.read_text(encoding="utf-8"), table), encoding="utf-8"
    )
    charter = charter_text(
        table, name=name, reading=options.reading, copied=copied, labels=frame[roles.target]
    )
    (draft / "bucle.toml").write_text(charter, encoding="utf-8")
    notes = [*table.notes, *raw.notes]
    notes += tell_texts(
        frame,
        coercions,
        target=roles.target,
        lines=_contract_lines(contract, table),
        reading=options.reading,
    )
    (draft / "README.md").write_text(_readme_text(table, name, notes), encoding="utf-8")
    if len(notes) > _NOTES:
        return [*notes[:_NOTES], f"{len(notes) - _NOTES} more notes are in README.md"]
    return notes


# ---- contract ---------------------------------------------------------------


def contract_text(table: Table) -> str:
    """Return the source of a contract that all rows seen so far keep, and not too tight a one."""
    head = f'''"""What a valid row is; rows that are not go to quarantine with their reasons.

Drafted from {table.rows:,} rows. Read it line by line: what was never seen is not always wrong,
and what was seen is not always right. `min=0` stands where nothing was negative; `dy.Enum` lists
the values that may come, so a new one goes to quarantine until it is added here.
"""

import dataframely as dy


class Rows(dy.Schema):
    """One row of the table."""

'''
    taken: set[str] = set()
    lines = [_column_line(column, table.rows, taken) for column in table.columns]
    return head + "".join(lines)


def _contract_lines(contract: str, table: Table) -> dict[str, int]:
    """Return the number of the line in which each column stands: they are the last ones."""
    first = contract.count("\n") - len(table.columns) + 1
    return {column.name: first + place for place, column in enumerate(table.columns)}


def _column_line(column: Column, rows: int, taken: set[str]) -> str:
    attribute = _attribute(column.name, taken)
    words: list[str] = []
    sure = rows >= _SURE_ROWS and column.part in {"feature", "late", "left out"}
    strict = column.part in {"key", "event_time"} or (
        sure and column.part != "late" and not column.nulls
    )
    kind = "String"
    if column.dtype.is_numeric():
        whole = "UInt64" if column.dtype == pl.UInt64 else "Int64"
        kind = whole if column.dtype.is_integer() else "Float64"
        if sure and column.low is not None and column.low >= 0 and kind != "UInt64":
            words.append("min=0")
        if column.has_nan:
            words.append("allow_nan=True")
    elif isinstance(column.dtype, pl.Datetime):
        kind = "Datetime"
        if column.dtype.time_zone:
            words.append(f"time_zone={_quoted(column.dtype.time_zone)}")
    elif column.dtype == pl.String and column.values and strict and column.part == "feature":
        kind = "Enum"
        words.append("[" + ", ".join(_quoted(value) for value in column.values) + "]")
    else:
        named = {pl.Boolean: "Bool", pl.Date: "Date", pl.Duration: "Duration"}
        kind = next((word for dtype, word in named.items() if column.dtype == dtype), "String")
    words.append(f"nullable={not strict}")
    if attribute != column.name:
        words.append(f"alias={_quoted(column.name)}")
    return f"    {attribute} = dy.{kind}({', '.join(words)}){_remark(column)}\n"


def _remark(column: Column) -> str:
    said = {
        "key": "key",
        "event_time": "when the prediction is made",
        "label_time": "when the truth became known",
        "target": "what is predicted",
        "late": "known only with the label",
        "left out": f"no feature: {column.because}",
    }.get(column.part, "")
    return f"  # {said}" if said else ""


def _attribute(name: str, taken: set[str]) -> str:
    """Return a Python name for a column; its own one wherever that works."""
    plain = name if unicodedata.normalize("NFKC", name) == name else ""
    if not plain.isidentifier() or plain.startswith("_"):
        plain = re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_").lower()[:40] or "column"
        plain = plain if plain[0].isalpha() else f"column_{plain}"
    if keyword.iskeyword(plain) or plain in _RESERVED or plain == "dy":
        plain += "_"
    attribute, number = plain, 1
    while attribute in taken:
        number += 1
        attribute = f"{plain}_{number}"
    taken.add(attribute)
    return attribute


# ---- pipeline ---------------------------------------------------------------


def pipeline_text(text: str, table: Table) -> str:
    """Return the source of the template's pipeline with its constants set to this table's."""
    features = _features(table)
    for most, rate, trees in _TREES:
        if table.rows <= most:
            fewer = f"learning_rate: float = {rate}, max_iter: int = {trees}"
            text = text.replace(_DEFAULTS, fewer, 1)
            break
    codes = [column.name for column in table.named("feature") if column.is_code]
    yes = "None" if table.yes is None else _quoted(table.yes)
    for constant, value, remark in (
        ("KIND", _quoted(table.kind), ""),
        ("TARGET", _quoted(table.roles.target), ""),
        ("YES", yes, "  # this value of the target is a yes" if table.yes is not None else ""),
        ("FEATURES", _listed(features), "  # known at the event time"),
        ("CODES", _listed(codes), "  # numbers that are names of things, not quantities"),
    ):
        line = f"{constant} = {value}"
        if remark:
            line = f"#{remark.removeprefix('  #')}\n{line}"
        before, _, after = text.partition(f"\n{constant} = ")
        text = f"{before}\n{line}\n" + after.partition("\n")[2]
    return text


def _features(table: Table) -> list[str]:
    event = [table.roles.event_time] if table.roles.event_time else []
    return [*event, *(column.name for column in table.named("feature"))]


def _listed(names: list[str]) -> str:
    if sum(len(name) + 4 for name in names) < 80:  # noqa: PLR2004  (a line)
        return "[" + ", ".join(_quoted(name) for name in names) + "]"
    return "[\n" + "".join(f"    {_quoted(name)},\n" for name in names) + "]"


def _quoted(text: str) -> str:
    """Return a text as a literal that Python, JSON and TOML read alike."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


# ---- charter ----------------------------------------------------------------


def charter_text(
    table: Table,
    *,
    name: str,
    reading: "DatasetSettings",
    copied: tuple[str, ...],
    labels: pl.Series,
) -> str:
    """Return the text of bucle.toml, with what only its owner knows left open in words.

    Args:
        table: What was decided about the columns.
        name: The project's name.
        reading: How the files are to be read.
        copied: Names of the files in `data/`.
        labels: The target; a naive guess at it sets the first limits.
    """
    roles = table.roles
    kpis, money = _kpis(table, labels)
    late = [roles.target, *(column.name for column in table.named("late"))]
    wiring = [
        ("source", _listed([f"data/{file}" for file in copied])),
        ("key", _listed(list(roles.key)) if roles.key else None),
        ("event_time", _quoted(roles.event_time) if roles.event_time else None),
        ("label", _listed(late)),
        ("label_time", _quoted(roles.label_time) if roles.label_time else None),
        ("contract", '"contract.py:Rows"'),
        ("encoding", _quoted(reading.encoding) if reading.encoding else None),
        ("separator", _quoted(reading.separator) if reading.separator else None),
        ("decimal", _quoted(reading.decimal) if reading.decimal != "." else None),
        ("dates", _quoted(reading.dates) if reading.dates else None),
        (
            "null_values",
            _listed(list(reading.null_values)) if reading.null_values != ("",) else None,
        ),
    ]
    data = "\n".join(f"{key} = {value}" for key, value in wiring if value is not None)
    return _CHARTER.format(
        name=_quoted(name),
        target=" ".join(roles.target.split())[:60].replace("\\", " ").replace('"', "'"),
        risks=_listed(_risks(table)),
        kpis=kpis,
        money=money,
        data=data,
        kind=table.kind,
        target_name=_quoted(roles.target),
        features=_listed(_features(table)),
    )


_CHARTER = """\
# The charter and the wiring. `bucle config` shows every key, its value and where it came from.

[project]
name = {name}

# Why this project exists. Fill in what only you know; it goes into each model's card.
[charter]
problem = "What will {target} be? Who decides what with the answer?"
value = "What is better, and by how much, when the answer is right?"
users = []
owner = ""
risks = {risks}

# How success is measured: `goal` is what you aim for, `must` what the gate demands.
{kpis}
# What an error and a retrain cost; `error` may name a function of yours, "money.py:cost".
[charter.money]
{money}
retrain = 0
currency = "USD"

# Where rows come from and what their times mean. `label` lists all that is known only later.
[data.rows]
{data}

[pipeline]
kind = "{kind}"
model = "model"
examples = "examples"
target = {target_name}
features = {features}

# The newest fifth of the labelled rows judges; training never sees it.
[gates]
holdout = 0.2
confidence = 0.95
# With a column that names a thing seen again and again, the last value of that thing is the
# baseline that is hardest to beat:
# baselines = ["median", "last"]
# baseline_key = "COLUMN"

# What `bucle replay` tries on your history; with "never" alone it tries the usual ones.
[retrain]
policies = ["never"]
"""


def _kpis(table: Table, labels: pl.Series) -> tuple[str, str]:
    """Return KPIs whose `must` is what a naive guess reaches, and the money to begin with."""
    if table.kind == "classification":
        known = labels.drop_nulls()
        if known.dtype.is_float():
            known = known.filter(known.is_finite())
        positive = known if table.yes is None else known == table.yes
        share = float(positive.cast(pl.Float64).mean() or 0.0)  # type: ignore[arg-type]
        entropy = -share * math.log(share) - (1 - share) * math.log(1 - share)
        remark = f"# Saying {share:.1%} to everybody has a log loss of {entropy:.3f}."
        kpis = (
            f"{remark}\n{_kpi('log_loss', _round(0.8 * entropy), _round(entropy))}\n"
            f"{_kpi('auc', 0.8, 0.55)}"
        )
        return kpis, 'error = "zero-one"\nunder = 1.0  # a yes that was missed\nover = 1.0'
    known = labels.cast(pl.Float64).drop_nulls()
    known = known.filter(known.is_finite())
    off = (known - known.median()).abs()
    size = float(known.abs().sum())
    if size and float((known < 0).mean() or 0.0) <= 0.1:  # type: ignore[arg-type]  # noqa: PLR2004
        metric, naive = "wape", float(off.sum()) / size
    else:
        metric, naive = "mae", float(off.mean() or 0.0)  # type: ignore[arg-type]
    naive = naive or 1.0
    remark = f"# Saying the median to everybody has a {metric} of {naive:.3g}."
    money = 'error = "absolute"  # or "asymmetric", when too little and too much differ'
    return f"{remark}\n{_kpi(metric, _round(0.7 * naive), _round(naive))}", money


def _kpi(metric: str, goal: float, must: float) -> str:
    return f'[[charter.kpis]]\nmetric = "{metric}"\ngoal = {goal}\nmust = {must}\n'


def _round(value: float) -> float:
    return float(f"{value:.3g}")


def _risks(table: Table) -> list[str]:
    roles = table.roles
    risks = []
    if roles.event_time is None:
        risks.append(
            "No event time: the model is judged on rows chosen by chance, not on later ones, so"
            " nothing is promised about how it does as the world changes."
        )
    elif roles.label_time is None:
        risks.append(
            "No label time: labels are taken as known at once; if they come later, the"
            " figures are better than life."
        )
    if table.named("late"):
        risks.append("Some columns were taken as known only with the label; check the list.")
    return risks or ["What would go wrong if the model is wrong, or right for the wrong reason?"]


# ---- readme -----------------------------------------------------------------

_REPLAY_LINE = "bucle replay                 which retraining policy would have served you"


def _readme_text(table: Table, name: str, notes: list[str]) -> str:
    roles = table.roles
    target = roles.target.replace("`", "'")
    lines = [
        f"# {name}",
        "",
        f"Predicts `{target}` ({table.kind}) from {table.rows:,} rows.",
        "",
        "```",
        "bucle run                    data → steps → gate → champion",
        "bucle data quarantine rows   rows that break the contract, with their reasons",
        "bucle data check rows        columns that give the label away",
        "bucle data add rows FILE     more rows",
        *([_REPLAY_LINE] if roles.event_time else []),
        "```",
        "",
        "`bucle.toml` is the charter, `contract.py` what a valid row is, `pipeline.py` the steps.",
        "",
    ]
    if notes:
        lines += ["What was noticed while the project was drafted:", ""]
        lines += [f"* {' '.join(note.split())}" for note in notes]
        lines.append("")
    return "\n".join(lines)
