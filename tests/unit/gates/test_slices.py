import numpy as np

from bucle.gates.comparison import Rule
from bucle.gates.slices import check_slices


def _losses(rows: int, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    champion = generator.gamma(2.0, size=rows)
    return champion, 0.9 * champion + 0.05 * generator.normal(size=rows)


def _judge(slices: dict[str, np.ndarray], champion: np.ndarray, challenger: np.ndarray, **words):
    return check_slices(
        slices,
        champion=champion,
        challenger=challenger,
        rule=words.pop("rule", Rule()),
        margin=0.1,
        **words,
    )


def test_an_even_gain_harms_no_slice() -> None:
    champion, challenger = _losses(1000)
    mode = np.array(["air", "sea"] * 500)
    (check,) = _judge({"mode": mode}, champion, challenger)
    assert (check.name, check.outcome) == ("slice:mode", "pass")
    assert "none of 2 slices" in check.why


def test_a_gain_paid_for_by_one_slice_fails_and_names_it() -> None:
    champion, challenger = _losses(1000)
    mode = np.array(["air"] * 900 + ["sea"] * 100)
    challenger[900:] = 1.5 * champion[900:]
    (check,) = _judge({"mode": mode}, champion, challenger)
    assert check.outcome == "fail"
    assert "shown to lose more than 10.0 %: sea" in check.why
    assert check.estimate is not None
    assert check.estimate < -0.4


def test_a_slice_of_less_than_one_row_in_twenty_is_not_judged() -> None:
    champion, challenger = _losses(1000)
    mode = np.array(["air"] * 960 + ["sea"] * 40)
    challenger[960:] = 5.0 * champion[960:]
    (check,) = _judge({"mode": mode}, champion, challenger)
    assert check.outcome == "pass"


def test_a_slice_of_few_rows_is_named_and_holds_nothing_up() -> None:
    champion, challenger = _losses(100)
    mode = np.array(["air"] * 90 + ["sea"] * 10)
    challenger[90:] = 5.0 * champion[90:]
    (check,) = _judge({"mode": mode}, champion, challenger)
    assert check.outcome == "pass"
    assert "too small to judge: sea" in check.why


def test_no_slice_at_all_is_said() -> None:
    champion, challenger = _losses(20)
    (check,) = _judge({"mode": np.arange(20)}, champion, challenger)
    assert check.outcome == "pass"
    assert "no slice is large enough" in check.why


def test_the_error_is_shared_by_all_slices_of_all_columns() -> None:
    champion, challenger = _losses(1000)
    mode = np.array(["air", "sea"] * 500)
    (alone,) = _judge({"mode": mode}, champion, challenger)
    both = _judge({"mode": mode, "other": np.arange(1000) % 10}, champion, challenger)
    assert alone.high is not None
    assert both[0].high is not None
    assert both[0].high > alone.high


def test_many_slices_without_a_difference_raise_no_alarm_too_often() -> None:
    alarms = 0
    for seed in range(200):
        generator = np.random.default_rng(seed)
        champion = generator.gamma(2.0, size=1200)
        # The truth lies on the limit: each slice loses exactly the margin.
        challenger = 1.1 * champion + generator.standard_t(4, size=1200)
        (check,) = _judge({"mode": np.arange(1200) % 12}, champion, challenger)
        alarms += check.outcome == "fail"
    assert alarms <= 0.05 * 200 + 3 * np.sqrt(0.05 * 0.95 * 200)


def test_slices_respect_clusters() -> None:
    champion, challenger = _losses(1000)
    mode = np.array(["air"] * 500 + ["sea"] * 500)
    challenger[500:] = 1.5 * champion[500:]
    (check,) = _judge({"mode": mode}, champion, challenger, clusters=np.repeat(np.arange(8), 125))
    assert check.outcome == "pass"
    assert "too small to judge: air, sea" in check.why


def test_missing_values_are_a_slice() -> None:
    champion, challenger = _losses(400)
    mode = np.array(["air"] * 300 + [None] * 100, dtype=object)
    challenger[300:] = 2.0 * champion[300:]
    (check,) = _judge({"mode": mode}, champion, challenger)
    assert check.outcome == "fail"
    assert "(missing)" in check.why
