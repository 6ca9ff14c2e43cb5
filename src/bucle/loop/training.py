"""One run, from data to verdict to champion: what `bucle run` does.

Nothing heavy is imported here: steps, packaging and judging run in workers, and a run in which
nothing changed starts none. What a run decides stands in the log in one commit with its end.
"""

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

from bucle.errors import BucleError, StalePositionError
from bucle.loop.events import Fact, Promoted, RunFinished, StepRecord, VerdictGiven
from bucle.loop.judging import judge_task, refit_tasks
from bucle.loop.plan import Cut, RunPlan, cut_task, plan_tasks
from bucle.loop.runs import OpenRun
from bucle.models.registry import champion
from bucle.pipeline.tasks import Artifact, TaskResult, failure_of
from bucle.types import Verdict
