"""Filters by metadata columns of every kind."""

import datetime

import numpy as np
import pytest

from tenor.errors import ConfigError
from tenor.search.corpus import Documents
from tenor.search.document_store import DocumentStore, DocumentWriter
from tenor.search.filters import matching_documents, parse_where


@pytest.fixture
def store(tmp_path):
    documents = Documents(
        ids=list("abcd"),
        texts=["x"] * 4,
        metadata={
            "lang": ["en", "de", None, "en"],
            "year": [2020, 2021, 2020, None],
            "score": [0.5, 1.0, 2.0, 0.5],
            "open": [True, False, True, None],
            "day": [datetime.date(2020, 1, 1)] * 3 + [datetime.date(2021, 1, 1)],
            "tags": [["a", "b"], [], None, ["b"]],
            "nothing": [None] * 4,
        },
        lines=[1, 2, 3, 4],
    )
    with DocumentWriter(tmp_path / "d", "corpus") as writer:
        writer.add(documents, documents.ids)
    return DocumentStore(tmp_path / "d")


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ({"lang": "en"}, [0, 3]),
        ({"lang": ["en", "de"]}, [0, 1, 3]),
        ({"lang": None}, [2]),
        ({"lang": ["de", None]}, [1, 2]),
        ({"lang": "EN"}, []),
        ({"year": 2020}, [0, 2]),
        ({"year": "2020"}, [0, 2]),
        ({"year": {2020, 2021}}, [0, 1, 2]),
        ({"score": "0.5"}, [0, 3]),
        ({"open": "true"}, [0, 2]),
        ({"open": False}, [1]),
        ({"day": "2020-01-01"}, [0, 1, 2]),
        ({"tags": "b"}, [0, 3]),
        ({"tags": ["a", None]}, [0, 2]),
        ({"lang": "en", "year": 2020}, [0]),
        ({"nothing": None}, [0, 1, 2, 3]),
        ({"lang": []}, []),
        ({}, [0, 1, 2, 3]),
    ],
    ids=str,
)
def test_what_matches(store, where, expected):
    assert np.flatnonzero(matching_documents(store, where)).tolist() == expected


def test_impossible_conditions_say_what_there_is(store):
    with pytest.raises(ConfigError, match=r"'city' .* \(lang, year, score"):
        matching_documents(store, {"city": "Rome"})
    with pytest.raises(ConfigError, match=r"year=soon.*int64"):
        matching_documents(store, {"year": "soon"})


def test_conditions_in_words():
    assert parse_where(["a=1=2", "a=", "b=x"]) == {"a": ["1=2", ""], "b": ["x"]}
    for wrong in ("a", "=1", ""):
        with pytest.raises(ConfigError, match="column=value"):
            parse_where([wrong])
