"""The text of a charter: precedence, origins, and one helpful error for each way to be wrong."""

import pytest

from bucle.charter.reading import Loaded, read_charter
from bucle.errors import CharterError

HEAD = '[project]\nname = "shop"\n'


def refusal(text: str, **options: object) -> CharterError:
    with pytest.raises(CharterError) as caught:
        read_charter(text, **options)
    return caught.value


def origin(loaded: Loaded, key: str) -> tuple[object, str]:
    return next((one.value, one.source) for one in loaded.settings if one.key == key)


def test_defaults_are_in_force_where_nothing_is_said() -> None:
    loaded = read_charter(HEAD)
    assert loaded.charter.gates.holdout == 0.2
    assert origin(loaded, "gates.holdout") == (0.2, "default")
    assert origin(loaded, "project.name") == ("shop", "file bucle.toml:2")


def test_command_line_covers_environment_covers_file_covers_default() -> None:
    text = HEAD + "[gates]\nholdout = 0.3\n"
    environ = {"BUCLE_GATES__HOLDOUT": "0.4"}
    overrides = ["gates.holdout=0.45", "gates.holdout=0.5"]
    assert origin(read_charter(text), "gates.holdout") == (0.3, "file bucle.toml:4")
    assert origin(read_charter(text, environ=environ), "gates.holdout") == (
        0.4,
        "env BUCLE_GATES__HOLDOUT",
    )
    last = read_charter(text, environ=environ, overrides=overrides)
    assert origin(last, "gates.holdout") == (0.5, "--set")
    assert last.charter.gates.holdout == 0.5


def test_a_step_parameter_may_be_set_by_its_short_name() -> None:
    loaded = read_charter(HEAD, overrides=["model.learning_rate=0.05", "model.kind=fast"])
    assert loaded.charter.pipeline.parameters == {"model": {"learning_rate": 0.05, "kind": "fast"}}
    assert origin(loaded, "pipeline.parameters.model.learning_rate") == (0.05, "--set")


def test_the_environment_matches_the_users_own_names_whatever_their_case() -> None:
    text = HEAD + '[data.Sales]\nsource = "a.csv"\n[pipeline.parameters.model]\nmaxDepth = 3\n'
    loaded = read_charter(
        text,
        environ={
            "BUCLE_DATA__SALES__SOURCE": '["b.csv", "c.csv"]',
            "BUCLE_PIPELINE__PARAMETERS__MODEL__MAXDEPTH": "4",
        },
    )
    assert loaded.charter.data["Sales"].source == ("b.csv", "c.csv")
    assert loaded.charter.pipeline.parameters == {"model": {"maxDepth": 4}}


@pytest.mark.parametrize(
    ("override", "section", "field", "value"),
    [
        ("project.name=2024", "project", "name", "2024"),
        ("retrain.policies=drift", "retrain", "policies", ("drift",)),
        ('retrain.policies=["drift", "gain"]', "retrain", "policies", ("drift", "gain")),
        ("gates.refit=true", "gates", "refit", True),
        ("gates.looks=many", "gates", "looks", "many"),
        ("gates.margin=1e-3", "gates", "margin", 0.001),
        ("pipeline.target=price", "pipeline", "target", "price"),
        ('pipeline.target="a=b"', "pipeline", "target", "a=b"),
    ],
)
def test_reads_a_bare_text_as_the_type_of_its_key(
    override: str, section: str, field: str, value: object
) -> None:
    charter = read_charter(HEAD, overrides=[override]).charter
    assert getattr(getattr(charter, section), field) == value


def test_environment_variables_without_a_section_are_left_alone() -> None:
    assert read_charter(HEAD, environ={"BUCLE_ACTOR": "x", "HOME": "/"}).charter.data == {}


def test_hides_passwords_where_values_are_shown() -> None:
    text = (
        HEAD
        + '[data.sales]\nsource = "postgresql://ana:s3cret@host/shop"\nquery = "select 1 as x"\n'
    )
    loaded = read_charter(text)
    assert "s3cret" in str(loaded.charter.data["sales"].source)
    assert "s3cret" not in str(loaded.settings)
    wrong = refusal(text + 'format = "csv"\n')
    assert "s3cret" not in wrong.render()


@pytest.mark.parametrize(
    ("text", "where", "near"),
    [
        (HEAD + "[gates]\n\nholdut = 0.3\n", "bucle.toml:5", "gates.holdout"),
        (HEAD + "[gate]\nholdout = 0.3\n", "bucle.toml:3", "gates"),
        (HEAD + "nam = 1\n", "bucle.toml:3", "project.name"),
        (HEAD + "[data.sales]\nevnt_time = 'x'\n", "bucle.toml:4", "data.sales.event_time"),
        (
            HEAD + '[[charter.kpis]]\nmetric = "mae"\n[[charter.kpis]]\ngaol = 1\n',
            "bucle.toml:6",
            "charter.kpis.goal",
        ),
        (
            HEAD + '[charter]\nkpis = [\n  {metric = "mae"},\n  {metrik = "mae"},\n]\n',
            "bucle.toml:6",
            "charter.kpis.metric",
        ),
        (HEAD + "[charter.money]\nretrian = 5\n", "bucle.toml:4", "charter.money.retrain"),
    ],
)
def test_an_unknown_key_names_its_line_and_the_nearest_key(
    text: str, where: str, near: str
) -> None:
    error = refusal(text)
    assert (error.code, error.where) == ("bucle-111", where)
    assert error.did_you_mean[0] == near


@pytest.mark.parametrize(
    ("options", "where", "near"),
    [
        ({"overrides": ["gates.holdut=0.3"]}, "--set", "gates.holdout"),
        (
            {"environ": {"BUCLE_GATE__HOLDOUT": "0.3"}},
            "environment variable BUCLE_GATE__HOLDOUT",
            "gates",
        ),
        ({"overrides": ["gates.holdout.x=1"]}, "--set", ""),
        ({"overrides": ["charter.kpi.metric=1"]}, "--set", "charter.kpis"),
    ],
)
def test_an_unknown_key_from_outside_the_file_says_from_where(
    options: dict[str, object], where: str, near: str
) -> None:
    error = refusal(HEAD, **options)
    assert (error.code, error.where) == ("bucle-111", where)
    assert near in " ".join(error.did_you_mean)


@pytest.mark.parametrize("override", ["gates.holdout", "=3", "gates..holdout=1", "gates=1", ""])
def test_refuses_an_override_that_is_none(override: str) -> None:
    assert refusal(HEAD, overrides=[override]).code == "bucle-116"


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ('[gates]\nholdout = "ten"', "a number"),
        ("[gates]\nholdout = true", "a number"),
        ("[gates]\nrefit = 1", "true or false"),
        ("[pipeline]\nseed = 1.5", "a whole number"),
        ("[pipeline]\ntarget = 2024-01-01", "text in quotes"),
        ("[pipeline]\nfeatures = [1, 2]", "a list of texts"),
        ('[pipeline]\nfeatures = "price"', "a list of texts"),
        ("[gates]\nholdout = {}", "a number"),
        ("[data]\nsales = 1", "a table"),
        ('[gates]\nlooks = "twice"', "one of 'once', 'many'"),
        ('[charter]\nkpis = ["mae"]', "a list of tables"),
        ("[charter]\nmoney = 5", "a table"),
        ("[[charter.kpis]]\ngoal = 3", "metric"),
    ],
)
def test_a_wrong_type_says_what_is_expected_and_where(lines: str, expected: str) -> None:
    error = refusal(HEAD + lines + "\n")
    assert error.code == "bucle-112"
    assert error.where in {"bucle.toml:3", "bucle.toml:4"}
    assert expected in error.cause


def test_a_wrong_choice_suggests_the_nearest() -> None:
    assert refusal(HEAD + '[pipeline]\nkind = "regresion"\n').did_you_mean == ("regression",)


def test_a_charter_without_a_name_says_how_to_write_one() -> None:
    assert "project.name" in refusal("").what
    assert refusal("[project]\n").code == "bucle-112"


@pytest.mark.parametrize(
    ("text", "where", "cause"),
    [
        (HEAD + 'name = "again"\n', "bucle.toml:3", "overwrite"),
        (HEAD + "[project]\n", "bucle.toml:3", "declare"),
        (HEAD + "\tx = no\n", "bucle.toml:3", "invalid value"),
        (HEAD + "x = &anchor [*a, *a]\n", "bucle.toml:3", "invalid value"),
        (HEAD + "x = !!python/object:os.system\n", "bucle.toml:3", "invalid value"),
        ('[project]\nname = "sh\x00op"\n', "bucle.toml:2", "illegal"),
        ('[project\nname = "x"\n', "bucle.toml:1", "expected"),
        ("project:\n  name: shop\n", "bucle.toml:1", "expected"),
        (HEAD + "x = " + "[" * 20_000, "bucle.toml", "nested"),
        (HEAD + "x = " + "9" * 5_000, "bucle.toml", "digits"),
        (".".join(["a"] * 100_000) + " = 1\n", "bucle.toml:1", "16"),
        ("[" + ".".join(["a"] * 100_000) + "]\n", "bucle.toml:1", "16"),
    ],
)
def test_what_is_no_toml_names_its_line(text: str, where: str, cause: str) -> None:
    error = refusal(text)
    assert (error.code, error.where) == ("bucle-110", where)
    assert cause in error.cause.lower()


def test_tabs_and_comments_are_fine() -> None:
    text = "\t[project]\t# the name\n\tname\t=\t'shop'\n"
    assert read_charter(text).charter.project.name == "shop"
