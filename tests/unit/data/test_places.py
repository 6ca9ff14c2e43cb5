import pytest

from bucle.charter.settings import DatasetSettings
from bucle.data.places import find_sources, is_query_url
from bucle.errors import SourceError


def test_files_of_a_glob_come_sorted_and_once(tmp_path):
    for name in ("b.csv", "a.csv", "c.txt"):
        (tmp_path / name).write_text("x\n1\n")
    found = find_sources(DatasetSettings(source=("*.csv", "a.csv")), root=tmp_path)
    assert [place.name for place in found] == ["a.csv", "b.csv"]


@pytest.mark.parametrize("text", ["../secret.csv", "/etc/passwd", "~/sales.csv"])
def test_refuses_a_source_outside_the_project(tmp_path, text):
    with pytest.raises(SourceError, match="outside the project"):
        find_sources(DatasetSettings(source=text), root=tmp_path)


def test_refuses_a_link_that_leads_out_of_the_project(tmp_path):
    project = tmp_path / "project"
    project.mkdir()
    (tmp_path / "secret.csv").write_text("x\n1\n")
    (project / "data.csv").symlink_to(tmp_path / "secret.csv")
    with pytest.raises(SourceError, match="outside the project"):
        find_sources(DatasetSettings(source="data.csv"), root=project)


def test_says_when_nothing_fits(tmp_path):
    with pytest.raises(SourceError, match="Cannot find a file"):
        find_sources(DatasetSettings(source="*.csv"), root=tmp_path)
    with pytest.raises(SourceError, match="it has no source"):
        find_sources(DatasetSettings(), root=tmp_path)


def test_knows_databases_and_refuses_other_urls():
    assert is_query_url("postgresql://host/shop")
    with pytest.raises(SourceError, match="Cannot read from https"):
        is_query_url("https://example.org/sales.csv")


def test_a_file_named_like_a_glob_is_that_file(tmp_path):
    (tmp_path / "sales [2024].csv").touch()
    found = find_sources(DatasetSettings(source="sales [2024].csv"), root=tmp_path)
    assert found == (tmp_path / "sales [2024].csv",)


def test_refuses_a_glob_that_cannot_be_used(tmp_path):
    with pytest.raises(SourceError, match="data/"):
        find_sources(DatasetSettings(source="data/**x.csv"), root=tmp_path)


def test_a_name_no_disk_can_hold_is_not_there(tmp_path):
    with pytest.raises(SourceError, match="Cannot find a file"):
        find_sources(DatasetSettings(source="a" * 400 + ".csv"), root=tmp_path)


def test_the_address_of_a_database_is_decoded_once_and_then_checked(tmp_path):
    (tmp_path / "my shop.db").touch()
    (tmp_path / "%2e%2e").mkdir()
    (tmp_path / "%2e%2e" / "x.db").touch()
    address = "sqlite:///my%20shop.db"
    assert find_sources(DatasetSettings(source=address), root=tmp_path) == (address,)
    with pytest.raises(SourceError, match="outside the project"):
        find_sources(DatasetSettings(source="sqlite:///%2e%2e/x.db"), root=tmp_path)
