"""Events in plain words, one line each. Pure."""

from bucle.errors import LogError
from bucle.grammar import say_count
from bucle.loop.events import (
    DataAdded,
    LogRepaired,
    Promoted,
    RolledBack,
    RunFinished,
    RunStarted,
    VerdictGiven,
    read_fact,
)
from bucle.types import Event

__all__ = ["tell_addition", "tell_event"]


def tell_event(event: Event) -> str:
    """Say what an event means; kinds this version does not know are named, not hidden."""
    try:
        fact = read_fact(event)
    except LogError as error:
        return f"{event.kind}, not understood: {error.cause}"
    match fact:
        case DataAdded():
            text = (
                f"{fact.dataset}: {say_count(fact.read, 'row')} offered, {tell_addition(fact)}; "
                f"version {fact.data_version} has {say_count(fact.rows, 'row')}"
            )
        case RunStarted():
            text = f"run {fact.run} began on " + (", ".join(fact.datasets) or "no dataset")
        case RunFinished():
            made = f", made {fact.model}" if fact.model else ""
            text = f"run {fact.run} {fact.state}{made}"
        case VerdictGiven():
            verdict = fact.verdict
            against = f" against champion {verdict.champion}" if verdict.champion else ""
            text = f"verdict on {verdict.challenger}{against}: {verdict.outcome}"
        case Promoted():
            text = f"{fact.model} became champion: {fact.because}"
        case RolledBack():
            text = f"rolled back from {fact.previous} to {fact.model}: {fact.because}"
        case LogRepaired():
            text = f"the log was repaired after event {fact.after}: {fact.reason}"
        case _:
            text = f"{event.kind} (version {event.version}, not known to this Bucle)"
    return text


def tell_addition(fact: DataAdded) -> str:
    """Say what became of the rows that were offered, leaving out what happened to none."""
    counts = {
        "added": fact.added,
        "changed": fact.changed,
        "removed": fact.removed,
        "quarantined": fact.quarantined,
        "out of quarantine": fact.corrected,
    }
    told = [f"{count:,} {what}" for what, count in counts.items() if count]
    return ", ".join(told) or "nothing new"
