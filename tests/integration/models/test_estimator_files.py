"""Stored estimators and the project's own classes; no pickle is ever asked, whatever comes in."""

import io
import pickle
import subprocess
import sys
import textwrap

import joblib
import numpy as np
import pytest
from sklearn.linear_model import Ridge

from bucle.charter.project_code import load_name
from bucle.errors import BucleError, PackageError
from bucle.pipeline.estimators import estimator_from_bytes, estimator_to_bytes

STEPS = """
from os import system  # a name that a crafted file might ask for

import numpy as np
from sklearn.preprocessing import FunctionTransformer
from parts import Offset


def double(values):
    return values * 2


class Outer:
    class Inner:
        pass


def model():
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import make_pipeline

    return make_pipeline(FunctionTransformer(double), Offset(3.0), Ridge())


def with_inner():
    holder = Offset(1.0)
    holder.inner = Outer.Inner()
    holder.inner.kept = 1
    return holder
"""

PARTS = """
from sklearn.base import BaseEstimator, TransformerMixin


class Offset(TransformerMixin, BaseEstimator):
    def __init__(self, by=0.0):
        self.by = by

    def fit(self, rows, labels=None):
        self.fitted_ = True
        return self

    def transform(self, rows):
        return rows + self.by
"""


@pytest.fixture
def project(tmp_path):
    root = tmp_path / "project"
    root.mkdir()
    (root / "steps.py").write_text(STEPS)
    (root / "parts.py").write_text(PARTS)
    return root


def _fitted(project):
    rows = np.arange(12.0).reshape(6, 2)
    return load_name(project, "steps.py:model")().fit(rows, rows.sum(axis=1)), rows


def test_classes_and_functions_of_the_project_are_kept(project):
    model, rows = _fitted(project)
    content = estimator_to_bytes(model, project=project)
    again = estimator_from_bytes(content, project=project)
    np.testing.assert_array_equal(again.predict(rows), model.predict(rows))
    assert estimator_to_bytes(again, project=project) == content


@pytest.mark.thorough
def test_another_process_reads_them_too(project, tmp_path):
    model, rows = _fitted(project)
    (tmp_path / "model.skops").write_bytes(estimator_to_bytes(model, project=project))
    script = textwrap.dedent(
        """
        import sys, numpy as np
        from pathlib import Path
        from bucle.pipeline.estimators import estimator_from_bytes
        folder = Path(sys.argv[1])
        model = estimator_from_bytes(
            (folder / "model.skops").read_bytes(), project=folder / "project")
        print(model.predict(np.arange(12.0).reshape(6, 2)).tolist())
        """
    )
    answer = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == str(model.predict(rows).tolist())


def test_refuses_them_without_the_project_and_from_another(project, tmp_path):
    content = estimator_to_bytes(_fitted(project)[0], project=project)
    other = tmp_path / "other"
    other.mkdir()
    (other / "steps.py").write_text("def triple(values):\n    return values * 3\n")
    for place in (None, other, tmp_path):
        with pytest.raises(PackageError, match="not on the list") as caught:
            estimator_from_bytes(content, project=place)
        assert caught.value.code == "bucle-165"


def test_refuses_a_class_inside_a_class_already_when_storing(project):
    holder = load_name(project, "steps.py:with_inner")()
    with pytest.raises(PackageError) as caught:
        estimator_to_bytes(holder, project=project)
    assert caught.value.code == "bucle-163"


def _renamed(content, old, new):
    """Make a stored estimator name something else."""
    import zipfile

    with zipfile.ZipFile(io.BytesIO(content)) as source:
        members = {name: source.read(name) for name in source.namelist()}
    members["schema.json"] = members["schema.json"].replace(old, new)
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name, body in members.items():
            archive.writestr(name, body)
    return target.getvalue()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"double"', b'"system"'),  # imported into the module, not defined there
        (b'"steps"', b'"posix"'),
        (b'"parts"', b'"../pa"'),
        (b'"Offset"', b'"offset"'),
    ],
)
def test_a_name_must_be_defined_in_a_module_of_the_project(project, old, new):
    content = estimator_to_bytes(_fitted(project)[0], project=project)
    with pytest.raises(BucleError) as caught:
        estimator_from_bytes(_renamed(content, old, new), project=project)
    assert caught.value.code in {"bucle-163", "bucle-165"}


def test_a_module_that_is_a_link_out_of_the_project_does_not_count(project, tmp_path):
    content = estimator_to_bytes(_fitted(project)[0], project=project)
    outside = tmp_path / "parts.py"
    (project / "parts.py").rename(outside)
    (project / "parts.py").symlink_to(outside)
    with pytest.raises(PackageError, match="not on the list"):
        estimator_from_bytes(content, project=project)


AUDITED = """
import sys
seen = []
watched = ("pickle.find_class", "exec", "os.system", "subprocess.Popen", "os.exec", "os.fork")
from skops import io as skops_io
from bucle.errors import BucleError
from bucle.pipeline import estimators
from bucle.pipeline.estimator_trees import check_trees
estimators.estimator_from_bytes(open(sys.argv[1], "rb").read())  # everything is imported now
armed = False
def hook(event, given):
    if armed and event in watched:
        seen.append(event)
sys.addaudithook(hook)
armed = True
for path in sys.argv[1:]:
    try:
        estimators.estimator_from_bytes(open(path, "rb").read())
        print("read")
    except BucleError as error:
        print(error.code)
armed = False
print(seen)
"""


class _Bomb:
    def __reduce__(self):
        return (print, ("exploded",))


def test_nothing_asks_pickle_or_runs_code_whatever_the_bytes(tmp_path):
    stream = io.BytesIO()
    joblib.dump({"model": Ridge(), "bomb": _Bomb()}, stream)
    good = estimator_to_bytes(Ridge().fit([[0.0], [1.0]], [0.0, 1.0]))
    files = {
        "good.skops": good,
        "joblib.skops": stream.getvalue(),
        "pickle.skops": pickle.dumps(_Bomb()),
        "both.skops": pickle.dumps(_Bomb()) + good,
        "after.skops": good + pickle.dumps(_Bomb()),
        "system.skops": _renamed(
            good,
            b'"Ridge","__module__":"sklearn.linear_model._ridge"',
            b'"system","__module__":"os"',
        ),
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    answer = subprocess.run(
        [sys.executable, "-c", AUDITED, *(str(tmp_path / name) for name in files)],
        capture_output=True,
        text=True,
        check=True,
    )
    lines = answer.stdout.split()
    assert lines[0] == "read"
    assert set(lines[1:5]) == {"bucle-164"}
    assert lines[5] in {"bucle-163", "bucle-165"}
    assert lines[-1] == "[]"
    assert "exploded" not in answer.stdout
