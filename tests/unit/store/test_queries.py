"""Queries are found by name, one statement each."""

import sqlite3

from bucle.store.queries import load_queries


def test_every_query_is_one_complete_statement() -> None:
    for name, query in load_queries("log").items():
        assert sqlite3.complete_statement(query), name
        assert query.count(";") == 1, name
        assert "--" not in query, name
