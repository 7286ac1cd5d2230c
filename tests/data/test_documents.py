"""Reading documents: which columns are taken, what is left out and counted."""

import gzip
import json

import pytest

from tenor.data.documents import Documents, digest
from tenor.data.self_pairs import documents_of
from tenor.errors import ConfigError, DataError


def write(folder, rows, name="documents.jsonl"):
    path = folder / name
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


@pytest.mark.parametrize(
    ("how", "columns", "roles"),
    [
        ("cloze", ["title", "body", "text"], {"text": "text"}),
        ("title", ["title", "text", "body"], {"title": "title", "text": "body"}),
        ("title", ["subject", "content"], {"title": "subject", "text": "content"}),
        ("title", ["id", "text"], {"text": "text"}),
        ("summary", ["abstract", "document"], {"summary": "abstract", "text": "document"}),
    ],
)
def test_columns_are_found_by_their_usual_names(tmp_path, how, columns, roles):
    path = write(tmp_path, [{name: f"a text in {name}" for name in columns}])
    documents = documents_of(path, how)
    (found,) = documents
    assert documents.roles == roles
    assert found.text == f"a text in {roles['text']}"
    head = roles.get(how)
    assert found.head == (head and f"a text in {head}")
    assert found.line == 1


def test_columns_can_be_named(tmp_path):
    path = write(tmp_path, [{"h": "Foxes", "title": "3", "b": "They hunt."}])
    (found,) = documents_of(path, "title", columns={"title": "h", "text": "b"})
    assert (found.head, found.text) == ("Foxes", "They hunt.")
    with pytest.raises(ConfigError, match=r"roles text and title, not anchor"):
        documents_of(path, "title", columns={"anchor": "h"})
    with pytest.raises(DataError, match="column 'nowhere'"):
        list(documents_of(path, "title", columns={"title": "nowhere", "text": "b"}))


def test_what_is_missing_is_said_with_what_was_looked_for(tmp_path):
    path = write(tmp_path, [{"text": "They hunt.", "head": "Foxes"}])
    said = r"no column summary, abstract or highlights; found: 'text', 'head'.*--columns\.summary"
    with pytest.raises(DataError, match=said):
        list(documents_of(path, "summary"))
    path = write(tmp_path, [{"words": "They hunt."}])
    with pytest.raises(DataError, match=r"no column text, body.*found: 'words'.*--columns\.text"):
        list(documents_of(path, "crop"))


def test_empty_and_repeated_documents_are_left_out_and_counted(tmp_path):
    rows = [
        {"title": "Foxes", "text": "They hunt."},
        {"title": "", "text": "No title."},
        {"title": "Owls", "text": None},
        {"title": "FOXES", "text": "They  hunt."},
        {"title": "Voles", "text": "They hunt."},
    ]
    documents = documents_of(write(tmp_path, rows), "title")
    for _ in range(2):  # every reading begins anew
        assert [found.line for found in documents] == [1, 5]
        assert documents.notes == {"documents": 2, "empty": 2, "repeated": 1, "bad_rows": 0}
    assert len(documents.sha256) == 64


def test_bad_rows_stop_the_reading_or_are_counted(tmp_path):
    path = write(tmp_path, [{"text": "Foxes."}, {"text": 3}, {"text": "Owls."}])
    with pytest.raises(DataError, match=r"documents\.jsonl:2, column 'text': 3 is not a text"):
        list(Documents(path))
    documents = Documents(path, on_bad_row="skip")
    assert [found.text for found in documents] == ["Foxes.", "Owls."]
    assert documents.notes["bad_rows"] == 1


def test_a_file_without_a_document_is_refused(tmp_path):
    with pytest.raises(DataError, match="every document of it is empty"):
        list(Documents(write(tmp_path, [{"text": " "}])))
    with pytest.raises(DataError, match="no such file"):
        list(Documents(str(tmp_path / "no.txt")))


def test_a_text_file_holds_a_document_a_line(tmp_path):
    path = tmp_path / "texts.txt.gz"
    with gzip.open(path, "wt") as file:
        file.write("One document.\n\nAnother one.\n")
    found = list(Documents(str(path)))
    assert [(one.line, one.text) for one in found] == [(1, "One document."), (3, "Another one.")]


def test_a_digest_is_of_what_counts_as_the_same_text():
    assert digest("A  cat") == digest("a CAT ") != digest("a cat.")
