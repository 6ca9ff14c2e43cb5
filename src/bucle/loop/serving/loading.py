"""From a package to a model that is ready to answer: tried in a limited child, verified, warmed.

A trial is done once for each package on a machine: whichever worker comes first does it, the
others wait for what it found.
"""

from bucle.loop.serving.following import Wanted
from bucle.loop.trials import require_trial
from bucle.loop.workspace import Workspace
from bucle.models.package import open_package
from bucle.serve.engines import open_engine
from bucle.serve.rows import RowReader
from bucle.serve.slots import Served
from bucle.serve.treated import Treated

__all__ = ["load_model"]


def load_model(workspace: Workspace, wanted: Wanted) -> Served:
    """Return a model ready to answer.

    Nothing of a package runs here before its digest fits the one on record and it has loaded and
    predicted in a limited child process.

    Raises:
        PackageError: The package is damaged, alien, or failed its trial.
        UnknownNameError: There is no such package.
        OutsideError: A trial could not be started, or another worker's takes too long.
    """
    package = open_package(
        workspace.packages, wanted.model, project=workspace.root, digest=wanted.digest
    )
    require_trial(workspace, package, serves=True)
    engine = open_engine(package)
    charter = workspace.charter
    key = charter.pipeline.key or _key_of_examples(workspace)
    return Served(
        model=wanted.model,
        package=package,
        reader=RowReader(
            package.signature, rules=package.rules, keys=(key,) if isinstance(key, str) else key
        ),
        engine=engine,
        treated=Treated(package),
    )


def _key_of_examples(workspace: Workspace) -> tuple[str, ...] | str:
    """Return the key of the dataset, where there is only one to choose from."""
    datasets = list(workspace.charter.data.values())
    return datasets[0].key if len(datasets) == 1 else ()
