"""Documents in Parquet: what was written comes back by row, and types widen where they must."""

import numpy as np
import pyarrow as pa
import pytest

from tenor.errors import DataError
from tenor.search.corpus import Documents
from tenor.search.document_store import DocumentStore, DocumentWriter, first_repeated

COUNT = 700  # three row groups


def block(rows, **metadata):
    names = list(rows)
    return Documents(
        ids=[f"d{row}" for row in names],
        texts=[f"text {row}" for row in names],
        metadata=metadata,
        lines=[row + 2 for row in names],
    )


def written(path, *blocks):
    with DocumentWriter(path, "corpus.jsonl") as writer:
        for documents in blocks:
            writer.add(documents, documents.ids)
    return DocumentStore(path)


def test_any_rows_come_back_in_the_order_asked_for(tmp_path):
    store = written(tmp_path / "d", block(range(COUNT), year=list(range(COUNT))))
    rows = np.array([699, 0, 256, 0, 255, 511, 512])
    assert store.documents(rows) == [(f"d{row}", f"text {row}", {"year": row}) for row in rows]
    assert store.take(np.array([3]), texts_only=True).column_names == ["text"]
    assert store.documents(np.array([], dtype=np.int64)) == []
    assert [text for part in store.texts() for text in part] == [f"text {r}" for r in range(COUNT)]


def test_a_column_named_as_ours_is_kept_apart(tmp_path):
    store = written(tmp_path / "d", block(range(2), id=[7, 8], text=["a", "b"]))
    assert store.documents(np.array([1])) == [("d1", "text 1", {"id": 8, "text": "b"})]


@pytest.mark.parametrize(
    ("first", "second", "kind"),
    [([1, 2], [0.5, None], pa.float64()), ([None, None], ["a", "b"], pa.string())],
    ids=["whole to fractional", "missing to text"],
)
def test_a_type_widens_on_the_way(tmp_path, first, second, kind):
    store = written(tmp_path / "d", block(range(2), x=first), block(range(2, 4), x=second))
    assert store.column("x").to_pylist() == first + second
    assert store.column("x").type == kind
    assert not list(tmp_path.glob("*.narrow"))


def test_a_column_that_comes_later_is_missing_before(tmp_path):
    store = written(tmp_path / "d", block(range(2)), block(range(2, 4), x=["a", "b"]))
    assert store.column("x").to_pylist() == [None, None, "a", "b"]


def test_values_that_do_not_go_together_are_named_by_line_and_column(tmp_path):
    with pytest.raises(DataError, match=r"corpus.jsonl:5, column 'x': 'many' does not go with"):
        written(tmp_path / "d", block(range(5), x=[1, 2, 3, "many", 5]))
    with pytest.raises(DataError, match="changes its type"):
        written(tmp_path / "d", block(range(2), x=[1, 2]), block(range(2, 4), x=["a", "b"]))
    with pytest.raises(DataError, match="leave it out of the metadata columns"):
        written(tmp_path / "d", block(range(2), x=[{}, {}]))


def test_the_first_repeated_id_is_found_with_both_its_rows():
    assert first_repeated(pa.chunked_array([["a", "b"], ["c"]])) is None
    assert first_repeated(pa.chunked_array([["a", "b", "c"], ["c", "a"]])) == ("c", 2, 3)
