"""The desk of a simulation: how it tells that a server does as it has to."""

import pytest

from bucle.loop.serving.following import Wanted, Wish
from bucle.loop.simulation.desk import probes_of
from bucle.serve.slots import stable_share


def wish(share: float, *, other: str | None = "m-2") -> Wish:
    return Wish(
        champion=Wanted(model="m-1", digest=None),
        challenger=Wanted(model=other, digest=None) if other else None,
        share=share,
    )


def answered(name: str, share: float, *, columns: int = 1) -> tuple[str, str | None]:
    """Return who answers a key, and who beside, where the challenger has a share."""
    is_its = stable_share("|".join([name] * columns), "m-2") < share
    return ("m-2", "m-1") if is_its else ("m-1", "m-2")


@pytest.mark.parametrize("columns", [1, 2])
@pytest.mark.parametrize("share", [0.0, 0.05, 0.25, 0.5])
def test_a_server_with_another_share_is_told_from_one_that_follows(
    share: float, columns: int
) -> None:
    probes = probes_of(wish(share), columns=columns)
    assert {name: answered(name, share, columns=columns) for name in probes} == probes
    for before in {0.0, 0.05, 0.25, 0.5, 0.51} - {share}:
        assert {name: answered(name, before, columns=columns) for name in probes} != probes


def test_a_champion_alone_has_nobody_beside_it() -> None:
    assert list(probes_of(wish(0.0, other=None), columns=1).values()) == [("m-1", None)]
