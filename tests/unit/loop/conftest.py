"""A project in memory: charter and code as text, a log that ends with the process."""

from datetime import UTC, datetime
from pathlib import Path
from textwrap import dedent

import pytest

from bucle.charter.reading import read_charter
from bucle.clock import FixedClock
from bucle.ids import digest_bytes
from bucle.loop.plan import plan_run
from bucle.loop.workspace import Workspace
from bucle.pipeline.code import CodeReader
from bucle.pipeline.graph import read_graph
from bucle.pipeline.modules import Module, Modules
from bucle.pipeline.syntax import read_facts
from bucle.store.memory_log import MemoryLog
from bucle.store.memory_tables import MemoryTables
from bucle.types import DataVersion

NOWHERE = Path("/nowhere")
CHARTER = """
[project]
name = "shop"

[data.sales]
key = "id"
event_time = "day"
label = "price"
label_time = "sold"

[data.brands]
"""
PIPELINE = """
def clean(sales): return sales
def features(clean, brands, width: int = 3): return clean
def model(features, rate: float = 0.1): return features
def error(model, features): return 1
def summary(error): return error
def picture(clean): return clean
"""


class MemoryModules(Modules):
    """The modules of a project whose files are texts."""

    def __init__(self, **files):
        super().__init__(NOWHERE)
        for name, text in files.items():
            content = dedent(text).encode()
            self._known[name] = Module(
                name=name,
                file=f"{name}.py",
                digest=digest_bytes(content),
                facts=read_facts(content, file=f"{name}.py"),
            )


class Shop:
    """A project of which nothing is on a disk."""

    def __init__(self, charter=CHARTER, pipeline=PIPELINE, **files):
        self.workspace = Workspace(
            NOWHERE,
            loaded=read_charter(charter),
            actor="ana",
            clock=FixedClock(datetime(2026, 1, 2, tzinfo=UTC)),
        )
        self.workspace.log = MemoryLog()
        self.workspace.tables = MemoryTables()
        self.workspace.code_reader = CodeReader(MemoryModules(pipeline=pipeline, **files))

    @property
    def charter(self):
        return self.workspace.charter

    @property
    def reader(self):
        return self.workspace.code_reader

    def plan(self, *, moment=None, without=()):
        """Plan a run of the project; its datasets have rows, but for those `without`."""
        graph = read_graph(self.reader.modules.of_file("pipeline.py"), datasets=self.charter.data)
        versions = {
            name: DataVersion(
                dataset=name, version=1, table_version=0, rows=9, fingerprint=f"print of {name}"
            )
            for name in self.charter.data
            if name not in without
        }
        return plan_run(graph, self.charter, versions, moment=moment)

    def record(self, *facts):
        """Append facts, each in a commit of its own, a minute apart."""
        for fact in facts:
            self.workspace.clock.advance(60)
            self.workspace.record(fact)
        return self.workspace.state()


@pytest.fixture
def shop():
    """Return how to make a project in memory."""
    return Shop
