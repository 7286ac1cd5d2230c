"""A search index: built, asked, changed, and never left half done."""

import json

import numpy as np
import pytest

from tenor.errors import ConfigError, DataError, MissingExtraError, ModelError
from tenor.models.embedder import Embedder
from tenor.search import generation
from tenor.search.corpus import Corpus
from tenor.search.index import SearchIndex
from tiny import WIDTH, random_texts, tiny_encoder, tiny_model, tiny_tokenizer, write_csv

TEXTS = list(dict.fromkeys(random_texts(80, seed=5, words=(3, 9))))[:50]
DOCUMENTS = [
    {"id": f"d{i}", "text": text, "lang": "en" if i % 2 else "de", "n": i}
    for i, text in enumerate(TEXTS)
]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return Embedder.load(tiny_model(tmp_path_factory.mktemp("m") / "model"), dtype="fp32")


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    path = tiny_model(tmp_path_factory.mktemp("o") / "model", seed=1)
    return Embedder.load(path, dtype="fp32")


@pytest.fixture
def index(tmp_path, model):
    return SearchIndex.build(tmp_path / "index", model, DOCUMENTS)


def ids(hits):
    return [hit.id for hit in hits]


def everything(index):
    """What a search over all documents says, but for the last digits of its scores."""
    return [
        [(hit.id, hit.text, hit.metadata, round(hit.score, 5)) for hit in hits]
        for hits in index.search(TEXTS[:3], len(index))
    ]


# Search.


def test_hits_are_those_of_the_vectors_best_first(index, model):
    vectors, query = model.encode(TEXTS), model.encode("a red fish")
    expected = np.argsort(-(vectors @ query), kind="stable")[:5]
    [hits] = index.search("a red fish", 5)
    assert ids(hits) == [f"d{row}" for row in expected]
    assert [hit.rank for hit in hits] == [1, 2, 3, 4, 5]
    for hit, row in zip(hits, expected, strict=True):
        assert hit.text == TEXTS[row]
        assert hit.metadata == {"lang": "en" if row % 2 else "de", "n": row}
        assert hit.score == pytest.approx(vectors[row] @ query, abs=1e-5)
        assert hit.scores == {"similarity": hit.score}


def test_several_queries_are_answered_each(index):
    found = index.search(TEXTS[:4], 3)
    assert [hits[0].id for hits in found] == ["d0", "d1", "d2", "d3"]
    assert index.search([], 3) == []


def test_more_hits_than_documents_gives_all(index):
    assert len(index.search("cat", 1000)[0]) == len(TEXTS)


def test_a_filter_leaves_the_order_of_the_rest(index):
    [hits] = index.search(TEXTS[0], len(TEXTS))
    [found] = index.search(TEXTS[0], 10, where={"lang": "en"})
    assert ids(found) == [hit.id for hit in hits if hit.metadata["lang"] == "en"][:10]
    assert index.search(TEXTS[0], 10, where={"lang": "fr"}) == [[]]
    assert ids(index.search(TEXTS[0], 10, where={"n": [4, 7], "lang": "en"})[0]) == ["d7"]


def test_an_index_loaded_again_answers_the_same(index):
    again = SearchIndex.load(index.folder, dtype="fp32")
    assert len(again) == len(TEXTS)
    assert everything(again) == everything(index)
    assert again.metadata_columns == ["lang", "n"]


def test_half_precision_halves_the_vectors_and_finds_the_same(tmp_path, model, index):
    half = SearchIndex.build(tmp_path / "half", model, DOCUMENTS, vector_dtype="float16")
    assert ids(half.search(TEXTS[3], 5)[0]) == ids(index.search(TEXTS[3], 5)[0])
    sizes = [next(i.folder.glob("*/vectors.npy")).stat().st_size for i in (half, index)]
    assert sizes[0] < 0.6 * sizes[1]


def test_dot_products_do_not_normalise(tmp_path):
    model = Embedder(tiny_encoder(), tiny_tokenizer(), similarity="dot")
    model.save(tmp_path / "model", card="tiny")
    model = Embedder.load(tmp_path / "model", dtype="fp32")
    index = SearchIndex.build(tmp_path / "index", model, DOCUMENTS)
    scores = model.encode(TEXTS) @ model.encode("red fish")
    [hits] = index.search("red fish", 3)
    assert [hit.score for hit in hits] == pytest.approx(np.sort(scores)[::-1][:3], rel=1e-4)
    cosine = SearchIndex.build(tmp_path / "cosine", model, DOCUMENTS, similarity="cosine")
    assert cosine.search(TEXTS[0], 1)[0][0].score == pytest.approx(1.0, abs=1e-5)


def test_a_models_prompts_are_put_before_queries_and_documents(tmp_path):
    prompts = {"query": "one ", "document": "two "}
    Embedder(tiny_encoder(), tiny_tokenizer(), prompts=prompts).save(tmp_path / "m", card="tiny")
    model = Embedder.load(tmp_path / "m", dtype="fp32")
    index = SearchIndex.build(tmp_path / "index", model, DOCUMENTS)
    assert index.description.prompts == prompts
    left, right = model.encode("one cat"), model.encode([f"two {text}" for text in TEXTS])
    best = model.similarity(left, right)[0]
    [hits] = SearchIndex.load(index.folder, dtype="fp32").search("cat", 1)
    assert hits[0].id == f"d{best.argmax()}"
    assert hits[0].score == pytest.approx(best.max(), abs=1e-5)


def test_hybrid_search_fuses_both_rankings(tmp_path, model):
    pytest.importorskip("bm25s")
    documents = [*DOCUMENTS, {"id": "rare", "text": "zanzibar", "lang": "en", "n": 99}]
    index = SearchIndex.build(tmp_path / "index", model, documents, lexical=True)
    [hits] = index.search("zanzibar cat", 60, hybrid=True)
    by_id = {hit.id: hit for hit in hits}
    similar = ids(index.search("zanzibar cat", 60)[0])
    words = sorted(
        (hit for hit in hits if "bm25" in hit.scores), key=lambda hit: -hit.scores["bm25"]
    )
    assert words[0].id == "rare"
    rank = {hit.id: 1 + place for place, hit in enumerate(words)}
    for name, hit in by_id.items():
        gains = 1 / (61 + similar.index(name)) + (1 / (60 + rank[name]) if name in rank else 0)
        assert hit.score == hit.scores["fused"] == pytest.approx(gains)
    [filtered] = index.search("zanzibar cat", 60, hybrid=True, where={"lang": "de"})
    assert "rare" not in ids(filtered) and filtered


def test_a_reranker_orders_the_candidates_and_no_others(index):
    class Shortest:
        def score(self, pairs):
            assert {query for query, _ in pairs} == {TEXTS[0]}
            return [-len(text) for _, text in pairs]

    candidates = index.search(TEXTS[0], 10)[0]
    [hits] = index.search(TEXTS[0], 3, rerank=Shortest(), candidates=10)
    expected = sorted(candidates, key=lambda hit: len(hit.text))[:3]
    assert ids(hits) == ids(expected)
    assert hits[0].score == hits[0].scores["reranked"] == -len(hits[0].text)
    assert hits[0].scores["similarity"] == expected[0].score
    assert index.search(TEXTS[0], 3, rerank=Shortest(), where={"lang": "fr"}) == [[]]


def test_an_approximate_index_finds_the_same_and_survives_changes(tmp_path, model, index):
    pytest.importorskip("usearch")
    quick = SearchIndex.build(tmp_path / "quick", model, DOCUMENTS, approximate=True)
    assert everything(quick) == everything(index)
    for each in (quick, index):
        each.delete(["d3", "d4"])
        each.add([{"id": "d9", "text": "the moon burns", "lang": "en", "n": 9}])
    assert everything(quick) == everything(index)
    assert [hits[0].id for hits in quick.search(["the moon burns", TEXTS[20]], 1)] == ["d9", "d20"]
    assert ids(quick.search(TEXTS[0], 5, where={"n": 7})[0]) == ["d7"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"k": 0}, "k = 0"),
        ({"candidates": 0}, "candidates = 0"),
        ({"where": {"city": "Rome"}}, "a metadata column"),
        ({"hybrid": True}, "built without BM25"),
    ],
    ids=["k", "candidates", "where", "hybrid"],
)
def test_a_search_that_is_not_possible_says_why(index, options, said):
    with pytest.raises(ConfigError, match=said):
        index.search("cat", **options)
    with pytest.raises(ConfigError, match="not blank"):
        index.search(["cat", "  "])


# Reading documents.


def test_a_file_is_indexed_with_its_ids_and_columns(tmp_path, model):
    path = write_csv(tmp_path / "c.csv", {"key": [3, 1], "body": TEXTS[:2], "text": ["x", "y"]})
    corpus = Corpus(source=path, column="body", id_column="key")
    index = SearchIndex.build(tmp_path / "index", model, corpus)
    [hits] = index.search(TEXTS[1], 1)
    assert (hits[0].id, hits[0].metadata) == ("1", {"text": "y"})
    bare = Corpus(source=path, column="body", id_column="key", metadata_columns=[])
    assert SearchIndex.build(tmp_path / "bare", model, bare).metadata_columns == []


def test_documents_without_ids_are_numbered_and_numbered_on(tmp_path, model):
    (tmp_path / "a.txt").write_text("red cat\nblue dog\n")
    (tmp_path / "b.txt").write_text("old tree\n")
    index = SearchIndex.build(tmp_path / "index", model, tmp_path / "a.txt")
    index.delete(["2"])
    index.add(tmp_path / "b.txt")
    assert sorted(ids(index.search("tree", 9)[0])) == ["1", "3"]
    index.add([{"id": "5", "text": "a stone"}])
    with pytest.raises(DataError, match="the number 5 is the id of another document"):
        index.add(tmp_path / "b.txt")


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("a,red cat\nb,blue dog\na,old tree", r"c.csv:4.*'a' stands in line 2 already"),
        ("a,red cat\nb, \n", "c.csv:3, column 'text': the text is empty"),
        ("a,red cat\n ,blue dog\n", "c.csv:3, column 'id': ' ' is no id"),
        ("", "holds no rows"),
    ],
    ids=["id twice", "empty text", "empty id", "no rows"],
)
def test_a_bad_corpus_is_refused_by_line_and_leaves_nothing(tmp_path, model, rows, said):
    (tmp_path / "c.csv").write_text("id,text\n" + rows)
    with pytest.raises(DataError, match=said):
        SearchIndex.build(tmp_path / "index", model, tmp_path / "c.csv")
    assert not (tmp_path / "index").exists()


def test_bad_rows_can_be_skipped_and_are_counted(tmp_path, model):
    (tmp_path / "c.csv").write_text("id,text\na,red cat\nb,\nc,old,tree\nd,moon\n")
    corpus = Corpus(source=tmp_path / "c.csv", on_bad_row="skip")
    index = SearchIndex.build(tmp_path / "index", model, corpus)
    assert (len(index), index.change.skipped) == (2, 2)


def test_truncated_documents_are_counted(tmp_path, model):
    documents = [{"id": "long", "text": "cat " * 100}, {"id": "short", "text": "cat"}]
    index = SearchIndex.build(tmp_path / "index", model, documents)
    assert index.change.truncated == 1


# Changes.


def test_added_documents_are_found_and_replace_those_of_their_id(index):
    change = index.add(
        [
            {"id": "d7", "text": "snow falls down", "lang": "fr"},
            {"id": "new", "text": "wind and rain", "lang": "fr", "extra": 1.5},
        ]
    )
    assert (change.added, change.replaced, change.documents) == (1, 1, len(TEXTS) + 1)
    [hits] = index.search("snow falls down", 60)
    assert hits[0].id == "d7" and hits[0].metadata == {"lang": "fr", "n": None, "extra": None}
    assert TEXTS[7] not in [hit.text for hit in hits]
    assert ids(index.search("wind", 9, where={"extra": 1.5})[0]) == ["new"]
    assert len(ids(hits)) == len(set(ids(hits))) == len(index)


def test_what_was_not_touched_keeps_its_vector(index):
    before = {hit.id: hit.score for hit in index.search("red fish", 60)[0]}
    index.add([{"id": "d1", "text": "wind"}])
    index.delete(["d2"])
    after = {hit.id: hit.score for hit in index.search("red fish", 60)[0]}
    assert after.keys() == before.keys() - {"d2"}
    assert all(
        after[name] == pytest.approx(before[name], abs=1e-6) for name in after if name != "d1"
    )


def test_deleted_documents_are_gone_without_loading_a_model(index):
    opened = SearchIndex.load(index.folder)
    assert opened.delete(["d1", "d2"]).deleted == 2
    assert opened._model is None
    assert not {"d1", "d2"} & set(ids(SearchIndex.load(index.folder).search(TEXTS[1], 60)[0]))


def test_an_unknown_id_is_named_and_nothing_deleted(index):
    with pytest.raises(DataError, match=r"no document with the id 'nobody', 'x'; nothing was"):
        index.delete(["d1", "nobody", "x"])
    assert len(SearchIndex.load(index.folder)) == len(TEXTS)
    with pytest.raises(DataError, match="without a document"):
        index.delete([f"d{i}" for i in range(len(TEXTS))])


def test_words_and_graph_can_be_added_without_encoding(index, monkeypatch):
    pytest.importorskip("bm25s")
    pytest.importorskip("usearch")
    expected = everything(index)
    with monkeypatch.context() as patch:
        patch.setattr(Embedder, "encode_blocks", None)
        index.rebuild(approximate=True, lexical=True)
    assert everything(index) == expected
    assert index.search("cat", hybrid=True)[0][0].scores.keys() >= {"fused"}
    index.rebuild(approximate=False, lexical=False)
    assert not index.description.approximate
    assert sorted(p.name for p in next(index.folder.glob("data-*")).iterdir()) == [
        "documents.parquet",
        "keys.npy",
        "vectors.npy",
    ]


def test_one_who_has_it_open_goes_on_with_what_was_opened(index, model):
    reader = SearchIndex.load(index.folder, model)
    before = everything(reader)
    index.delete(["d0", "d1"])
    assert everything(reader) == before
    assert len(SearchIndex.load(index.folder)) == len(TEXTS) - 2
    reader.delete(["d2"])  # on top of what is there now, not of what was opened
    assert len(reader) == len(TEXTS) - 3


@pytest.mark.parametrize("broken", ["VectorWriter", "DocumentWriter", "BM25"])
@pytest.mark.parametrize("what", ["build", "add", "delete"])
def test_a_change_that_fails_leaves_the_old_index_whole(tmp_path, model, monkeypatch, broken, what):
    pytest.importorskip("bm25s")
    index = SearchIndex.build(tmp_path / "index", model, DOCUMENTS, lexical=True)
    expected = everything(index)
    files = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*"))

    def fail(*_, **__):
        raise KeyboardInterrupt

    method = "build" if broken == "BM25" else "close" if broken == "VectorWriter" else "add_table"
    with monkeypatch.context() as patch:
        patch.setattr(getattr(generation, broken), method, fail)
        with pytest.raises(KeyboardInterrupt):
            {
                "build": lambda: SearchIndex.build(
                    tmp_path / "index", model, DOCUMENTS[:5], lexical=True
                ),
                "add": lambda: index.add([{"id": "new", "text": "cat"}]),
                "delete": lambda: index.delete(["d0"]),
            }[what]()
    assert sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*")) == files
    assert everything(SearchIndex.load(index.folder, model)) == expected


def test_a_new_build_takes_the_old_ones_place(index, model):
    SearchIndex.build(index.folder, model, DOCUMENTS[:3])
    assert len(SearchIndex.load(index.folder)) == 3
    assert len(list(index.folder.glob("*data-*"))) == 1


def test_two_changes_at_once_are_refused(index):
    def documents():
        with pytest.raises(DataError, match="another process is changing"):
            SearchIndex.load(index.folder).delete(["d0"])
        yield {"id": "late", "text": "cat"}

    index.add(documents())
    assert len(index) == len(TEXTS) + 1


# What an index refuses.


def test_another_model_is_refused_for_search_and_for_add(index, model, other):
    with pytest.raises(ModelError, match=r"sha256 .* another model"):
        SearchIndex.load(index.folder, other)
    with pytest.raises(ModelError, match="sha256"):
        SearchIndex.load(index.folder, other.name)
    opened = SearchIndex.load(index.folder, model)
    opened._model = other
    with pytest.raises(ModelError, match="sha256"):
        opened.add([{"id": "new", "text": "cat"}])
    assert len(SearchIndex.load(index.folder)) == len(TEXTS)


def test_the_same_model_pooled_or_cut_otherwise_is_refused(index, model):
    cls = Embedder.load(model.name, dtype="fp32", pooling="cls")
    with pytest.raises(ModelError, match="pooling"):
        SearchIndex.load(index.folder, cls)
    short = Embedder.load(model.name, dtype="fp32", truncate_dim=WIDTH // 2)
    with pytest.raises(ModelError, match="dimensions"):
        SearchIndex.load(index.folder, short)
    index = SearchIndex.build(index.folder, short, DOCUMENTS)
    assert SearchIndex.load(index.folder).search(TEXTS[4], 1)[0][0].id == "d4"


def test_a_model_that_changed_on_disk_is_refused(tmp_path):
    path = tiny_model(tmp_path / "model")
    SearchIndex.build(tmp_path / "index", Embedder.load(path), DOCUMENTS[:4])
    tiny_model(tmp_path / "model", seed=2)
    with pytest.raises(ModelError, match="sha256"):
        SearchIndex.load(tmp_path / "index").search("cat")


def test_a_model_that_moved_is_found_by_its_new_name(tmp_path):
    path = tiny_model(tmp_path / "model")
    SearchIndex.build(tmp_path / "index", Embedder.load(path), DOCUMENTS[:4])
    (tmp_path / "model").rename(tmp_path / "moved")
    with pytest.raises(ModelError, match="name its new place"):
        SearchIndex.load(tmp_path / "index").search("cat")
    assert SearchIndex.load(tmp_path / "index", tmp_path / "moved").search(TEXTS[2], 1)


def test_a_model_of_no_folder_cannot_be_known_again(tmp_path):
    with pytest.raises(ModelError, match="save it"):
        SearchIndex.build(tmp_path / "i", Embedder(tiny_encoder(), tiny_tokenizer()), DOCUMENTS)


def test_a_similarity_that_cannot_be_indexed_is_refused(tmp_path):
    Embedder(tiny_encoder(), tiny_tokenizer(), similarity="manhattan").save(tmp_path / "m", card="")
    model = Embedder.load(tmp_path / "m")
    with pytest.raises(ConfigError, match=r"cosine or dot.*manhattan"):
        SearchIndex.build(tmp_path / "i", model, DOCUMENTS)
    assert len(SearchIndex.build(tmp_path / "i", model, DOCUMENTS[:2], similarity="cosine")) == 2


def test_a_folder_of_something_else_is_not_overwritten(tmp_path, model):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(DataError, match="not overwritten"):
        SearchIndex.build(tmp_path, model, DOCUMENTS)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_what_is_no_index_or_a_damaged_one_is_named(tmp_path, index):
    with pytest.raises(DataError, match="holds no index"):
        SearchIndex.load(tmp_path)
    vectors = next(index.folder.glob("*/vectors.npy"))
    np.save(vectors, np.load(vectors)[:-1])
    with pytest.raises(DataError, match="damaged"):
        SearchIndex.load(index.folder)
    vectors.write_bytes(b"")
    with pytest.raises(DataError, match=r"vectors.npy: cannot be read"):
        SearchIndex.load(index.folder)
    described = json.loads((index.folder / "index.json").read_text())
    (index.folder / "index.json").write_text(json.dumps(described | {"format": "tenor index 9"}))
    with pytest.raises(DataError, match="tenor index 9"):
        SearchIndex.load(index.folder)


def test_missing_extras_are_named_before_anything_is_encoded(tmp_path, model, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "bm25s", None)
    monkeypatch.setitem(__import__("sys").modules, "usearch.index", None)
    with pytest.raises(MissingExtraError, match=r"tenor\[bm25\]"):
        SearchIndex.build(tmp_path / "i", model, DOCUMENTS, lexical=True)
    with pytest.raises(MissingExtraError, match=r"tenor\[search\]"):
        SearchIndex.build(tmp_path / "i", model, DOCUMENTS, approximate=True)
    assert not (tmp_path / "i").exists()
