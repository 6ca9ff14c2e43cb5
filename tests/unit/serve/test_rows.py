"""Rows of requests: what is taken, what is refused, and in which words."""

import json
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pytest

from bucle.errors import PackageError
from bucle.models.rules import Rule
from bucle.models.signature import Feature, Signature
from bucle.serve.problems import BadRow, ProblemError, RowsRefusedError
from bucle.serve.rows import RowReader


def reader(*, rule: Rule | None = None, keys: tuple[str, ...] = (), **dtypes: str) -> RowReader:
    return named(dtypes or {"x": "Float64"}, rule=rule, keys=keys)


def named(
    dtypes: dict[str, str], *, rule: Rule | None = None, keys: tuple[str, ...] = ()
) -> RowReader:
    features = tuple(Feature(name=name, dtype=dtype) for name, dtype in dtypes.items())
    signature = Signature(kind="regression", target="y", features=features)
    return RowReader(signature, rules=[rule] if rule else [], keys=keys)


def values(of: RowReader, body: str | bytes) -> list[tuple[Any, ...]]:
    content = body.encode() if isinstance(body, str) else body
    return [of.values(row) for row in of.read(content)[0]]


def bad(of: RowReader, body: str | bytes) -> tuple[BadRow, ...]:
    with pytest.raises(RowsRefusedError) as found:
        values(of, body)
    assert found.value.status == 422
    return found.value.errors


def unreadable(of: RowReader, body: bytes) -> ProblemError:
    with pytest.raises(ProblemError) as found:
        of.read(body)
    return found.value


@pytest.mark.parametrize(
    ("dtype", "sent", "read"),
    [
        ("Float64", "1.5", 1.5),
        ("Float64", "2", 2.0),
        ("Float32", "-0.0", -0.0),
        ("Int8", "-128", -128),
        ("Int16", "32767", 32767),
        ("Int32", "-2147483648", -(2**31)),
        ("Int64", "9223372036854775807", 2**63 - 1),
        ("UInt8", "255", 255),
        ("UInt16", "65535", 65535),
        ("UInt32", "4294967295", 2**32 - 1),
        ("UInt64", "0", 0),
        ("Boolean", "true", True),
        ("String", '"Señal 😀"', "Señal 😀"),
        ("Date", '"2024-02-29"', date(2024, 2, 29)),
        ("Time", '"12:30:00"', time(12, 30)),
        ("Datetime[us]", '"2024-01-31T12:00:00"', datetime(2024, 1, 31, 12)),  # noqa: DTZ001
        (
            "Datetime[us, UTC]",
            '"2024-01-31T14:00:00+02:00"',
            datetime(2024, 1, 31, 12, tzinfo=UTC),
        ),
        (
            "Datetime[ms, Europe/Madrid]",
            '"2024-01-31T12:00:00Z"',
            datetime(2024, 1, 31, 12, tzinfo=UTC),
        ),
        ("Duration[us]", '"PT1H"', timedelta(hours=1)),
        ("Null", "null", None),
    ],
)  # fmt: skip
def test_a_value_of_its_type_is_read(dtype: str, sent: str, read: object) -> None:
    (row,) = values(reader(x=dtype), f'{{"x": {sent}}}')
    assert row == (read,)
    assert type(row[0]) is type(read)


@pytest.mark.parametrize(
    "dtype",
    ["Float64", "Int64", "Boolean", "String", "Date", "Time", "Datetime[us]", "Duration[ns]"],
)
def test_null_is_read_where_no_rule_forbids_it(dtype: str) -> None:
    assert values(reader(x=dtype), '{"x": null}') == [(None,)]
    strict = reader(x=dtype, rule=Rule(name="x", nullable=False))
    (found,) = bad(strict, '{"x": null}')
    assert found.field == "x"
    assert "got null" in found.rule


@pytest.mark.parametrize(
    ("dtype", "sent"),
    [
        ("Float64", "true"),
        ("Float64", '"1"'),
        ("Float64", "[1]"),
        ("Float64", '{"a": 1}'),
        ("Float64", "1e400"),
        ("Float64", "-1e400"),
        ("Float64", "1" + "0" * 400),
        ("Float64", "1" + "0" * 6000),
        ("Int64", "1.0"),
        ("Int64", "true"),
        ("Int64", "9223372036854775808"),
        ("Int64", "1" + "0" * 400),
        ("Int8", "128"),
        ("UInt8", "-1"),
        ("Boolean", "1"),
        ("Boolean", '"true"'),
        ("String", "1"),
        ("String", "false"),
        ("Date", '"2024-02-31"'),
        ("Date", '"31/01/2024"'),
        ("Date", "20240131"),
        ("Time", '"12:00:00Z"'),
        ("Datetime[us]", '"2024-01-31T12:00:00Z"'),
        ("Datetime[us, UTC]", '"2024-01-31T12:00:00"'),
        ("Datetime[us, UTC]", "1706702400"),
        ("Duration[us]", "3600"),
        ("Null", "1e400"),
    ],
)
def test_a_value_of_another_type_is_refused_by_name_and_value(dtype: str, sent: str) -> None:
    (found,) = bad(reader(x=dtype), f'{{"x": {sent}}}')
    assert found.field == "x"
    assert found.value == (sent if len(sent) <= 80 else sent[:79] + "…")
    assert found.rule
    assert "`" not in found.rule


@pytest.mark.parametrize("sent", ["nan", "01", "1_000", "0x1", "Inf", "+Infinity", "NaN]"])
def test_what_is_no_json_number_is_refused(sent: str) -> None:
    assert unreadable(reader(), f'{{"x": {sent}}}'.encode()).status == 400


@pytest.mark.parametrize("sent", ["NaN", "Infinity", "-Infinity"])
def test_a_number_that_is_none_is_refused_with_field_value_and_rule(sent: str) -> None:
    of = reader(x="Float64", word="String")
    wanted = BadRow(field="x", value=sent, rule="Expected a finite number")
    assert bad(of, f'{{"word": "NaN", "x": {sent}}}') == (wanted,)
    both = bad(of, f'[{{"word":"a","x":1}}, {{"word":{sent},"x":{sent}}}, {{"NaN":{sent}}}]')
    assert [(one.row, one.field) for one in both] == [(1, "word"), (1, "x"), (2, "NaN")]
    assert both[2].rule == "is not a field of the model"
    (last,) = bad(of, f'[{{"word":1,"x":1}}, {{"word":"a","x":{sent}}}]')
    assert (last.row, last.field, last.value) == (1, "x", sent)


def test_a_body_full_of_numbers_that_are_none_is_told_of_twenty() -> None:
    assert len(bad(reader(), "[" + ",".join(['{"x":NaN}'] * 100) + "]")) == 20


@pytest.mark.parametrize("body", ['{"x": NaN', "[NaN]", '["NaN", nan]', "[" * 9999 + "NaN"])
def test_a_body_that_is_no_row_with_such_numbers_cannot_be_read(body: str) -> None:
    assert unreadable(reader(), body.encode()).status == 400


@pytest.mark.parametrize("sent", ["1", '"a"', "true", "{}", "[]"])
def test_a_column_that_was_always_null_takes_nothing_else(sent: str) -> None:
    of = reader(x="Null")
    assert values(of, '{"x": null}') == [(None,)]
    (found,) = bad(of, f'{{"x": {sent}}}')
    assert (found.field, found.value) == ("x", sent)


DAY = Rule(name="x", least="2020-01-01", below="2030-01-01")
MOMENT = Rule(name="x", above="2020-01-01T00:00:00", most="2020-01-02T12:00:00")
ZONED = Rule(name="x", least="2020-01-01T00:00:00Z", nullable=False)
CLOCK = Rule(name="x", least="06:30:00", below="18:00:00")
SPAN = Rule(name="x", least="-PT3600S", most="P3DT3600S")


@pytest.mark.parametrize(
    ("dtype", "rule", "good", "refused"),
    [
        ("Date", DAY, ["2020-01-01", "2029-12-31"], ["2019-12-31", "2030-01-01", "0001-01-01"]),
        ("Datetime[us]", MOMENT, ["2020-01-01T00:00:00.000001"], ["2020-01-01T00:00:00"]),
        ("Datetime[us]", MOMENT, ["2020-01-02T12:00:00"], ["2020-01-02T12:00:01"]),
        (
            "Datetime[us, UTC]",
            ZONED,
            ["2020-01-01T01:00:00+01:00"],
            ["2020-01-01T01:00:00+02:00"],
        ),
        ("Time", CLOCK, ["06:30:00", "17:59:59"], ["06:29:59", "18:00:00"]),
        ("Duration[us]", SPAN, ["-PT3600S", "P3DT3600S"], ["-PT3601S", "P4D"]),
    ],
)
def test_dates_and_times_keep_the_limits_of_the_contract(
    dtype: str, rule: Rule, good: list[str], refused: list[str]
) -> None:
    of = reader(x=dtype, rule=rule)
    for sent in good:
        assert len(values(of, f'{{"x": "{sent}"}}')) == 1
    for sent in refused:
        (found,) = bad(of, f'{{"x": "{sent}"}}')
        assert found.field == "x"
        assert found.value[:5] == f'"{sent}"'[:5]
        assert found.rule.startswith("Expected a ")
        assert found.row is None


def test_a_date_beyond_a_limit_is_named_by_row_value_and_rule() -> None:
    of = reader(x="Date", rule=DAY)
    sent = '[{"x":"2024-01-31"},{"x":null},{"x":"2031-05-06"}]'
    rule = "Expected a date < 2030-01-01"
    assert bad(of, sent) == (BadRow(row=2, field="x", value='"2031-05-06"', rule=rule),)


def test_many_dates_beyond_a_limit_are_told_of_twenty() -> None:
    body = "[" + ",".join(['{"x":"1999-01-01"}'] * 100) + "]"
    assert len(bad(reader(x="Date", rule=DAY), body)) == 20


@pytest.mark.parametrize(
    ("dtype", "limit"), [("Datetime[us]", "2020-01-01T00:00:00Z"), ("Date", "soon"), ("Date", 3)]
)
def test_a_limit_that_cannot_be_compared_is_none(dtype: str, limit: float | str) -> None:
    of = reader(x=dtype, rule=Rule(name="x", least=limit))
    assert len(values(of, '{"x": "1999-01-01T00:00:00"}' if "[" in dtype else '{"x":"1999-01-01"}'))


def test_a_missing_field_is_named() -> None:
    (found,) = bad(reader(x="Float64", y="String"), '{"x": 1}')
    assert (found.field, found.rule, found.row) == ("y", "is missing", None)


def test_an_unknown_field_is_named_with_the_near_ones() -> None:
    (found,) = bad(reader(size="Float64", price="Float64"), '{"siez": 1, "price": 1}')
    assert (found.field, found.rule) == ("siez", "is not a field of the model")
    assert found.did_you_mean == ("size",)


@pytest.mark.parametrize(
    "body",
    [
        '{"x":1,"x":2}',
        '{"x" :1,"x"\n:\t2}',
        '{"x":1,"\\u0078":2}',
        '[{"x":1},{"x":1,"x":1}]',
        "[" + '{"x":1},' * 2000 + '{"x":1,"x":1}]',
    ],
)
def test_a_field_that_is_there_twice_is_refused(body: str) -> None:
    (found,) = bad(reader(), body)
    assert (found.field, found.rule) == ("x", "is there twice")


@pytest.mark.parametrize("body", ['{"x":"a:b","k":1,"k":2}', '{"x":"a","k":1,"\\u006b":2}'])
def test_a_key_that_is_there_twice_is_refused(body: str) -> None:
    (found,) = bad(reader(x="String", keys=("k",)), body)
    assert found.field == "k"


def test_colons_in_values_are_no_doubled_fields() -> None:
    assert values(reader(x="String"), '{"x": "::::"}') == [("::::",)]


def test_a_hundred_thousand_twins_are_refused_without_comparing_each_to_each() -> None:
    (found,) = bad(reader(), b"{" + b",".join([b'"x":1'] * 100_000) + b"}")
    assert found.field == "x"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"{",
        b'{"x":1}x',
        b'{"x":1}{"x":1}',
        b"\xef\xbb\xbf" + b'{"x":1}',
        '{"x":1}'.encode("utf-16"),
        b'{"\xff":1}',
        b'{"\xc0\xaf":1}',
        b'{"\\ud800":1}',
        b'{"x":"\\ud800"}',
        b"[" * 100_000,
        b'{"x":1} // no',
        b"x=1",
    ],
)
def test_what_is_no_json_is_refused_as_a_whole(body: bytes) -> None:
    problem = unreadable(reader(), body)
    assert problem.status == 400
    assert problem.attempt
    assert "Traceback" not in str(problem)


@pytest.mark.parametrize("text", [b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\\ud800", b"\\udc00x"])
def test_text_that_is_no_unicode_is_refused(text: bytes) -> None:
    assert unreadable(reader(x="String"), b'{"x":"' + text + b'"}').status in {400, 422}


@pytest.mark.parametrize("body", [b"null", b"1", b'"x"', b"true", b"[]"])
def test_what_holds_no_row_is_refused(body: bytes) -> None:
    assert unreadable(reader(), body).status == 422


@pytest.mark.parametrize(("body", "row"), [("[[]]", 0), ('[{"x":1},null]', 1), ("[1]", 0)])
def test_an_element_that_is_no_row_is_named_by_its_index(body: str, row: int) -> None:
    (found,) = bad(reader(), body)
    assert found.row == row
    assert found.rule.startswith("Expected an object")


def test_a_value_nested_deeply_is_refused() -> None:
    depth = 100_000
    for body in (b'{"x":' + b"[" * depth + b"]" * depth + b"}", b'{"x":' * depth):
        assert bad(reader(), body)[0].field == "x"
    (found,) = bad(reader(), b'{"x":1,"z":' + b"[" * depth + b"]" * depth + b"}")
    assert found.field == "z"


def test_every_bad_row_is_named_by_its_index() -> None:
    found = bad(reader(), '[{"x":1},{"x":"a"},{"x":2},{},{"y":1},{"x":[]}]')
    assert [(one.row, one.field) for one in found] == [(1, "x"), (3, "x"), (4, "y"), (5, "x")]


def test_at_most_twenty_bad_rows_are_named() -> None:
    assert len(bad(reader(), "[" + ",".join(["{}"] * 1000) + "]")) == 20


def test_a_list_and_a_single_row_are_told_apart() -> None:
    of = reader()
    assert of.read(b'{"x":1}')[1]
    assert not of.read(b'[{"x":1}]')[1]


@pytest.mark.parametrize(
    "name",
    ["a.b", "a`b", "a'b", "a]b", "$", "[0]", "", " ", "ñandú", "😀", "__class__", "f0", "x" * 300],
)
def test_a_field_may_have_any_name_of_plain_letters(name: str) -> None:
    of = named({name: "Float64", "other": "Int64"})
    assert values(of, json.dumps({name: 1.0, "other": 2})) == [(1.0, 2)]
    assert json.loads(of.encode(of.read(json.dumps({name: 1, "other": 2}).encode())[0][0])) == {
        name: 1.0,
        "other": 2,
    }
    (missing,) = bad(of, '{"other": 2}')
    assert (missing.field[:79], missing.rule) == (name[:79], "is missing")
    (wrong,) = bad(of, json.dumps([{name: "s", "other": 2}]))
    assert (wrong.row, wrong.field, wrong.value) == (0, name, '"s"')


@pytest.mark.parametrize("name", ['a"b', "a\\b", "a\nb", "\0"])
def test_a_name_that_json_has_to_escape_is_refused_before_anything_is_served(name: str) -> None:
    with pytest.raises(PackageError, match="Cannot serve a model with a column"):
        named({name: "Float64"})


def test_a_name_of_a_million_letters_is_cut_in_the_refusal() -> None:
    (found,) = bad(reader(), b'{"x":1,"' + b"q" * 1_000_000 + b'":1}')
    assert len(found.words) < 500


@pytest.mark.parametrize(
    ("dtype", "rule", "good", "refused"),
    [
        ("Float64", Rule(name="x", least=0, most=10), ["0", "10"], ["-0.1", "10.1"]),
        ("Float64", Rule(name="x", above=0, below=1), ["0.5"], ["0", "1"]),
        ("Float64", Rule(name="x", least=0, above=0), ["0.1"], ["0"]),
        ("Float64", Rule(name="x", least=1, above=0), ["1"], ["0.5"]),
        ("Float64", Rule(name="x", most=1, below=1), ["0.9"], ["1"]),
        ("Float64", Rule(name="x", least=0, most=float("inf")), ["1e300"], ["-1"]),
        ("Int64", Rule(name="x", least=0.5, below=3), ["1", "2"], ["0", "3"]),
        ("Int64", Rule(name="x", least=float("-inf"), most=5), ["-5", "5"], ["6"]),
        ("Int8", Rule(name="x", least=-1000, most=1000), ["-128", "127"], ["128"]),
        ("UInt64", Rule(name="x", most=2**64), ["0"], ["-1"]),
        ("String", Rule(name="x", one_of=("a", "b")), ['"a"'], ['"c"', '"a "', '"A"', '""']),
        ("String", Rule(name="x", pattern="^[A-Z]{2}$"), ['"AB"'], ['"ab"', '"ABC"']),
        ("String", Rule(name="x", pattern="b"), ['"abc"'], ['"ac"']),
        ("String", Rule(name="x", shortest=2, longest=3), ['"ab"', '"ñññ"'], ['"a"', '"abcd"']),
    ],
)  # fmt: skip
def test_a_rule_lets_pass_what_the_contract_does(
    dtype: str, rule: Rule, good: list[str], refused: list[str]
) -> None:
    of = reader(x=dtype, rule=rule)
    for sent in good:
        assert len(values(of, f'{{"x": {sent}}}')) == 1
    for sent in refused:
        (found,) = bad(of, f'{{"x": {sent}}}')
        assert (found.field, found.value) == ("x", sent)


def test_a_word_outside_a_list_is_refused_with_the_list() -> None:
    (found,) = bad(reader(x="String", rule=Rule(name="x", one_of=("Air", "Sea"))), '{"x":"air"}')
    assert found.rule == "is none of 'Air', 'Sea'"


@pytest.mark.parametrize(
    ("sent", "key"),
    [
        ('{"x":1,"id":7}', "7"),
        ('{"x":1,"id":"a"}', "a"),
        ('{"x":1,"id":null}', None),
        ('{"x":1}', None),
    ],
)
def test_a_key_may_come_and_is_no_feature(sent: str, key: str | None) -> None:
    of = reader(x="Float64", keys=("id",))
    (row,), _ = of.read(sent.encode())
    assert of.key(row) == key
    assert of.values(row) == (1.0,)


@pytest.mark.parametrize("sent", ["1.5", "true", "[1]", "{}"])
def test_a_key_of_another_type_is_refused(sent: str) -> None:
    (found,) = bad(reader(x="Float64", keys=("id",)), f'{{"x":1,"id":{sent}}}')
    assert found.field == "id"


def test_a_key_of_two_fields_needs_both() -> None:
    of = reader(x="Float64", keys=("shop", "id"))
    rows, _ = of.read(b'[{"x":1,"shop":"a","id":2},{"x":1,"shop":"a"}]')
    assert [of.key(row) for row in rows] == ["a|2", None]


def test_a_key_that_is_a_feature_stays_one() -> None:
    of = reader(x="Float64", keys=("x",))
    assert of.keys == ()
    assert values(of, '{"x":1}') == [(1.0,)]


def test_rows_that_were_decoded_elsewhere_are_checked_in_the_same_way() -> None:
    of = reader()
    assert [of.values(row) for row in of.read_values([{"x": 1}, {"x": 2.5}])] == [(1.0,), (2.5,)]
    with pytest.raises(RowsRefusedError, match="row 1"):
        of.read_values([{"x": 1}, {"x": "1"}])
