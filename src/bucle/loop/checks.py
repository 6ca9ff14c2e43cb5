"""The checks of a verdict in words of people. Pure."""

from bucle.gates.wording import LIKENESS
from bucle.types import Check

__all__ = ["explain_check", "tell_check"]


def tell_check(check: Check) -> str:
    """Name a check that kept a model from passing, or say it where its name says little.

    Example:
        >>> tell_check(Check(name="champion", outcome="undecided"))
        'not shown to err less than the champion'
        >>> tell_check(Check(name="must:r2", outcome="fail"))
        'must:r2'
    """
    if check.name == LIKENESS:
        return check.why
    return "not shown to err less than the champion" if check.name == "champion" else check.name


def explain_check(check: Check) -> str:
    """Say in a sentence of a story what kept a model outside, or left it open."""
    kind, _, what = check.name.partition(":")
    if kind == LIKENESS:
        return check.why
    if kind == "must" and check.estimate is not None and check.limit is not None:
        found = f"its {what} is {check.estimate:.3g}, and the charter asks for {check.limit:.3g}"
        return found if check.outcome == "fail" else f"{found}; that may be luck"
    is_open = check.outcome != "fail"
    words = {
        "champion": "errs less than the champion",
        "baseline": f"errs less than the plain rule '{what}'",
        "slice": f"errs no more than the champion in each {what}",
    }.get(kind)
    if words is None:
        return check.name
    return f"nothing shows yet that it {words}" if is_open else f"nothing shows that it {words}"
