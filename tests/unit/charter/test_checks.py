"""Contradictions: values that are each of their type and cannot all be meant."""

import pytest

from bucle.charter.reading import read_charter
from bucle.errors import CharterError

HEAD = '[project]\nname = "shop"\n'
SALES = '[data.sales]\nsource = "sales.csv"\nlabel = "price"\nlabel_time = "sold"\n'


def refusal(lines: str) -> CharterError:
    with pytest.raises(CharterError) as caught:
        read_charter(HEAD + lines)
    return caught.value


def kpi(metric: str, **limits: float) -> str:
    rows = [f"{name} = {value}" for name, value in limits.items()]
    return "\n".join(["[[charter.kpis]]", f'metric = "{metric}"', *rows, ""])


@pytest.mark.parametrize(
    ("lines", "key", "cause"),
    [
        (kpi("wape", goal=0.3, must=0.2), "charter.kpis.0.must", "stricter than the goal 0.3"),
        (kpi("r2", goal=0.3, must=0.4), "charter.kpis.0.must", "higher is better"),
        (kpi("mae") + kpi("wape", goal=0.3, must=0.2), "charter.kpis.1.must", "stricter"),
        (kpi("wape", must=-0.1), "charter.kpis.0.must", "never"),
        (kpi("r2", must=1.5), "charter.kpis.0.must", "never"),
        (kpi("mae") + kpi("mae"), "charter.kpis.1.metric", "twice"),
        ('[charter.money]\nerror = "zero-one"\n', "charter.money.error", "regression"),
        ('[charter.money]\nerror = "absolut"\n', "charter.money.error", "a function"),
        ("[charter.money]\nunder = -1\n", "charter.money.under", "above 0"),
        ('[pipeline]\ntarget = "p"\nfeatures = ["a", "p"]\n', "pipeline.features", "target"),
        (SALES + '[pipeline]\nfeatures = ["sold"]\n', "pipeline.features", "with the label"),
        ('[data.sales]\nlabel_time = "sold"\n', "data.sales.label_time", "no label"),
        (
            '[data.sales]\nlabel = ["p", "at"]\nevent_time = "at"\n',
            "data.sales.event_time",
            "known only later",
        ),
        ('[data.sales]\nlabel = "p"\nkey = ["id", "p"]\n', "data.sales.key", "wait"),
        ('[data.sales]\nkey = ["id", "id"]\n', "data.sales.key", "twice"),
        ('[data.sales]\nevent_time = "t"\n[pipeline]\ntarget = "t"\n', "pipeline.target", "before"),
        ('[data.sales]\nsource = "https://x.org/a.csv"\n', "data.sales.source", "query"),
        ('[data.sales]\nsource = "a.csv"\nquery = "select 1"\n', "data.sales.query", "URL"),
        (
            '[data.sales]\nsource = "sqlite:///a.db"\nquery = "x"\nformat = "csv"\n',
            "data.sales.format",
            "database",
        ),
        ('[data.sales]\nseparator = ";;"\n', "data.sales.separator", "one character"),
        ('[data.sales]\nseparator = ","\ndecimal = ","\n', "data.sales.separator", "decimal"),
        ('[data.sales]\nencoding = "latin-l"\n', "data.sales.encoding", "encoding"),
        ('[data.sales]\nencoding = "rot13"\n', "data.sales.encoding", "encoding"),
        ('[data."../etc"]\nsource = "x"\n', "data.../etc", "plain Python name"),
        ("[data.as_of]\n", "data.as_of", "reserved"),
        ("[data.class]\n", "data.class", "reserved"),
        ('[project]\nname = " "\n', "project.name", "printable"),
        ('[gates]\nbaselines = ["last"]\n', "gates.baselines", "baseline_key"),
        ('[gates]\nbaselines = ["mode"]\n', "gates.baselines", "median, last"),
        (
            "[pipeline.parameters.model]\nstart = 2024-01-01\n",
            "pipeline.parameters.model.start",
            "",
        ),
        ("[pipeline.parameters.model]\nrate = nan\n", "pipeline.parameters.model.rate", "number"),
        ('[pipeline]\nmodel = "my model"\n', "pipeline.model", "step"),
        *[
            (f"[gates]\n{field} = {value}\n", f"gates.{field}", "it must be a number")
            for field, value in [
                ("holdout", "0"),
                ("holdout", "1"),
                ("holdout", "-0.1"),
                ("holdout", "nan"),
                ("holdout", "1e309"),
                ("confidence", "0.5"),
                ("confidence", "1.0"),
                ("margin", "-0.01"),
                ("max_latency_ms", "0"),
                ("threshold", "1.0"),
            ]
        ],
        *[
            (f"[pipeline]\n{field} = {value}\n", f"pipeline.{field}", "it must be a number")
            for field, value in [("workers", 0), ("workers", -3), ("seed", -1), ("seed", 2**63)]
        ],
    ],
)
def test_refuses_a_contradiction(lines: str, key: str, cause: str) -> None:
    text = lines if lines.startswith("[project]") else HEAD + lines
    with pytest.raises(CharterError) as caught:
        read_charter(text)
    error = caught.value
    assert error.what.startswith(f"Cannot use {key} = ")
    assert cause in error.cause
    assert error.where.startswith("bucle.toml:")


def test_names_the_line_of_the_offending_item() -> None:
    error = refusal(kpi("mae") + kpi("wape", goal=0.3, must=0.2))
    assert error.where == "bucle.toml:8"


@pytest.mark.parametrize(
    ("metric", "kind", "near"),
    [
        ("wap", "regression", "wape"),
        ("auc", "regression", ""),
        ("brier_", "classification", "brier"),
    ],
)
def test_refuses_a_metric_that_cannot_judge_this_kind(metric: str, kind: str, near: str) -> None:
    error = refusal(f'[pipeline]\nkind = "{kind}"\n' + kpi(metric))
    assert error.code == "bucle-117"
    assert near in " ".join(error.did_you_mean)


@pytest.mark.parametrize(
    "policy",
    [
        *("never", "every:1mo", "every:2w", "performance:+15%", "drift", "gain", "drift/gain"),
        *("harm/regret/code", "age:90d/data:+20%", "cron:*/15 6 * * mon-fri/harm"),
    ],
)
def test_accepts_each_form_of_policy(policy: str) -> None:
    charter = read_charter(HEAD + f'[retrain]\npolicies = ["{policy}"]\n').charter
    assert charter.retrain.policies == (policy,)


@pytest.mark.parametrize(
    "policy",
    [
        *("", "weekly", "every:0d", "every:1h", "every:-1d", "performance:15%"),
        *("performance:+0%", "drift/", "never/drift", "every:1mo ", "performance:+nan%"),
    ],
)
def test_refuses_any_other_policy(policy: str) -> None:
    assert refusal(f'[retrain]\npolicies = ["{policy}"]\n').code == "bucle-119"


def test_accepts_what_a_goal_and_a_gate_usually_are() -> None:
    text = HEAD + kpi("wape", goal=0.2, must=0.3) + kpi("r2", goal=0.9, must=0.5) + kpi("money")
    assert [one.metric for one in read_charter(text).charter.charter.kpis] == [
        "wape",
        "r2",
        "money",
    ]


def test_offers_the_last_value_only_where_it_can_be_had() -> None:
    assert read_charter(HEAD).charter.gates.baselines == ("median", "last")
    text = HEAD + '[gates]\nbaselines = ["last"]\nbaseline_key = "item"\n'
    assert read_charter(text).charter.gates.baseline_key == "item"


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "UTF-16", "cp1252", "utf_8_sig"])
def test_accepts_text_encodings(encoding: str) -> None:
    text = HEAD + f'[data.sales]\nencoding = "{encoding}"\n'
    assert read_charter(text).charter.data["sales"].encoding == encoding


def test_reads_what_a_replay_does_by_default() -> None:
    text = '[replay]\nfrom = "2024-01-01"\nto = "2025-01-01"\nperiod = "1w"\ngates = ["referee"]\n'
    replay = read_charter(HEAD + text + 'windows = ["last:40w"]\n').charter.replay
    assert (replay.start, replay.end, replay.period) == ("2024-01-01", "2025-01-01", "1w")
    assert (replay.gates, replay.windows, replay.explore) == (("referee",), ("last:40w",), ())


@pytest.mark.parametrize(
    ("line", "key", "cause"),
    [
        ('from = "last year"', "replay.from", "2011-01-31"),
        ('to = "2024-02-30"', "replay.to", "2011-01-31"),
        ('period = "weekly"', "replay.period", "whole number"),
        ('gates = ["referee", "umpire"]', "replay.gates", "none, referee"),
        ('windows = ["40w"]', "replay.windows", "last:"),
        ('world = "w.py:W"\nexplore = [0.1, 1.5]', "replay.explore", "between 0 and 1"),
        ('world = "w.py:W"\nexplore = [nan]', "replay.explore", "between 0 and 1"),
        ("explore = [0.1]", "replay.explore", "does not answer"),
    ],
)
def test_refuses_a_replay_that_nobody_can_mean(line: str, key: str, cause: str) -> None:
    error = refusal(f"[replay]\n{line}\n")
    assert key in error.what
    assert cause in error.cause
