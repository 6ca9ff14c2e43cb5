"""What a worker must know to walk through history: steps, question, data and a planted fault.

JSON values throughout, so that a recipe is a task's parameter. Imports nothing heavy.
"""

from typing import Any

from msgspec import Struct

from bucle.charter.settings import Charter, DatasetSettings
from bucle.loop.judging import describe_question
from bucle.loop.plan import RunPlan
from bucle.loop.replay.faults import Fault
from bucle.pipeline.keys import derive_seed
from bucle.types import DataVersion

__all__ = ["Call", "Place", "Recipe", "make_recipe"]


class Call(Struct, frozen=True, kw_only=True):
    """One step: the function, where its inputs come from, and its parameters."""

    name: str
    call: str
    inputs: tuple[str, ...]
    parameters: dict[str, Any]
    as_of: bool
    seed: int


class Recipe(Struct, frozen=True, kw_only=True):
    """How examples and models are made at any moment of history.

    `question` is read as `loop.question.Question`; `settings` are those of each dataset.
    """

    question: dict[str, Any]
    primary: str
    settings: dict[str, DatasetSettings]
    calls: tuple[Call, ...]
    examples: str
    model: str


class Place(Struct, frozen=True, kw_only=True):
    """Where history lies and what is planted in it; no part of a task's key.

    What it holds is in the key by the digest of the view that a task sees.
    """

    tables: str
    versions: dict[str, DataVersion]
    blobs: str
    root: str
    fault: Fault | None = None


def make_recipe(plan: RunPlan, charter: Charter) -> Recipe:
    """Read a recipe from the plan of a run that has a model."""
    model, examples = str(plan.model), str(plan.examples)
    wanted = [name for name in (model, examples) if name not in plan.datasets]
    # What an error costs changes no model and no row.
    question = describe_question(plan, charter, cut=None) | {"money": {}, "threshold": 0.5}
    return Recipe(
        question=question,
        primary=str(plan.primary),
        settings=dict(plan.settings),
        calls=tuple(
            Call(
                name=step.name,
                call=step.call,
                inputs=tuple(step.inputs),
                parameters=plan.parameters.get(step.name, {}),
                as_of=step.as_of,
                seed=derive_seed(charter.pipeline.seed, step.call),
            )
            for step in plan.graph.upstream(wanted)
        ),
        examples=examples,
        model=model,
    )
