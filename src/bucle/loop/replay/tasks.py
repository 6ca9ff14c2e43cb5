"""The tasks of a replay as the engine takes them: code, parameters and digests of what they see.

Pure; imports nothing heavy.
"""

from typing import Any

import msgspec
from msgspec import Struct

from bucle.loop.plan import RunPlan
from bucle.loop.replay.recipe import Place, Recipe
from bucle.pipeline.code import CodeReader
from bucle.pipeline.tasks import Artifact, Code, Task

__all__ = [
    "Kitchen",
    "answer_task",
    "ask_task",
    "begin_task",
    "expected_calls",
    "learn_task",
    "live_task",
    "look_task",
    "survey_task",
    "suspect_task",
]

_WORK = "bucle.loop.replay.rehearsal"
_SURVEY = "bucle.loop.replay.survey:survey"
_LIBRARIES = ("polars", "deltalake", "numpy")
_LEARNING = (*_LIBRARIES, "sklearn", "skops")
# Where it is decided what becomes of a policy that lives through a world.
_LIVING = (
    *(".", "charter", "data", "gates", "loop", "loop/replay", "models", "models/compiled"),
    *("pipeline", "watch"),
)


class Kitchen(Struct, frozen=True, kw_only=True):
    """What every task of one replay shares.

    `key` names one row of the examples, `beside` are columns that only gates look at; `holdout`
    is the share of labels kept for judging.
    """

    reader: CodeReader
    recipe: Recipe
    place: Place
    key: tuple[str, ...]
    beside: tuple[str, ...]
    holdout: float

    def code(
        self,
        call: str,
        *,
        steps: bool,
        libraries: tuple[str, ...] = _LIBRARIES,
        folders: tuple[str, ...] = (),
    ) -> Code:
        """Return the code of a built-in task, with that of the project's steps if it runs any.

        `folders` are those of Bucle's own sources that it depends on, beside its version.
        """
        own = self.reader.of_builtin(call, libraries=libraries, folders=folders)
        if not steps:
            return own
        parts, versions, sources = dict(own.parts), dict(own.libraries), dict(own.sources)
        for step in self.recipe.calls:
            found = self.reader.of_project(step.call, parameters=step.parameters)
            parts |= {f"{step.name} {part}": digest for part, digest in found.parts.items()}
            versions |= found.libraries
            sources |= found.sources
        return Code(parts=parts, libraries=versions, sources=sources)

    def stamps(self, view: str) -> dict[str, str]:
        """Return the digests of all data a task sees: one view, and the other tables whole."""
        others = {
            f"data {name}": version.fingerprint
            for name, version in self.place.versions.items()
            if name != self.recipe.primary
        }
        return {"view": view, **others}

    def context(self) -> dict[str, Any]:
        """Return where things lie."""
        return {"place": msgspec.to_builtins(self.place)}

    def parameters(self) -> dict[str, Any]:
        """Return the recipe as JSON values."""
        return {"recipe": msgspec.to_builtins(self.recipe)}


def expected_calls(plan: RunPlan) -> list[str]:
    """Return what a replay of recorded history will call in workers, whatever it finds."""
    return [f"{_WORK}:learn", *(step.call for step in plan.graph.steps)]


def survey_task(
    kitchen: Kitchen, *, start: str | None, end: str | None, period: str | None, windows: list[str]
) -> Task:
    """Return the task that finds the moments of a replay."""
    fault = kitchen.place.fault
    fingerprints = {
        f"data {name}": version.fingerprint for name, version in kitchen.place.versions.items()
    }
    return Task(
        name="survey",
        call=_SURVEY,
        code=kitchen.code(_SURVEY, steps=False),
        parameters={
            **kitchen.parameters(),
            "start": start,
            "end": end,
            "period": period,
            "windows": windows,
            "holdout": kitchen.holdout,
        },
        stamps={**fingerprints, "fault": fault.text if fault else ""},
        context=kitchen.context(),
    )


def ask_task(kitchen: Kitchen, *, at: str, end: str, view: str) -> Task:
    """Return the task that gives the rows that were asked in a period."""
    call = f"{_WORK}:ask"
    return Task(
        name=f"asked {at[:10]}",
        call=call,
        code=kitchen.code(call, steps=True),
        parameters={
            **kitchen.parameters(),
            "start": at,
            "end": end,
            "key": list(kitchen.key),
            "beside": list(kitchen.beside),
        },
        stamps=kitchen.stamps(view),
        context=kitchen.context(),
    )


def look_task(kitchen: Kitchen, *, moment: str | None, view: str) -> Task:
    """Return the task that gives the labels known at a moment; None for the end of time."""
    call = f"{_WORK}:look"
    return Task(
        name=f"known {moment[:10] if moment else 'in the end'}",
        call=call,
        code=kitchen.code(call, steps=True),
        parameters={
            **kitchen.parameters(),
            "moment": moment,
            "key": list(kitchen.key),
            "beside": list(kitchen.beside),
        },
        stamps=kitchen.stamps(view),
        context=kitchen.context(),
    )


def learn_task(
    kitchen: Kitchen,
    *,
    moment: str,
    since: str | None,
    view: str,
    newest: int | None,
    asked: Artifact,
    asked_from: str,
) -> Task:
    """Return the task that trains a model and predicts all that is asked from a moment on."""
    call = f"{_WORK}:learn"
    kept = f" newest {newest}" if newest else (f" since {since[:10]}" if since else "")
    return Task(
        name=f"model {moment[:10]}{kept}",
        call=call,
        code=kitchen.code(call, steps=True, libraries=_LEARNING),
        parameters={
            **kitchen.parameters(),
            "moment": moment,
            "newest": newest,
        },
        stamps=kitchen.stamps(view),
        # Which rows are asked changes no model: they are predicted while it is at hand. How far
        # back it looks is in the digest of the view.
        context=kitchen.context()
        | {"since": since, "asked": msgspec.to_builtins(asked), "asked_from": asked_from},
    )


def answer_task(
    kitchen: Kitchen,
    *,
    model: Artifact,
    signature: dict[str, Any],
    asked: Artifact,
    asked_from: str,
) -> Task:
    """Return the task that predicts with a model that was kept."""
    call = f"{_WORK}:answer"
    return Task(
        name=f"predict {asked_from[:10]} {model.digest[:6]}",
        call=call,
        code=kitchen.code(call, steps=False, libraries=_LEARNING),
        artifacts={"model": model, "rows": asked},
        parameters={"signature": signature, "start": asked_from},
    )


def suspect_task(kitchen: Kitchen, *, moment: str, view: str) -> Task:
    """Return the task that looks for columns which give the label away."""
    call = f"{_WORK}:suspect"
    return Task(
        name=f"leaks {moment[:10]}",
        call=call,
        code=kitchen.code(call, steps=True),
        parameters={**kitchen.parameters(), "moment": moment},
        stamps=kitchen.stamps(view),
        context=kitchen.context(),
    )


def begin_task(kitchen: Kitchen, *, moment: str, since: str | None, view: str) -> Task:
    """Return the task that trains the model with which every policy of a window begins."""
    call = "bucle.loop.replay.lifetime:begin"
    return Task(
        name=f"model {moment[:10]}" + (f" since {since[:10]}" if since else ""),
        call=call,
        code=kitchen.code(call, steps=True, libraries=_LEARNING),
        parameters={**kitchen.parameters(), "moment": moment},
        stamps=kitchen.stamps(view),
        context=kitchen.context() | {"since": since},
    )


def live_task(
    kitchen: Kitchen,
    *,
    name: str,
    world: str,
    ways: dict[str, Any],
    survey: dict[str, Any],
    first: dict[str, Any],
) -> Task:
    """Return the task in which one policy lives through all periods of a living world.

    Args:
        kitchen: What every task shares.
        name: What the policy is called.
        world: The world's class, `file.py:Name`.
        ways: The policy and how it is judged.
        survey: The moments.
        first: What is known of the model it begins with, as `begin_task` answers.
    """
    call = "bucle.loop.replay.lifetime:live"
    steps = kitchen.code(call, steps=True, libraries=_LEARNING, folders=_LIVING)
    own = kitchen.reader.of_project(world)
    fingerprints = {
        f"data {dataset}": version.fingerprint
        for dataset, version in kitchen.place.versions.items()
    }
    return Task(
        name=name,
        call=call,
        code=Code(
            parts={**steps.parts, **{f"world {part}": one for part, one in own.parts.items()}},
            libraries={**steps.libraries, **own.libraries},
            sources={**steps.sources, **own.sources},
        ),
        parameters={
            **kitchen.parameters(),
            "ways": ways,
            "survey": survey,
            "naming": {"key": list(kitchen.key), "beside": list(kitchen.beside)},
            "world": world,
            "first": first,
        },
        artifacts={"model": msgspec.convert(first["model"], Artifact)},
        stamps=fingerprints,
        context=kitchen.context(),
    )
