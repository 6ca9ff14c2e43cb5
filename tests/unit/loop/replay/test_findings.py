"""Findings as the document that programs read."""

import json
import math

import msgspec
from findings_samples import build_findings

from bucle.loop.replay.findings import Findings, as_document


def test_the_document_is_json_without_infinities_and_reads_back() -> None:
    found = build_findings()
    pair = msgspec.structs.replace(found.comparisons[0], low=-math.inf, high=math.inf, money=3.0)
    odd = msgspec.structs.replace(found, comparisons=(pair, *found.comparisons[1:]))
    document = as_document(odd)
    text = json.dumps(document, allow_nan=False)
    first = json.loads(text)["comparisons"][0]
    assert (first["low"], first["high"], first["money"]) == (None, None, 3.0)
    assert msgspec.convert(as_document(found), Findings) == found


def test_the_span_is_called_from_and_to() -> None:
    found = build_findings()
    document = as_document(found)
    assert (document["from"], document["to"]) == (found.start, found.end)
    assert not {"start", "end"} & set(document)


def test_a_figure_that_is_no_number_is_null() -> None:
    found = msgspec.structs.replace(build_findings(), baselines={"median": math.nan, "last": 2.0})
    assert as_document(found)["baselines"] == {"median": None, "last": 2.0}
