"""skops trusts the same names whether it made its tour of scikit-learn or not."""

import json
import subprocess
import sys

import pytest

PROGRAM = """
import json, sys, warnings
warnings.simplefilter("ignore")
if sys.argv[1] == "list":
    from bucle.pipeline.skops_import import import_skops
    import sklearn.utils
    tour = sklearn.utils.all_estimators
    import_skops()
    assert sklearn.utils.all_estimators is tour
    assert import_skops() is import_skops()
    assert "sklearn.neural_network" not in sys.modules
else:
    import skops.io
from skops.io import _trusted_types
print(json.dumps(sorted(_trusted_types.SKLEARN_ESTIMATOR_TYPE_NAMES)))
"""


def names(how):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, how], capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


@pytest.mark.thorough
def test_the_list_is_what_the_tour_finds():
    found = names("list")
    assert len(found) > 200
    assert found == names("tour")


def test_another_version_of_scikit_learn_gets_the_tour(monkeypatch):
    from bucle.pipeline import skops_import

    for name in [name for name in sys.modules if name.partition(".")[0] == "skops"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(skops_import, "VERSION", "0.0.")
    called = []
    monkeypatch.setattr(skops_import, "_listed", lambda: called.append(1) or [])
    assert skops_import.import_skops().dumps
    assert called == []


@pytest.mark.thorough
def test_skops_is_whole_for_whoever_asks_while_it_is_imported(tmp_path):
    program = (
        "import threading, sys\n"
        "from bucle.pipeline.skops_import import import_skops\n"
        "thread = threading.Thread(target=import_skops)\n"
        "thread.start()\n"
        "while 'skops.io' not in sys.modules: pass\n"
        "assert import_skops().dumps\n"
        "thread.join()\n"
    )
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True)
