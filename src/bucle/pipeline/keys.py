"""What a task's result depends on, as one key, and in words why the key is another one than before.

Pure. Must not import anything heavy.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import Struct, field

from bucle.errors import PipelineError
from bucle.ids import canonical_json, digest_json
from bucle.pipeline.tasks import Task

__all__ = ["KeyParts", "derive_seed", "explain", "key_of", "key_parts"]

_SHOWN = 3
_WIDEST = 40


class KeyParts(Struct, frozen=True, kw_only=True):
    """Everything that is in the key of a task.

    `inputs` maps a parameter to the digest and format of its content; `types` holds the code of
    the project's classes that reading the inputs needs; `settings` are parameters that are
    passed, `defaults` those that are not.
    """

    call: str
    code: dict[str, str]
    libraries: dict[str, str]
    inputs: dict[str, str]
    types: dict[str, str] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    defaults: dict[str, Any] = field(default_factory=dict)
    moments: dict[str, str | None] = field(default_factory=dict)
    stamps: dict[str, str] = field(default_factory=dict)
    seed: int = 0


def derive_seed(seed: int, call: str) -> int:
    """Return the seed of one step, so that steps do not share their random numbers.

    Example:
        >>> derive_seed(0, "pipeline.py:model") == derive_seed(0, "pipeline.py:features")
        False
    """
    return int(digest_json([seed, call])[:8], 16)


def key_parts(
    task: Task, *, inputs: Mapping[str, str], types: Mapping[str, str], seed: int
) -> KeyParts:
    """Return everything a task depends on.

    Args:
        task: The task.
        inputs: Parameter → digest and format of the content it gets.
        types: Code of classes that the inputs need beyond what the task reaches itself.
        seed: The seed of the whole execution.
    """
    return KeyParts(
        call=task.call,
        code=task.code.parts,
        libraries=task.code.libraries,
        inputs=dict(inputs),
        types={name: digest for name, digest in types.items() if name not in task.code.parts},
        settings=task.parameters,
        defaults=task.defaults,
        moments=task.moments,
        stamps=task.stamps,
        seed=seed,
    )


def key_of(parts: KeyParts) -> str:
    """Return the key: one digest over all parts.

    Raises:
        PipelineError: A parameter is NaN, infinite or no JSON value (bucle-146).
    """
    try:
        return digest_json(
            [
                parts.call,
                parts.code,
                parts.libraries,
                parts.inputs,
                parts.types,
                parts.settings,
                parts.moments,
                parts.stamps,
                derive_seed(parts.seed, parts.call),
            ]
        )
    except (TypeError, ValueError) as error:
        raise PipelineError(
            f"Parameters of {parts.call!r} cannot be kept: {parts.settings!r}",
            cause=str(error),
            code="bucle-146",
        ) from error


def explain(now: KeyParts, before: KeyParts | None) -> str:
    """Say in words what changed since a task last had a result.

    Example:
        >>> old = KeyParts(call="pipeline.py:clean", code={}, libraries={}, inputs={"raw": "1"})
        >>> new = KeyParts(call="pipeline.py:clean", code={}, libraries={}, inputs={"raw": "2"})
        >>> explain(new, old), explain(old, None), explain(old, old)
        ('input `raw` changed', 'first run', 'nothing changed')
    """
    if before is None:
        return "first run"
    reasons = list(_reasons(now, before))
    if not reasons:
        return "nothing changed"
    shown = "; ".join(reasons[:_SHOWN])
    more = len(reasons) - _SHOWN
    return f"{shown}; and {more} more" if more > 0 else shown


def _reasons(now: KeyParts, before: KeyParts) -> Iterator[str]:
    if now.call != before.call:
        yield f"it calls {now.call} instead of {before.call}"
    # A changed default is a change of code as well; the value says more.
    parameters = list(
        _values("parameter", now.defaults | now.settings, before.defaults | before.settings)
    )
    code = list(_code_reasons(now, before))
    own = f"code of `{_own(now.call)}` changed"
    yield from (reason for reason in code if not (parameters and reason == own))
    for name in _changed(now.inputs, before.inputs):
        yield f"input `{name}` changed"
    for name in _changed(now.types, before.types):
        yield f"code of `{name}`, which an input needs, changed"
    yield from parameters
    yield from _values("moment", now.moments, before.moments)
    for name in _changed(now.stamps, before.stamps):
        yield f"{name} changed"
    for name in _changed(now.libraries, before.libraries):
        old, new = before.libraries.get(name, "not used"), now.libraries.get(name, "not used")
        yield f"{name if name == 'python' else f'library {name}'} {old} → {new}"
    if now.seed != before.seed:
        yield f"seed {before.seed} → {now.seed}"


def _code_reasons(now: KeyParts, before: KeyParts) -> Iterator[str]:
    for name in _changed(now.code, before.code):
        if name.startswith("file "):
            shown, verb = f"file `{name.removeprefix('file ')}`", "changed"
        elif name == _own(now.call):
            shown, verb = f"code of `{name}`", "changed"
        else:
            shown, verb = f"code of helper `{name}`", "changed"
        if name not in before.code:
            verb = "is new"
        elif name not in now.code:
            verb = "is not used any more"
        yield f"{shown} {verb}"


def _own(call: str) -> str:
    file, _, name = call.rpartition(":")
    return ".".join([*file.removesuffix(".py").split("/"), name])


def _values(noun: str, now: Mapping[str, Any], before: Mapping[str, Any]) -> Iterator[str]:
    for name in _changed(now, before):
        old = _shown(before[name]) if name in before else "none"
        new = _shown(now[name]) if name in now else "none"
        # Two long values that begin alike would only show what has not changed.
        yield f"{noun} {name} changed" if old == new else f"{noun} {name} {old} → {new}"


def _changed(now: Mapping[str, Any], before: Mapping[str, Any]) -> list[str]:
    names = [*now, *(name for name in before if name not in now)]
    return [
        name
        for name in names
        if name not in now or name not in before or _differ(now[name], before[name])
    ]


def _differ(one: Any, other: Any) -> bool:
    """Tell whether two values are different in a key, where a tuple is a list."""
    return bool(one != other) and canonical_json(one) != canonical_json(other)


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else canonical_json(value).decode("utf-8", "replace")
    return text if len(text) <= _WIDEST else text[: _WIDEST - 1] + "…"
