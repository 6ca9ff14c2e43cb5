"""Charter: precedence holds for every key, and no text gets more than a helpful refusal."""

import tomllib

from hypothesis import given
from hypothesis import strategies as st
from strategies_charter import layers, toml_like

from bucle.charter.lines import key_lines, line_of
from bucle.charter.reading import read_charter
from bucle.errors import BucleError

HEAD = '[project]\nname = "shop"\n'


@given(layers())
def test_the_highest_layer_that_sets_a_key_wins(
    drawn: tuple[tuple[str, str], dict[str, float]],
) -> None:
    (section, name), values = drawn
    text, environ, overrides = HEAD, {}, []
    if "file" in values:
        text += f"[{section}]\n{name} = {values['file']!r}\n"
    if "environment" in values:
        variable = f"BUCLE_{section.replace('.', '__')}__{name}".upper()
        environ[variable] = repr(values["environment"])
    if "command line" in values:
        overrides.append(f"{section}.{name}={values['command line']!r}")
    loaded = read_charter(text, environ=environ, overrides=overrides)
    setting = next(one for one in loaded.settings if one.key == f"{section}.{name}")
    expected = next(
        (
            (layer, values[layer])
            for layer in ("command line", "environment", "file")
            if layer in values
        ),
        ("default", setting.value),
    )
    origins = {
        "command line": "--set",
        "environment": "env ",
        "file": "file ",
        "default": "default",
    }
    assert setting.value == expected[1]
    assert setting.source.startswith(origins[expected[0]])


def code(text: str, **options: object) -> str:
    """Return the code of the refusal, a plain 110 where the charter is read."""
    try:
        read_charter(text, **options)
    except BucleError as error:
        return error.code
    return "bucle-110"


@given(toml_like | st.text(max_size=80))
def test_any_text_is_read_or_refused_in_words(text: str) -> None:
    assert code(text).startswith("bucle-11")
    assert code(HEAD + text).startswith("bucle-11")


@given(st.text(max_size=40))
def test_any_override_is_read_or_refused_in_words(text: str) -> None:
    for override in (text, f"gates.{text}", f"gates.holdout={text}", f"model.{text}"):
        assert code(HEAD, overrides=[override]).startswith("bucle-11")


@given(st.text(max_size=30), st.text(st.characters(categories=["Lu", "Nd"]) | st.just("_")))
def test_any_environment_is_read_or_refused_in_words(value: str, name: str) -> None:
    for variable in (f"BUCLE_{name}", f"BUCLE_GATES__{name}", "BUCLE_DATA__SALES__SOURCE"):
        assert code(HEAD, environ={variable: value}).startswith("bucle-11")


_names = st.sampled_from(["gates", "data", "a-b", '"x y"', "'.'", "n"])
_values = st.sampled_from(
    ["1", '"[a]\\"#"', "'=\\'", '"""\n[x]\ny = 1\n"""', "'''\n]\n'''", "[\n1, # [\n2]", "{a = 1}"]
)


@given(st.lists(st.tuples(_names, _values), max_size=6, unique_by=lambda pair: pair[0]))
def test_every_key_of_a_valid_text_is_found_on_its_own_line(pairs: list[tuple[str, str]]) -> None:
    text = "[section] # a table\n" + "".join(f"  {name} = {value}\n" for name, value in pairs)
    lines = key_lines(text)
    for name in tomllib.loads(text)["section"]:
        line = line_of(("section", name), lines)
        assert line is not None
        assert text.split("\n")[line - 1].strip().startswith((name, f'"{name}"', f"'{name}'"))
