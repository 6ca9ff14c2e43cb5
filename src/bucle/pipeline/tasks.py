"""What is asked of the engine and what comes back: tasks, their code, artifacts and results.

Values only; a task says everything its result depends on. Must not import anything heavy.
"""

from typing import Any, Literal

from msgspec import Struct, field

import bucle.errors
from bucle.errors import BucleError, StepError
from bucle.ids import digest_json

__all__ = ["Artifact", "Code", "Format", "State", "Task", "TaskResult", "failure_of"]

Format = Literal["arrow", "skops", "npy", "json"]
State = Literal["ran", "cached", "failed", "skipped"]


class Artifact(Struct, frozen=True, kw_only=True):
    """What a task returned, kept under its digest.

    `rows` is the height of a frame or the length of an array. `types` names the project's classes
    that are needed to read it, as `file.py:Name`; their code counts for whoever reads it.
    """

    digest: str
    format: Format
    bytes: int
    rows: int | None = None
    types: tuple[str, ...] = ()


class Code(Struct, frozen=True, kw_only=True):
    """The code a task runs, with all the project code it reaches.

    `parts` maps each function, class, constant or file reached to its digest; `libraries` maps
    each import name of the modules reached to its version; `sources` maps each project file that
    is imported to the digest of its bytes, which is checked when it is run and is not in the key.
    """

    parts: dict[str, str]
    libraries: dict[str, str] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """One digest for the parts reached, libraries apart."""
        return digest_json(self.parts)


class Task(Struct, frozen=True, kw_only=True):
    """One call whose result is kept under a key made of everything it depends on.

    In the key: code, content of inputs and artifacts, parameters, moments, stamps and the seed.

    Args:
        name: Unique in one execution, such as `clean` or `clean@newer`; not in the key.
        call: `pipeline.py:clean` for a function of the project, `bucle.gates.work:judge` for one
            of Bucle.
        code: From `code_of_step` or `code_of_builtin`.
        inputs: Parameter name → name of another task of the same execution.
        after: Names of tasks of the same execution that must have gone well first; nothing of
            them is passed, and they are not in the key.
        artifacts: Parameter name → artifact of an earlier execution.
        parameters: JSON values passed as keyword arguments.
        defaults: Parameters not passed, with the value they have in the code; only for reasons.
        moments: Parameter name → moment as `clock.to_iso` writes it, or None; passed as an aware
            datetime in UTC or None.
        stamps: More that the result depends on, in words people read: `{"data sales": "3f2a…"}`;
            not passed.
        context: JSON values passed as keyword arguments that the result does not depend on.
    """

    name: str
    call: str
    code: Code
    inputs: dict[str, str] = field(default_factory=dict)
    after: tuple[str, ...] = ()
    artifacts: dict[str, Artifact] = field(default_factory=dict)
    parameters: dict[str, Any] = field(default_factory=dict)
    defaults: dict[str, Any] = field(default_factory=dict)
    moments: dict[str, str | None] = field(default_factory=dict)
    stamps: dict[str, str] = field(default_factory=dict)
    context: dict[str, Any] = field(default_factory=dict)


class TaskResult(Struct, frozen=True, kw_only=True):
    """How one task went.

    `seconds` is what a worker spent on it, imports at the top of modules apart. `error` is the
    message for people, `traceback` the project's own frames, `problem` the fields for `--json`;
    `output` is what the step printed.
    """

    name: str
    state: State
    why: str
    seconds: float = 0.0
    artifact: Artifact | None = None
    key: str = ""
    seed: int | None = None
    error: str = ""
    traceback: str = ""
    problem: dict[str, Any] = field(default_factory=dict)
    output: str = ""


def failure_of(result: TaskResult) -> BucleError:
    """Return the error of a failed task as one that can be raised.

    It has the class it had in the worker where Bucle raised it, else it is a StepError.
    """
    fields = dict(result.problem)
    kind = getattr(bucle.errors, str(fields.pop("class", "")), StepError)
    what = str(fields.pop("error", result.error))
    texts = {name: str(fields.get(name, "")) for name in ("cause", "where", "code")}
    near = [str(name) for name in fields.get("did_you_mean", ())]
    try:
        error = kind(what, did_you_mean=near, attempt=str(fields.get("try", "")), **texts)
    except TypeError:
        # A class with other arguments; its rendered text still says everything.
        error = StepError(what, did_you_mean=near, **texts)
    return error if isinstance(error, BucleError) else StepError(what, **texts)
