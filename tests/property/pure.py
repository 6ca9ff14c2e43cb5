"""What a call touches outside its arguments: clocks, randomness, files, sockets, processes.

Python-level functions are watched by where they are defined, built-in ones by what they are, so
that nothing has to be patched which compiled code would go round.
"""

import gc
import sys
from datetime import date, datetime

OUTSIDE = frozenset(
    {
        "_io",
        "_locale",
        "_posixsubprocess",
        "_random",
        "_socket",
        "_ssl",
        "_thread",
        "asyncio",
        "builtins.open",
        "io",
        "numpy.random",
        "os",
        "pathlib",
        "posix",
        "random",
        "secrets",
        "select",
        "signal",
        "socket",
        "subprocess",
        "tempfile",
        "threading",
        "time",
        "urllib",
        "uuid",
    }
)
_CLOCKS = frozenset({"now", "today", "utcnow"})


def watched(function, *arguments):
    """Call a function; return its result and the names of what it touched outside."""
    touched = []

    def watch(frame, event, argument):
        if event == "call":
            _note(touched, frame.f_globals.get("__name__", ""), frame.f_code.co_name)
        elif event == "c_call":
            owner = getattr(argument, "__self__", None)
            name = argument.__name__
            if name in _CLOCKS and isinstance(owner, type) and issubclass(owner, date | datetime):
                touched.append(f"{owner.__name__}.{name}")
            if name in {"open", "input", "print"}:
                touched.append(name)
            module = argument.__module__ or type(owner).__module__
            _note(touched, module, name)

    before = sys.getprofile()
    # Hypothesis times the garbage collector, whoever is at work when it comes.
    collects = gc.isenabled()
    gc.disable()
    sys.setprofile(watch)
    try:
        result = function(*arguments)
    finally:
        sys.setprofile(before)
        if collects:
            gc.enable()
    return result, [one for one in touched if one != "sys.setprofile"]


def _note(touched, module, name):
    if module in OUTSIDE or module.partition(".")[0] in OUTSIDE:
        touched.append(f"{module}.{name}")
