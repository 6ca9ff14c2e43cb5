"""How a life is called, and what a policy's retrains cost."""

import pytest

from bucle.charter.settings import Money
from bucle.loop.decide import Refit, Retrain
from bucle.loop.policy import make_policy
from bucle.loop.replay.life import Life
from bucle.loop.replay.scores import changes_of, price_of_retrains


@pytest.mark.parametrize(
    ("exploration", "name"),
    [
        (0.0, "every:8w referee"),
        (0.15, "every:8w referee explore 15%"),
        (0.005, "every:8w referee explore 0.5%"),
        (1.0, "every:8w referee explore 100%"),
    ],
)
def test_a_life_is_called_by_its_policy_and_its_chance(exploration: float, name: str) -> None:
    assert Life(policy=make_policy("every:8w"), exploration=exploration).name == name


def test_only_an_alarm_costs_somebody_s_time() -> None:
    money = Money(retrain=60.0, alarm=20.0)

    def price(*triggers):
        asked = [Retrain(id="a", why="", window="expanding", trigger=one) for one in triggers]
        other = Refit(id="b", why="", run="r", model="m")
        return price_of_retrains([*asked, other], money)

    # Of a policy with both, what counts is which of them fired.
    assert (price(), price("every"), price("drift"), price("gain")) == (0.0, 60.0, 80.0, 80.0)


@pytest.mark.parametrize(
    ("champions", "changes"), [([], []), (["a"], []), (["a", "b", "b", "a"], [1, 3])]
)
def test_a_change_is_where_another_champion_begins(champions, changes) -> None:
    assert changes_of(champions) == changes
