"""What the page of a watch says, and that it says it as text."""

import re
from html.parser import HTMLParser

import msgspec
import pytest
from watched_samples import DAYS, detailed, empty

from bucle.loop.watching.report import render_watch_report
from bucle.loop.watching.watched import JudgedDay

HOSTILE = (
    "<script>document.title='mine'</script>",
    "</style></title><img src='http://192.0.2.1/x' onerror='alert(1)'>",
    '" onload="alert(1)" x=\'&\u202e\u200f',
)


class Elements(HTMLParser):
    """Names and attributes of all elements, and the text between them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.names: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.words: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", "".join(self.words))


def words(page: str) -> str:
    return Elements(page).text


def test_the_state_of_each_layer_is_said_in_words() -> None:
    said = words(render_watch_report(detailed(), project="shop"))
    assert "Watch of shop" in said
    assert f"alarm since {DAYS[15]}" in said
    assert "2,600 labels of 2,800 rows (92.9 %) until" in said
    assert f"55 labels of {DAYS[-1]} until 14:15, mean loss 0.9" in said
    assert "mae 0.41, validated at 0.3" in said
    assert f"changed since {DAYS[22]}" in said
    assert "1 breach" in said
    assert "cannot say: freshness of sales: too few additions" in said


def test_alarms_are_told_with_their_reasons_and_examples() -> None:
    said = words(render_watch_report(detailed(), project="shop"))
    assert f"Inputs: size since {DAYS[22]}" in said
    assert "share of 'size' 0.5 -> 0.8" in said
    assert "For example p-2 size" in said


def test_what_days_were_told_by_is_dated() -> None:
    said = words(render_watch_report(detailed(), project="shop"))
    assert f"A classifier tells the seven days until {DAYS[-1]} from the reference" in said


def test_restated_days_are_marked_and_told() -> None:
    page = render_watch_report(detailed(), project="shop")
    assert f'{DAYS[4]} <span class="badge">restated</span>' in page
    assert f'{DAYS[-1]} <span class="badge faint">waits for labels</span>' in page
    assert f"{DAYS[4]}0.310.351212026-03-082026-03-12" in words(page)


def test_intervals_and_estimates_are_told_with_their_condition() -> None:
    said = words(render_watch_report(detailed(), project="shop"))
    assert f"From {DAYS[0]} to {DAYS[27]} they held 81.0 % of 2,000 rows with a label." in said
    assert "Their widths would now have to be multiplied by 1.31." in said
    assert "If the rules of the world have not changed, the 400 rows without a label" in said
    assert "lose 0.36 a row in absolute error (0.3 to 0.44" in said


def test_of_few_labels_no_remedy_is_told() -> None:
    whole = detailed()
    harm = whole.watched.harm
    assert harm is not None
    assert harm.coverage is not None
    few = msgspec.structs.replace(harm.coverage, rows=124, factor=1.0, missing=376)
    watched = msgspec.structs.replace(
        whole.watched, harm=msgspec.structs.replace(harm, coverage=few)
    )
    said = words(
        render_watch_report(msgspec.structs.replace(whole, watched=watched), project="shop")
    )
    assert "multiplied" not in said
    assert "By how much their widths are off can be told after 376 more labels." in said


def test_every_column_has_its_chart_and_the_changed_ones_come_first() -> None:
    page = render_watch_report(detailed(), project="shop")
    columns = re.findall(r'<div class="column( changed)?"><h3><bdi>(\w+)</bdi>', page)
    assert columns == [(" changed", "size"), ("", "quiet")]
    # Two measures of the first, one of the other, labels, coverage, and volume.
    assert page.count('class="small-box"') == 6
    # The last seven days were found, and one of them has no dot twice.
    assert page.count('class="dot alarm"') == 7


def test_changes_that_would_have_been_found_are_told_with_their_span() -> None:
    said = words(render_watch_report(detailed(), project="shop"))
    assert "size: mean without extremes 0.25, over 7 days" in said


@pytest.mark.parametrize("name", HOSTILE)
def test_names_of_the_project_are_text(name: str) -> None:
    plain = Elements(render_watch_report(detailed(), project="shop"))
    found = Elements(render_watch_report(detailed(name), project=name))
    assert found.names == plain.names
    assert {key for key, _ in found.attributes} == {key for key, _ in plain.attributes}
    assert "\u202e" not in found.text


def test_nothing_is_asked_of_a_network() -> None:
    found = Elements(render_watch_report(detailed(), project="shop"))
    assert {"script", "img", "iframe", "object", "base"}.isdisjoint(found.names)
    links = [value for key, value in found.attributes if key in {"href", "src"}]
    assert links == ["data:,"]
    assert ("content", "default-src 'none'; style-src 'unsafe-inline'; img-src data:") in (
        found.attributes
    )


def test_equal_values_give_equal_bytes_and_nothing_known_is_a_page_too() -> None:
    once, again = (render_watch_report(detailed(), project="shop") for _ in range(2))
    assert once == again
    said = words(render_watch_report(empty(), project="shop"))
    assert said.count("cannot say") == 3
    assert "the champion has no days to judge by" in said


@pytest.mark.parametrize(
    ("labelled", "card", "chart"),
    [
        (0, "no labels yet", "No label has come yet"),
        (5, "not judged yet", "No day is judged yet"),
    ],
)
def test_days_that_still_wait_are_told_apart_from_days_without_labels(
    labelled: int, card: str, chart: str
) -> None:
    whole = detailed()
    harm = whole.watched.harm
    assert harm is not None
    day = JudgedDay(date=DAYS[-1], mature=False, rows=10, labelled=labelled, corrected=0)
    waiting = msgspec.structs.replace(harm, until=None, labelled=0, days=(day,), running=None)
    watched = msgspec.structs.replace(whole.watched, harm=waiting)
    page = render_watch_report(msgspec.structs.replace(whole, watched=watched), project="shop")
    assert card in words(page)
    assert chart in words(page)


def test_the_moment_is_said_as_people_write_it() -> None:
    said = words(render_watch_report(detailed(), project="shop"))
    assert said.count("2026-03-31 06:00 UTC") == 2
    assert "T06:00" not in said
