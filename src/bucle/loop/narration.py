"""Events in plain words, one line each. Pure."""

from bucle.errors import LogError
from bucle.grammar import say_count
from bucle.loop.checks import tell_check
from bucle.loop.events import (
    AlarmRaised,
    AlarmResolved,
    Approved,
    ChallengerSeen,
    CodeSeen,
    DataAdded,
    DataRefused,
    Decided,
    Deployed,
    DriftMeasured,
    Fact,
    GainEstimated,
    LogRepaired,
    Paused,
    Promoted,
    Refitted,
    Resumed,
    RetrainAsked,
    RolledBack,
    RunFinished,
    RunStarted,
    VerdictGiven,
    WindowJudged,
    Withdrawn,
    read_fact,
)
from bucle.types import Event, Verdict

__all__ = ["Narrator", "tell_addition", "tell_event"]


class Narrator:
    """Tells events as they come, in a line each, but for decisions that others tell of.

    What was decided is told by what came of it, with the same reason. Where a run of the loop has
    ended and nothing came of it, the decision is all there is.
    """

    def __init__(self) -> None:
        self._run = ""

    def tell(self, event: Event) -> str:
        """Return the line of the next event; empty for none."""
        try:
            fact = read_fact(event)
        except LogError:
            fact = None
        match fact:
            case RunFinished():
                self._run = fact.run if fact.state == "done" and fact.action else ""
            case VerdictGiven() if fact.verdict.outcome != "pass":
                self._run = ""
            case Promoted() | RolledBack() | Deployed() | Withdrawn():
                self._run = ""
            case Decided():
                run, self._run = self._run, "" if fact.settled else self._run
                return f"run {run}: {_on_one_line(fact.settled)}" if run and fact.settled else ""
        return "" if event.kind == Decided.kind else tell_event(event)


def tell_event(event: Event) -> str:
    """Say what an event means; kinds this version does not know are named, not hidden."""
    try:
        fact = read_fact(event)
    except LogError as error:
        return f"{event.kind}, not understood: {error.cause}"
    told = "" if fact is None else _tell(fact)
    return told or f"{event.kind} (version {event.version}, not known to this Bucle)"


def _tell(fact: Fact) -> str:
    told = (_tell_run, _tell_champion, _tell_look, _tell_news, _tell_order)
    return next((words for tell in told if (words := tell(fact))), "")


def _tell_run(fact: Fact) -> str:
    match fact:
        case DataAdded():
            return (
                f"{fact.dataset}: {say_count(fact.read, 'row')} offered, {tell_addition(fact)}"
                f"{_tell_nulls(fact)}; "
                f"version {fact.data_version} has {say_count(fact.rows, 'row')}"
            )
        case RunStarted():
            return f"run {fact.run} began on " + (", ".join(fact.datasets) or "no dataset")
        case RunFinished():
            made = f", made {fact.model}" if fact.model else ""
            why = f": {_first_line(fact.error)}" if fact.state != "done" and fact.error else ""
            return f"run {fact.run} {fact.state}{made}{why}"
        case Refitted():
            return f"{fact.tested} was refitted as {fact.model or 'nothing'}: {fact.why}"
        case LogRepaired():
            return f"the log was repaired after event {fact.after}: {fact.reason}"
    return ""


def _tell_champion(fact: Fact) -> str:
    match fact:
        case VerdictGiven():
            verdict = fact.verdict
            against = f" against champion {verdict.champion}" if verdict.champion else ""
            return f"verdict on {verdict.challenger}{against}: {verdict.outcome}{_against(verdict)}"
        case Promoted():
            return f"{fact.model} became champion: {fact.because}"
        case RolledBack():
            return f"rolled back from {fact.previous} to {fact.model}: {fact.because}"
        case Deployed():
            how = (
                f"answers {100 * fact.share:.3g} % of the keys" if fact.share else "answers nobody"
            )
            return f"{fact.model} was put beside {fact.champion} and {how}: {fact.because}"
        case Withdrawn():
            return f"{fact.model} was taken away from beside the champion: {fact.because}"
    return ""


def _tell_look(fact: Fact) -> str:
    match fact:
        case WindowJudged():
            return (
                f"{fact.model} from {fact.start[:10]} to {fact.end[:10]}: {fact.metric} "
                f"{fact.error:.4g} on {say_count(fact.labelled, 'label')}, "
                f"validated at {fact.reference:.4g}"
            )
        case DriftMeasured():
            return (
                f"inputs of {fact.model} from {fact.start[:10]} to {fact.end[:10]}: "
                f"{fact.column} moved most, by {fact.distance:.2f}"
            )
        case GainEstimated():
            return (
                f"{fact.challenger} would have saved {fact.gain:.1%} of the loss of "
                f"{fact.champion} on {say_count(fact.rows, 'row')}"
            )
        case Decided():
            return f"{fact.policy}: {', '.join(fact.did) or 'nothing to do'} ({fact.why})"
    return ""


def _tell_news(fact: Fact) -> str:
    match fact:
        case ChallengerSeen():
            return _tell_challenger(fact)
        case CodeSeen():
            return "the project's code has changed"
        case DataRefused():
            what, which = ("a file for", f", {fact.file}") if fact.file else ("the source of", "")
            how = f"is refused no more{which}: {fact.over}"
            how = how if fact.over else f"was refused{which}: {fact.reason}"
            return f"{what} {fact.dataset} {how}"
        case AlarmRaised():
            return f"alarm, {fact.name}: {fact.why}"
        case AlarmResolved():
            return f"resolved, {fact.name}: {fact.why}"
    return ""


def _tell_order(fact: Fact) -> str:
    match fact:
        case RetrainAsked():
            return f"a retrain was asked for: {fact.because}"
        case Paused():
            return f"the loop was paused: {fact.because}"
        case Resumed():
            return f"the loop was resumed: {fact.because}"
        case Approved():
            return f"{fact.model} was approved as {fact.role}: {fact.because}"
    return ""


def _tell_challenger(fact: ChallengerSeen) -> str:
    where = f"at {100 * fact.share:.3g} % of the keys" if fact.share else "as a shadow"
    told = (
        f"{fact.model} beside {fact.champion} {where}: "
        f"{say_count(fact.pairs, 'row')} scored by both, {say_count(fact.labelled, 'label')}"
    )
    if fact.gain is not None and fact.low is not None and fact.high is not None:
        told += f", saves {fact.gain:+.1%} of the loss ({fact.low:+.1%} to {fact.high:+.1%})"
    return told + (f", {fact.failures} failed" if fact.failures else "")


def _against(verdict: Verdict) -> str:
    """Name the checks that kept a model from passing."""
    if verdict.outcome == "pass":
        return ""
    against = [check for check in verdict.checks if check.outcome == verdict.outcome]
    told = [tell_check(check) for check in against]
    return f" ({', '.join(told)})" if told else ""


def _tell_nulls(fact: DataAdded) -> str:
    """Say how many values were not of their column's type and became null."""
    count = sum(one.count for one in fact.coerced if one.became == "null")
    return f", {say_count(count, 'value')} became null" if count else ""


def _on_one_line(words: str) -> str:
    return " ".join(words.split())


def _first_line(error: str) -> str:
    return error.strip().partition("\n")[0].rstrip(".")


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
