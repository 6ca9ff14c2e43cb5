"""The tables in the report of a replay: policies, what was done when, and the drill.

Pure; imports nothing heavy.
"""

from collections.abc import Callable, Iterable

from bucle.loop.replay.findings import Drill, Findings, PolicyResult, Tick
from bucle.loop.replay.report_words import column_of, counted, escaped, named, say_share
from bucle.loop.replay.standings import (
    BETTER,
    WORSE,
    best_of,
    is_lower_better,
    rank_policies,
    rank_rivals,
)

__all__ = ["table_comparisons", "table_drill", "table_policies", "tell_timelines"]

_Writer = Callable[[float | None], str]
_DATE = 10
_MIDNIGHT = "T00:00:00"
_BEST_OF_MODELS = "the best possible in hindsight, with the models that were trained"


def table_policies(findings: Findings) -> str:
    """Return the table of all policies, cheapest first, with the oracle as its last row."""
    oracle = findings.oracle
    error = column_of([*(one.error for one in findings.policies), oracle.error])
    money = column_of([*(one.money for one in findings.policies), oracle.money])
    best, lives = best_of(findings), findings.recorded_share is not None
    unclear = {one.a for one in rank_rivals(findings) if one.verdict not in {BETTER, WORSE}}
    rows = []
    for one in rank_policies(findings):
        mark = "best" if one is best else "close" if one.name in unclear else ""
        rows.append(_policy_row(one, mark=mark, error=error, money=money, lives=lives))
    what = "the best that could be proposed" if lives else _BEST_OF_MODELS
    rows.append(
        '<tr class="oracle"><th scope="row"><span class="name">oracle</span>'
        f'<span class="quiet">{what}'
        f"</span></th>{_share_cell(1.0, lives=lives)}"
        f"{_cells(error(oracle.error), money(oracle.money), money(0.0))}"
        f"{_cells(f'{oracle.retrains:,}', '–', '–', '–', '–')}</tr>"
    )
    arrow = "lower" if is_lower_better(findings.metric) else "higher"
    unit = f"<br>{named(findings.currency)}" if findings.currency else ""
    heads = (
        *(("share<br>earned",) if lives else ()),
        f"{named(findings.metric)}<br>{arrow}&nbsp;is better",
        f"money{unit}",
        f"regret{unit}",
        *("retrains", "promotions", "of&nbsp;these<br>bad", "alarms", "of&nbsp;these<br>false"),
    )
    caption = (
        "What each policy would have done. Money holds errors, retrains and alarms; regret is the "
        "money above that of the oracle."
    )
    if findings.recorded_share is not None:
        caption = (
            "What each policy would have done. The share is what its proposals earned of the most "
            f"that could be; as recorded it was {say_share(findings.recorded_share)}. Money holds "
            "what was forgone, retrains and alarms."
        )
    return _table(caption, ("policy", *heads), rows, label="Policies")


def table_comparisons(findings: Findings) -> str:
    """Return every comparison as it was made; empty where there is none."""
    if not findings.comparisons:
        return ""
    amounts = [
        amount
        for one in findings.comparisons
        for amount in (one.money, one.money_low, one.money_high)
    ]
    money = column_of(amounts, signed=True)
    verdicts = {BETTER: "the first is better", WORSE: "the second is better"}
    rows = [
        f'<tr><th scope="row">{named(one.a)}</th><td class="text">{named(one.b)}</td>'
        + _cells(
            say_share(one.difference, signed=True),
            f"{say_share(one.low, signed=True)} to {say_share(one.high, signed=True)}",
        )
        + f'<td class="text">{escaped(verdicts.get(one.verdict, one.verdict))}</td>'
        + _cells(money(one.money), f"{money(one.money_low)} to {money(one.money_high)}")
        + "</tr>"
        for one in findings.comparisons
    ]
    heads = ("first", "second", "more loss", "interval", "verdict", "more money", "interval")
    caption = "How much more the first lost and cost than the second, on the same rows."
    return _table(caption, heads, rows, label="Comparisons", text=(1, 4))


def table_drill(drill: Drill) -> str:
    """Return what the fault did to each policy."""
    error = column_of(one for each in drill.policies for one in (each.clean_error, each.error))
    money = column_of(one for each in drill.policies for one in (each.clean_money, each.money))
    rows = [
        f'<tr><th scope="row">{named(one.name)}</th>'
        + _cells(error(one.clean_error), error(one.error))
        + _cells(money(one.clean_money), money(one.money), f"{one.shipped:,}")
        + "</tr>"
        for one in drill.policies
    ]
    heads = (
        "policy",
        *("error without the fault", "error with it"),
        *("money without the fault", "money with it", "champions that learned from it"),
    )
    caption = "Every policy with and without the fault, on the same clean rows."
    return _table(caption, heads, rows, label="Fault drill")


def tell_timelines(findings: Findings) -> str:
    """Return what each policy did in each period and why, folded; cheapest first."""
    return "".join(_timeline(one) for one in rank_policies(findings))


def _timeline(policy: PolicyResult) -> str:
    error = column_of(tick.error for tick in policy.timeline)
    money = column_of(tick.money for tick in policy.timeline)
    rows = [_tick_row(tick, error=error, money=money) for tick in policy.timeline]
    heads = ("period from", "rows", "error", "money", "champion", "did", "why")
    caption = f"{named(policy.name)}, period by period"
    return (
        f'<details><summary>{named(policy.name)} <span class="quiet">'
        f"{counted(len(rows), 'period')}</span></summary>"
        f"{_table(caption, heads, rows, label='Timeline', text=(4, 5, 6))}</details>"
    )


def _tick_row(tick: Tick, *, error: _Writer, money: _Writer) -> str:
    at = tick.at[:_DATE] if tick.at[_DATE:].startswith(_MIDNIGHT) else tick.at
    did = escaped(", ".join(tick.did)) or "–"
    return (
        f'<tr><th scope="row" class="nowrap">{escaped(at)}</th>'
        + _cells(f"{tick.rows:,}", error(tick.error), money(tick.money))
        + f'<td class="text">{named(tick.champion)}</td><td class="text">{did}</td>'
        f'<td class="text why">{named(tick.why)}</td></tr>'
    )


def _share_cell(share: float | None, *, lives: bool) -> str:
    """Return the cell of the share that was earned, in a world that answers."""
    if not lives:
        return ""
    return _cells("–" if share is None else say_share(share))


def _policy_row(
    one: PolicyResult, *, mark: str, error: _Writer, money: _Writer, lives: bool
) -> str:
    badges = {
        "best": ' <span class="badge">★ cheapest</span>',
        "close": ' <span class="badge faint">≈ not told apart</span>',
    }
    what = ", ".join(map(named, _unnamed(one)))
    beside = f'<span class="quiet">{what}</span>' if what else ""
    counts = (one.retrains, one.promotions, one.bad_promotions, one.alarms, one.false_alarms)
    return (
        f'<tr class="{mark}"><th scope="row"><span class="name">{named(one.name)}</span>'
        f"{badges.get(mark, '')}{beside}</th>"
        + _share_cell(one.share, lives=lives)
        + _cells(error(one.error), money(one.money), money(one.regret))
        + _cells(*(f"{count:,}" for count in counts))
        + "</tr>"
    )


def _unnamed(one: PolicyResult) -> list[str]:
    """Return what a policy's name leaves open."""
    usual = {"gate": "none", "window": "expanding"}
    parts = {"policy": one.policy, "gate": one.gate, "window": one.window}
    found = [
        text for part, text in parts.items() if text not in {usual.get(part), *one.name.split()}
    ]
    return found + ["no gate"] * (one.gate == "none" and one.promotions > 0)


def _cells(*texts: str) -> str:
    return "".join(f"<td>{text}</td>" for text in texts)


def _table(
    caption: str,
    heads: Iterable[str],
    rows: Iterable[str],
    *,
    label: str,
    text: tuple[int, ...] = (),
) -> str:
    """Return a table that scrolls in a box of its own; columns in `text` are set to the left."""
    columns = "".join(
        f'<th scope="col"{" class=text" if number in {0, *text} else ""}>{head}</th>'
        for number, head in enumerate(heads)
    )
    return (
        f'<div class="scroll" role="region" aria-label="{label}" tabindex="0"><table>'
        f"<caption><span>{caption}</span></caption><thead><tr>{columns}</tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )
