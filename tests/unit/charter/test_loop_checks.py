"""What the loop follows: defaults that can be meant, and one refusal for each that cannot."""

import pytest

from bucle.charter.intervals import seconds_in
from bucle.charter.reading import read_charter
from bucle.errors import CharterError

HEAD = '[project]\nname = "shop"\n'


def test_the_loop_follows_the_first_policy_unless_it_is_told_which() -> None:
    listed = HEAD + '[retrain]\npolicies = ["every:1mo", "gain"]\n'
    assert read_charter(HEAD).charter.retrain.followed == "never"
    assert read_charter(listed).charter.retrain.followed == "every:1mo"
    assert read_charter(listed + 'policy = "harm"\n').charter.retrain.followed == "harm"
    assert read_charter(HEAD + "[retrain]\npolicies = []\n").charter.retrain.followed == "never"


def test_reads_what_the_loop_follows() -> None:
    charter = read_charter(
        HEAD
        + '[gates]\napproval = ["business", "risk"]\n'
        + '[retrain]\npolicy = "cron:0 6 * * mon/harm"\nzone = "Europe/Madrid"\ncooldown = "2w"\n'
        + "[deploy]\nsteps = []\nbake_minutes = 1\n"
        + '[watch]\nevery = "15min"\nwebhook = "https://chat.example/h/1"\ncommand = ["a", "b"]\n'
    ).charter
    assert charter.gates.approval == ("business", "risk")
    assert charter.retrain.zone == "Europe/Madrid"
    assert charter.retrain.cooldown == "2w"
    assert seconds_in(charter.watch.every) == 900
    assert charter.deploy.steps == ()
    assert charter.watch.command == ("a", "b")


@pytest.mark.parametrize(
    ("lines", "key", "cause", "code"),
    [
        ('[gates]\napproval = ["The Boss"]', "gates.approval", "small letters", "114"),
        ('[gates]\napproval = ["risk", "risk"]', "gates.approval", "twice", "114"),
        ('[retrain]\npolicy = "weekly"', "retrain.policy", "a policy is", "119"),
        ('[retrain]\npolicies = ["cron:6 * * *"]', "retrain.policies", "five fields", "195"),
        ('[retrain]\nwindow = "2y"', "retrain.window", "expanding", "114"),
        ('[retrain]\ncooldown = "6h"', "retrain.cooldown", "d, w, mo or y", "114"),
        ('[watch]\nevery = "20000d"', "watch.every", "ten years", "114"),
        ("[retrain]\nmost_per_month = 0", "retrain.most_per_month", "between 1", "114"),
        ('[retrain]\nzone = "Madrid"', "retrain.zone", "no such zone", "196"),
        ('[retrain]\nzone = "../../etc/passwd"', "retrain.zone", "no such zone", "196"),
        ('[retrain]\nzone = ""', "retrain.zone", "no such zone", "196"),
        ("[deploy]\nsteps = [0, 1]", "deploy.steps", "below 1", "114"),
        ("[deploy]\nsteps = [0, nan]", "deploy.steps", "below 1", "114"),
        ("[deploy]\nsteps = [-0.1]", "deploy.steps", "below 1", "114"),
        ("[deploy]\nsteps = [0.25, 0.05]", "deploy.steps", "larger", "114"),
        ("[deploy]\npairs = 1", "deploy.pairs", "between 2", "114"),
        ("[deploy]\nbake_minutes = inf", "deploy.bake_minutes", "between 0", "114"),
        ("[deploy]\ndeadline_hours = 24", "deploy.deadline_hours", "get through", "114"),
        ("[deploy]\nlabels = -1", "deploy.labels", "between 0", "114"),
        (
            "[deploy]\ndeadline_hours = 48\nbake_minutes = 9e3",
            "deploy.deadline_hours",
            "150",
            "114",
        ),
        ("[deploy]\nprobation_hours = -1", "deploy.probation_hours", "between 0", "114"),
        ('[watch]\nfalse_alarms = "never"', "watch.false_alarms", "1 per 180 days", "114"),
        ('[watch]\nevery = "1s"', "watch.every", "10 seconds", "114"),
        ('[watch]\nevery = "hourly"', "watch.every", "15min", "114"),
        ('[watch]\nwebhook = "chat.example"', "watch.webhook", "http://", "197"),
        ('[watch]\nwebhook = "file:///etc/passwd"', "watch.webhook", "http://", "197"),
        ('[watch]\nwebhook = "http://"', "watch.webhook", "no machine", "197"),
        ('[watch]\nwebhook = "http://a@127.0.0.1/"', "watch.webhook", "before @", "197"),
        ('[watch]\nwebhook = "http://a:99999/"', "watch.webhook", "no address", "197"),
        ('[watch]\nwebhook = "http://[::1/"', "watch.webhook", "no address", "197"),
        ('[watch]\nwebhook = "http://a/\\r\\nHost: b"', "watch.webhook", "space", "197"),
        ('[watch]\ncommand = ["", "x"]', "watch.command", "the program", "114"),
        ('[watch]\ncommand = ["x", "\\u0000"]', "watch.command", "zero byte", "114"),
    ],
)
def test_refuses_what_nobody_can_mean(lines: str, key: str, cause: str, code: str) -> None:
    with pytest.raises(CharterError) as caught:
        read_charter(HEAD + lines + "\n")
    error = caught.value
    assert error.what.startswith(f"Cannot use {key} = ")
    assert cause in error.cause
    assert error.code == f"bucle-{code}"
    assert error.where.startswith("bucle.toml:")


def test_names_the_zone_of_a_city() -> None:
    with pytest.raises(CharterError) as caught:
        read_charter(HEAD + '[retrain]\nzone = "Madrid"\n')
    assert "Europe/Madrid" in caught.value.did_you_mean


def test_shows_the_machine_of_a_webhook_and_not_the_secret_in_its_path() -> None:
    for address in ("https://chat.example/hooks/SECRET", "https://me:SECRET@chat.example/"):
        try:
            loaded = read_charter(HEAD + f'[watch]\nwebhook = "{address}"\n')
            shown = next(one.value for one in loaded.settings if one.key == "watch.webhook")
        except CharterError as error:
            shown = error.render()
        assert "https://chat.example/***" in shown
        assert "SECRET" not in shown
