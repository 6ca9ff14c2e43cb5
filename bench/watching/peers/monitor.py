"""Try one monitor of others on tables: `monitor.py NAME FOLDER REPEATS WORK`; JSON goes to stdout.

WORK is `tables`, `nulls` or `simulated`.
NAME is evidently, nannyml or ks. Each is as its documentation sets it up, by default; columns
are told to be numbers or words. Runs in an environment of its own and imports nothing of Bucle.
"""

import json
import logging
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

os.environ["DO_NOT_TRACK"] = "1"
os.environ["NML_DISABLE_USAGE_LOGGING"] = "1"
warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402

Look = Callable[[pd.DataFrame, pd.DataFrame, Sequence[str]], set[str]]


def evidently(reference: pd.DataFrame, current: pd.DataFrame, words: Sequence[str]) -> set[str]:
    """Return the columns that its drift preset calls drifted."""
    from evidently import DataDefinition, Dataset, Report  # noqa: PLC0415
    from evidently.presets import DataDriftPreset  # noqa: PLC0415

    numbers = [name for name in reference.columns if name not in words]
    definition = DataDefinition(numerical_columns=numbers, categorical_columns=list(words))
    known, now = (
        Dataset.from_pandas(one, data_definition=definition) for one in (reference, current)
    )
    told = Report([DataDriftPreset()]).run(now, known).dict()
    found = set()
    for metric in told["metrics"]:
        config = metric["config"]
        if not config["type"].endswith("ValueDrift"):
            continue
        value, limit = float(metric["value"]), config["threshold"]
        method = config.get("method") or metric["metric_name"]
        if value < limit if "p_value" in method else value >= limit:
            found.add(config["column"])
    return found


def ks(reference: pd.DataFrame, current: pd.DataFrame, words: Sequence[str]) -> set[str]:
    """Return the columns whose test, Kolmogorov and Smirnov's or chi², has p < 0.05."""
    from scipy.stats import chi2_contingency, ks_2samp  # noqa: PLC0415

    found = set()
    for name in reference.columns:
        if name in words:
            counts = pd.concat(
                [one[name].value_counts(dropna=False) for one in (reference, current)], axis=1
            ).fillna(0)
            p = chi2_contingency(counts.to_numpy().T).pvalue if len(counts) > 1 else 1.0
        else:
            p = ks_2samp(reference[name].dropna(), current[name].dropna()).pvalue
        if p < 0.05:
            found.add(name)
    return found


def nannyml(reference: pd.DataFrame, current: pd.DataFrame, words: Sequence[str]) -> set[str]:
    """Return the columns with an alert in any chunk; a chunk is a tenth of the reference."""
    import nannyml as nml  # noqa: PLC0415

    told = nml.UnivariateDriftCalculator(
        column_names=list(reference.columns),
        treat_as_categorical=list(words),
        chunk_size=max(len(reference) // 10, 1),
    ).fit(reference)
    result = told.calculate(current).filter(period="analysis").to_df()
    return {
        column
        for column in reference.columns
        if any(
            result[key].any() for key in result.columns if key[0] == column and key[2] == "alert"
        )
    }


MONITORS = {"evidently": evidently, "ks": ks, "nannyml": nannyml}


def main() -> None:
    """Do one work and print what it told."""
    name, folder, repeats, work = (
        sys.argv[1],
        Path(sys.argv[2]),
        int(sys.argv[3]),
        (*sys.argv, "tables")[4],
    )
    print(json.dumps(WORKS[work](MONITORS[name], folder, repeats)))


def try_tables(look: Look, folder: Path, repeats: int) -> dict:
    """Return what share of reports without a change finds one, and what days of February are."""
    plan = json.loads((folder / "plan.json").read_text())
    told = {"pairs": {}, "days": {}}
    for table in ("taxi", "freight"):
        if table not in plan:
            continue
        words, time = plan[table]["words"], plan[table]["time"]
        rows = pd.read_parquet(folder / f"{table}.parquet")
        rows = rows.drop(columns=[time]) if time else rows
        for known, now in plan[table]["pairs"]:
            alarms = 0
            for number in range(repeats):
                order = np.random.default_rng(number).permutation(len(rows))
                some = rows.iloc[order[:known]], rows.iloc[order[known : known + now]]
                alarms += bool(look(*(one.reset_index(drop=True) for one in some), words))
            told["pairs"][f"{table} {known}/{now}"] = [alarms, repeats]
    if "february" in plan:
        words, time = plan["taxi"]["words"], plan["taxi"]["time"]
        january = pd.read_parquet(folder / "taxi.parquet").drop(columns=[time])
        for path in [folder / "february.parquet", *sorted(folder.glob("planted-*.parquet"))]:
            month = pd.read_parquet(path)
            days = month[time].dt.day
            first = 1 if path.stem == "february" else 15
            told["days"][path.stem] = {
                int(day): sorted(
                    look(
                        january,
                        month[days == day].drop(columns=[time]).reset_index(drop=True),
                        words,
                    )
                )
                for day in sorted(days.unique())
                if day >= first
            }
    return told


def try_nulls(look: Look, folder: Path, repeats: int) -> dict:
    """Return in how many reports of 5,000 rows each 1 % of nulls in one column is found."""
    plan = json.loads((folder / "plan.json").read_text())
    told = {}
    for table in ("taxi", "freight"):
        if table not in plan:
            continue
        words, time, column = (plan[table][key] for key in ("words", "time", "nulls"))
        rows = pd.read_parquet(folder / f"{table}.parquet")
        rows = rows.drop(columns=[time]) if time else rows
        found = 0
        for number in range(repeats):
            order = np.random.default_rng(number).permutation(len(rows))
            known, now = (
                rows.iloc[order[part]].reset_index(drop=True)
                for part in (slice(0, 5_000), slice(5_000, 10_000))
            )
            now.loc[np.random.default_rng((5, number)).random(5_000) < 0.01, column] = np.nan
            found += column in look(known, now, words)
        told[table] = found
    return told


def try_simulated(look: Look, folder: Path, repeats: int) -> dict:
    """Return which days of simulated projects, and of losses, are in alarm, file by file."""
    told = {}
    for path in sorted(folder.glob("simulated-*.parquet")):
        if int(path.stem.split("-")[2]) >= repeats:
            continue
        rows = pd.read_parquet(path)
        words = [name for name in rows.columns if not pd.api.types.is_numeric_dtype(rows[name])]
        known = rows[rows["day"] < 0].drop(columns=["day"]).reset_index(drop=True)
        told[path.stem] = [
            bool(look(known, now.drop(columns=["day"]).reset_index(drop=True), words))
            for _, now in rows[rows["day"] >= 0].groupby("day")
        ]
    return told


WORKS = {"tables": try_tables, "nulls": try_nulls, "simulated": try_simulated}


if __name__ == "__main__":
    main()
