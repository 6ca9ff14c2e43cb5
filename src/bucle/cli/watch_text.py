"""What `bucle watch` says in words: each layer, and the reason of each alarm."""

from typing import TYPE_CHECKING

from bucle.cli.terminal import Terminal
from bucle.grammar import say_count, say_days, say_share_of_one
from bucle.loop.watching.loss_words import name_loss

if TYPE_CHECKING:
    from bucle.loop.watching.watched import (
        Alarm,
        ContractLayer,
        HarmLayer,
        InputLayer,
        JudgedDay,
        Watched,
    )
    from bucle.watch.coverage import Coverage
    from bucle.watch.estimate import LossEstimate
    from bucle.watch.separation import Separation

__all__ = ["tell_watched"]

_SHOWN = 10
_DAYS = 7
_CLEAR = 1000
_LONGEST = 22
_INDENT = " " * 10


def tell_watched(terminal: Terminal, watched: "Watched") -> None:
    """Say what was watched, layer by layer, alarms last."""
    terminal.say(f"champion  {watched.champion}")
    terminal.say(f"budget    one false alarm in {watched.days_between:g} days, over all layers")
    for why in watched.why:
        _fold(terminal, f"note      {why}")
    if watched.harm is not None:
        _tell_harm(terminal, watched.harm)
    if watched.inputs is not None:
        _tell_inputs(terminal, watched.inputs)
    if watched.separation is not None:
        _tell_separation(terminal, watched.separation)
    _tell_contract(terminal, watched.contract)
    _tell_alarms(terminal, watched.alarms)


def _tell_harm(terminal: Terminal, harm: "HarmLayer") -> None:
    terminal.say()
    if harm.unjudged:
        _fold(terminal, f"harm      {harm.unjudged}")
    else:
        state = f"ALARM since {harm.since}" if harm.alarm else "quiet"
        evidence = "over 1,000" if harm.evidence > _CLEAR else say_share_of_one(harm.evidence)
        terminal.say(f"harm      {state}, evidence {evidence} of 1")
        share = harm.labelled / harm.rows if harm.rows else 0.0
        corrected = f", {harm.corrected:,} corrected" if harm.corrected else ""
        if harm.rows:
            _more(
                terminal,
                f"{say_count(harm.labelled, 'label')} of {say_count(harm.rows, 'row')} "
                f"({share:.0%}) until {harm.until}{corrected}",
            )
        if harm.running is not None:
            _more(
                terminal,
                f"{say_count(harm.running.labelled, 'label')} of {harm.running.until[:10]} until "
                f"{harm.running.until[11:16]}, mean loss {harm.running.loss:.4g} a row in "
                f"{name_loss(harm.metric)}",
            )
        _more(terminal, f"nine in ten labels come within {say_days(harm.delay_days)}")
    if harm.error is not None and harm.reference is not None:
        _more(terminal, f"{harm.metric} {harm.error:.4g}, validated at {harm.reference:.4g}")
    _tell_days(terminal, harm.days)
    for one in harm.restated[-_DAYS:]:
        _more(
            terminal,
            f"re-stated {one.date}: {one.before:.4g} -> {one.after:.4g} "
            f"({say_count(one.late, 'label')} late, {one.corrected:,} corrected)",
        )
    if harm.coverage is not None:
        _tell_coverage(terminal, harm.coverage)
    if harm.estimate is not None:
        _tell_estimate(terminal, harm.estimate)


def _tell_days(terminal: Terminal, days: "tuple[JudgedDay, ...]") -> None:
    """Say which share of each of the last days' rows has a label."""
    if not days:
        return
    shown = [
        f"{day.date[5:]} {day.labelled / day.rows:.0%}{'' if day.mature else '*'}"
        for day in days[-_DAYS:]
    ]
    waits = " (* still waits)" if any(not day.mature for day in days[-_DAYS:]) else ""
    _more(terminal, f"labels by day: {', '.join(shown)}{waits}")


def _tell_coverage(terminal: Terminal, coverage: "Coverage") -> None:
    _more(
        terminal,
        f"intervals held {coverage.recent:.1%} of {say_count(coverage.rows, 'row')} with a label, "
        f"of {coverage.first} to {coverage.last}, promised {coverage.level:.0%}",
    )
    if coverage.missing:
        _more(
            terminal,
            "by how much widths are off can be told after "
            f"{say_count(coverage.missing, 'more label')}",
        )
    else:
        _more(
            terminal,
            f"widths would have to be {coverage.factor:.3g} times as large, "
            f"at the level {coverage.adapted_level:.1%}",
        )


def _tell_estimate(terminal: Terminal, estimate: "LossEstimate") -> None:
    ends = "" if estimate.low is None else f" ({estimate.low:.4g} to {estimate.high:.4g})"
    _more(
        terminal,
        f"{say_count(estimate.rows, 'row')} without a label should lose {estimate.loss:.4g}{ends} "
        f"a row in {name_loss(estimate.metric)}, {estimate.reference:.4g} at validation: "
        "if the rules of the world have not changed",
    )


def _tell_inputs(terminal: Terminal, inputs: "InputLayer") -> None:
    terminal.say()
    if inputs.date is None:
        terminal.say("inputs    no whole day of predictions yet")
        return
    state = f"CHANGED since {inputs.since}" if inputs.findings else "as they were"
    _fold(
        terminal,
        f"inputs    {state} on {inputs.date}, judged by "
        f"{say_count(inputs.reference_days, 'day')} of the reference",
    )
    if inputs.findings:
        terminal.table(
            [
                [
                    finding.measure.column[:_LONGEST],
                    f"{finding.expected:.4g}",
                    f"{finding.found:.4g}",
                    f"{finding.span}",
                    finding.since or "",
                    str(finding.measure),
                ]
                for finding in inputs.findings[:_SHOWN]
            ],
            header=["column", "expected", "found", "days", "since", "what"],
        )
        more = len(inputs.findings) - _SHOWN
        if more > 0:
            terminal.say(f"and {more} more: --json")
    for one in inputs.visible:
        span = "a day" if one.span == 1 else f"{one.span} days"
        _more(
            terminal,
            f"a change of {one.change:.3g} would show in {span}: {one.measure.column}: "
            f"{one.measure}",
        )
    _more(terminal, "changed inputs are a reason to look; only harm is one to retrain")


def _tell_separation(terminal: Terminal, found: "Separation") -> None:
    natural = (
        ""
        if found.natural is None
        else f"; weeks of the reference itself reach {found.natural:.2f}"
    )
    _more(
        terminal,
        f"a classifier tells the 7 days until {found.until} from the reference with AUC "
        f"{found.auc:.2f} "
        f"(0.5 is not at all{natural})",
    )
    if found.columns:
        told = ", ".join(f"{one.column} ({one.share:.2f})" for one in found.columns)
        _more(terminal, f"mostly by {told}")


def _tell_contract(terminal: Terminal, contract: "ContractLayer") -> None:
    terminal.say()
    if contract.breaches:
        terminal.say(f"contract  BREACHED, {say_count(len(contract.breaches), 'finding')}")
        for one in contract.breaches[:_SHOWN]:
            _more(terminal, one.why)
    elif contract.judged:
        terminal.say("contract  kept")
    else:
        terminal.say("contract  nothing to judge by yet")
    if contract.judged:
        _more(terminal, f"judged: {', '.join(contract.judged)}")
    for why in contract.unknown:
        _more(terminal, f"not judged: {why}")


def _tell_alarms(terminal: Terminal, alarms: "tuple[Alarm, ...]") -> None:
    terminal.say()
    if not alarms:
        terminal.say("alarms    none")
        return
    terminal.say(f"alarms    {len(alarms)}")
    for alarm in alarms[:_SHOWN]:
        _more(terminal, f"{alarm.name}, since {alarm.since}")
        _more(terminal, alarm.why, deeper=True)
        for row in alarm.examples:
            _more(terminal, f"{row.id}  {row.value}", deeper=True)
    more = len(alarms) - _SHOWN
    if more > 0:
        _more(terminal, f"and {more} more: --json")


def _more(terminal: Terminal, text: str, *, deeper: bool = False) -> None:
    terminal.paragraph(text, indent=_INDENT + ("  " if deeper else ""))


def _fold(terminal: Terminal, text: str) -> None:
    """Say a line that begins with its name, folded beneath what follows it."""
    name, rest = text[: len(_INDENT)], text[len(_INDENT) :]
    terminal.paragraph(rest, indent=name)
