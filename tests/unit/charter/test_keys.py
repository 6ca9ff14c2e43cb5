"""Keys: the table that errors, environment and documentation read is the typed charter itself."""

from msgspec.structs import fields

from bucle.charter.keys import SECTIONS, all_keys, describe_type
from bucle.charter.settings import DatasetSettings, GateSettings


def test_lists_every_field_of_the_typed_charter_once() -> None:
    names = [key.name for key in all_keys()]
    assert len(names) == len(set(names))
    assert {f"gates.{field.name}" for field in fields(GateSettings)} <= set(names)
    assert {f"data.NAME.{field.name}" for field in fields(DatasetSettings)} <= set(names)
    assert "pipeline.parameters.STEP.PARAM" in names


def test_only_the_name_of_the_project_is_required() -> None:
    assert [key.name for key in all_keys() if key.required] == ["project.name"]


def test_sections_stand_in_the_order_of_the_charter() -> None:
    sections = (
        "project",
        "charter",
        "data",
        "pipeline",
        "gates",
        "retrain",
        "deploy",
        "replay",
        "serve",
        "watch",
    )
    assert tuple(SECTIONS) == sections


def test_a_key_has_the_name_it_is_written_with() -> None:
    names = {key.name for key in all_keys()}
    assert {"replay.from", "replay.to"} <= names
    assert not {"replay.start", "replay.end"} & names


def test_a_list_of_numbers_is_called_that() -> None:
    assert describe_type(tuple[float, ...]) == "a list of numbers"
