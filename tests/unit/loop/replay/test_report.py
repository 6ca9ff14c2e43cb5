"""The report of a replay as a page: what it says, what it escapes, how it is built."""

import re
from html.parser import HTMLParser

import msgspec
import pytest
from findings_samples import build_findings, edge_cases, hostile

from bucle.loop.replay.report import render_report

VOID = {"meta", "link", "br"}
CASES = edge_cases()


class Page(HTMLParser):
    """The elements of a page, with every one that was not closed in turn."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.unbalanced: list[str] = []
        self.words: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        self.unbalanced += self._open

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if not self._open or self._open.pop() != tag:
            self.unbalanced.append(tag)

    def handle_data(self, data):
        self.words.append(data)

    def named(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def text(self):
        return re.sub(r"\s+", " ", "".join(self.words))


@pytest.fixture(scope="module")
def page() -> Page:
    return Page(render_report(build_findings()))


def test_equal_findings_give_equal_bytes() -> None:
    assert render_report(build_findings()) == render_report(build_findings())


@pytest.mark.parametrize("case", CASES)
def test_every_page_is_whole(case: str) -> None:
    text = render_report(CASES[case])
    assert Page(text).unbalanced == []
    for drawing in re.findall(
        r"<svg.*?</svg>(?!</svg>|<path|<text|<circle)", text, flags=re.DOTALL
    ):
        places = re.findall(r'\b(?:d|x|y|cx|cy|x1|x2|y1|y2)="([^"]*)"', drawing)
        assert not [place for place in places if "nan" in place or "inf" in place]


@pytest.mark.parametrize("case", CASES)
def test_no_line_leaves_its_plot(case: str) -> None:
    for path in re.findall(
        r'<path class="l\d" d="([^"]*)"/></?(?:path|svg)', render_report(CASES[case])
    ):
        numbers = [float(one) for one in re.findall(r"-?\d+(?:\.\d+)?(?:e-?\d+)?", path)]
        assert all(-1 <= one <= 1001 for one in numbers), path


def test_a_page_asks_for_nothing(page: Page) -> None:
    assert page.named("script") == []
    policy = next(one for one in page.named("meta") if one.get("http-equiv"))
    assert policy["content"] == "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    asked = [
        value
        for _, attributes in page.tags
        for name, value in attributes.items()
        if name in {"src", "href", "xlink:href"} or name.startswith("on")
    ]
    assert asked == ["data:,"]
    assert "url(" not in "".join(page.words)


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "\"'><img src=x onerror=alert(1)>",
        "</style></title><svg onload=x>",
        "&lt;b&gt;",
    ],
)
def test_text_of_the_project_stays_text(text: str) -> None:
    kinds = {tag for tag, _ in Page(render_report(build_findings())).tags}
    page = Page(render_report(hostile(text)))
    assert {tag for tag, _ in page.tags} <= kinds
    assert text in "".join(page.words)
    assert not [one for _, one in page.tags if any(name.startswith("on") for name in one)]


def test_what_no_page_can_hold_is_replaced() -> None:
    text = render_report(hostile("a\x00b\ud800c\u202ed"))
    assert "a\ufffdb\ufffdc\ufffdd" in text
    text.encode("utf-8")


def test_names_are_apart_from_the_direction_around_them() -> None:
    assert "<bdi>\u200fأبجد</bdi>" in render_report(hostile("\u200fأبجد"))


def test_the_reader_learns_what_to_do_first(page: Page) -> None:
    first = page.text.index("Recommendation")
    assert first < page.text.index("Careful") < page.text.index("Error over time")
    assert "Retrain with" in page.text
    assert page.named("html") == [{"lang": "en"}]


def test_the_cheapest_is_marked_in_words_and_the_oracle_comes_last(page: Page) -> None:
    found = build_findings()
    best = min(found.policies, key=lambda one: one.money)
    assert f"{best.name} ★ cheapest" in page.text
    rows = re.findall(r"<tr.*?</tr>", render_report(found).split("</table>")[0], re.DOTALL)
    assert "oracle" in rows[-1]
    assert len(rows) == 1 + len(found.policies) + 1


def test_what_cannot_be_told_apart_from_the_cheapest_says_so(page: Page) -> None:
    assert "every:6mo referee ≈ not told apart" in page.text
    assert "never none ≈" not in page.text


def test_a_comparison_that_names_the_best_first_is_turned() -> None:
    found = build_findings(policies=2)
    best, other = sorted(found.policies, key=lambda one: one.money)
    one = msgspec.structs.replace(
        found.comparisons[0],
        a=best.name,
        b=other.name,
        difference=-0.2,
        low=-0.5,
        high=-0.1,
        verdict="a is better",
        money=-10.0,
        money_low=-20.0,
        money_high=-5.0,
    )
    text = Page(render_report(msgspec.structs.replace(found, comparisons=(one,)))).text
    assert "+25.0 % (+11.1 % to +100 %)" in text
    assert "worse than the best" in text
    assert "money +10.00 USD (+5.00 to +20.00)" in text


def test_every_table_has_a_caption_and_says_what_its_heads_head(page: Page) -> None:
    assert len(page.named("caption")) == len(page.named("table")) > 3
    assert {one.get("scope") for one in page.named("th")} == {"col", "row"}


def test_every_picture_has_a_title_or_is_decoration() -> None:
    text = render_report(build_findings())
    heads = re.findall(r"<svg([^>]*)>(<title)?", text)
    assert heads
    for attributes, title in heads:
        if 'role="img"' in attributes:
            assert title
        else:
            assert "aria-hidden" in attributes or "overflow" in attributes


def test_ids_are_unique(page: Page) -> None:
    ids = [one["id"] for _, one in page.tags if "id" in one]
    assert len(ids) == len(set(ids)) == 4


def test_a_period_without_labels_breaks_the_line() -> None:
    text = render_report(build_findings(policies=1, periods=20))
    line = re.search(r'<path class="l1" d="([^"]*)"', text.split('id="errors-about"')[1])
    assert line is not None
    assert line[1].count("M") == 2
    assert len(re.findall("[ML]", line[1])) == 18


def test_a_period_between_two_without_labels_is_a_point() -> None:
    text = render_report(build_findings(policies=1, periods=12))
    assert re.search(r'<path class="l1 point" d="M1000 [\d.]+h0"/>', text)


def test_marks_count_what_was_done(page: Page) -> None:
    text = render_report(build_findings())
    lanes = re.findall(
        r"<title>(\d+) retrains?, (\d+) promotions?</title>(.*?)</div>", text, re.DOTALL
    )
    assert len(lanes) == 6
    for retrains, promotions, drawing in lanes:
        assert drawing.count("V1000") == int(retrains)
        assert drawing.count("<circle") == int(promotions)


def test_an_oracle_without_periods_gives_its_place_to_the_cheapest() -> None:
    found = build_findings()
    assert "Money above the oracle so far" in Page(render_report(found)).text
    bare = msgspec.structs.replace(found, oracle=msgspec.structs.replace(found.oracle, spent=()))
    assert "Money above the cheapest policy so far" in Page(render_report(bare)).text


def test_lines_of_money_end_at_the_regret_of_the_table() -> None:
    found = build_findings()
    best = min(found.policies, key=lambda one: one.money)
    assert f'<span class="number">{best.regret:,.0f}</span>' in render_report(found)


def test_lines_say_when_the_price_of_retrains_is_not_in_them() -> None:
    found = build_findings()
    said = "The price of retrains and alarms is in the table but not in these lines."
    assert said not in Page(render_report(found)).text
    bare = tuple(
        msgspec.structs.replace(
            one,
            timeline=tuple(msgspec.structs.replace(tick, upkeep=0.0) for tick in one.timeline),
        )
        for one in found.policies
    )
    assert said in Page(render_report(msgspec.structs.replace(found, policies=bare))).text


def test_errors_many_times_apart_are_drawn_by_ratio() -> None:
    found = build_findings(policies=2)
    assert "logarithmic" not in render_report(found).split("Money over time")[0]
    first = found.policies[0]
    ticks = tuple(
        msgspec.structs.replace(tick, error=None if tick.error is None else tick.error * 90)
        for tick in first.timeline
    )
    wild = msgspec.structs.replace(first, timeline=ticks)
    text = render_report(msgspec.structs.replace(found, policies=(wild, found.policies[1])))
    assert "lower is better; logarithmic" in text


def test_a_score_is_better_when_higher() -> None:
    found = msgspec.structs.replace(build_findings(), metric="r2")
    assert "higher is better" in render_report(found)


def test_without_drill_or_benefit_no_empty_section_is_left() -> None:
    text = Page(render_report(CASES["no drill"])).text
    assert "Fault drill" not in text
    assert "More data or newer data" not in text


def test_the_split_of_the_benefit_is_said_in_words(page: Page) -> None:
    assert "2.2 % because the data were newer, 10.7 % because there were more" in page.text


def test_how_long_the_trainings_took_is_no_part_of_the_page() -> None:
    found = build_findings()
    other = msgspec.structs.replace(found.trainings, trained=0, seconds=0.1)
    assert render_report(found) == render_report(msgspec.structs.replace(found, trainings=other))
