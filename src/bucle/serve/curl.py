"""One call of each operation that is described, ready for a shell.

Imports nothing heavy.
"""

import json
import re
import shlex
import unicodedata
from typing import Any

__all__ = ["UNSEEN", "curl_line"]

# Control characters, those that turn the direction of writing, and those of no width.
UNSEEN = frozenset({"Cc", "Cf", "Co", "Cs", "Zl", "Zp"})
"""Categories of letters that no page and no shell should meet as they are."""

_JSON = "application/json"
_LET_IN = '-H "Authorization: Bearer $(cat .bucle/serve/token)"'
_HOST = re.compile(r"[A-Za-z0-9._-]+(:[0-9]+)?|\[[0-9A-Fa-f:.]+\](:[0-9]+)?")
_USUAL_HOST = "127.0.0.1:8000"


def curl_line(method: str, path: str, operation: dict[str, Any], *, host: str = "") -> str:
    """Return a call of an operation, with the example of its body where it takes one.

    The token is read from the project's folder, so that it stands in no history of a shell.

    Args:
        method: `get` or `post`.
        path: As it is described.
        operation: As it is described.
        host: Where the server was asked; what is no name and port is left out.

    Example:
        >>> curl_line("get", "/model", {}).split(" -H ")[0]
        'curl -s http://127.0.0.1:8000/model'
    """
    asked = host if _HOST.fullmatch(host) else _USUAL_HOST
    words = ["curl -s", shlex.quote(f"http://{asked}{path}"), _LET_IN]
    body = operation.get("requestBody", {}).get("content", {}).get(_JSON)
    if body is not None:
        words += [f"-H 'Content-Type: {_JSON}'", "-d", shlex.quote(_as_json(body["example"]))]
    elif method != "get":
        words.insert(1, f"-X {method.upper()}")
    return " ".join(words)


def _as_json(value: Any) -> str:
    """Return JSON on one line, whose unseen letters are written as JSON escapes them."""
    return "".join(
        json.dumps(letter)[1:-1] if unicodedata.category(letter) in UNSEEN else letter
        for letter in json.dumps(value, ensure_ascii=False)
    )
