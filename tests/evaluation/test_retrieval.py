from math import log2

import numpy as np
import pytest

from tenor.errors import ConfigError, DataError
from tenor.evaluation.retrieval import Retrieval


class Table:
    """A stub whose text is the vector: "1 0 2" is [1, 0, 2]."""

    def encode(self, texts):
        return np.array([[float(x) for x in text.split()] for text in texts], dtype=np.float32)


def reference(ranking, grades, metric, k):
    """Plain loops over one query: ranked document ids against grades by id."""
    relevant = {document: grade for document, grade in grades.items() if grade > 0}
    top = ranking[:k]
    found = [document for document in top if document in relevant]
    if metric == "accuracy":
        return 1.0 if found else 0.0
    if metric == "precision":
        return len(found) / k
    if metric == "recall":
        return len(found) / len(relevant)
    if metric == "mrr":
        for rank, document in enumerate(top, start=1):
            if document in relevant:
                return 1 / rank
        return 0.0
    if metric == "map":
        total, hits = 0.0, 0
        for rank, document in enumerate(top, start=1):
            if document in relevant:
                hits += 1
                total += hits / rank
        return total / len(relevant)
    gain = sum(relevant.get(d, 0) / log2(rank + 1) for rank, d in enumerate(top, start=1))
    ideal = sorted(relevant.values(), reverse=True)[:k]
    return gain / sum(grade / log2(rank + 1) for rank, grade in enumerate(ideal, start=1))


def graded_set(documents=60, queries=25, seed=0):
    """Grades are negative, zero, fractions; vectors of length 1 or 2, so that ties are exact."""
    generator = np.random.default_rng(seed)

    def text():
        signs = generator.choice([-1, 1], 4)
        vector = (
            signs
            if generator.random() < 0.5
            else signs * np.eye(4, dtype=int)[generator.integers(4)]
        )
        return " ".join(map(str, vector))

    corpus = {f"d{i}": text() for i in range(documents)}
    texts = {f"q{i}": text() for i in range(queries)}
    qrels = {
        query: {
            f"d{document}": float(generator.choice([-1, 0, 0.5, 1, 2, 3]))
            for document in generator.choice(documents, 12, replace=False)
        }
        for query in texts
    }
    return corpus, texts, qrels


def sorted_ids(corpus, query):
    """All the documents by float64 cosine; ties by their order in the corpus."""
    documents = np.array([[float(x) for x in text.split()] for text in corpus.values()])
    vector = np.array([float(x) for x in query.split()])
    cosines = documents @ vector / np.linalg.norm(documents, axis=1) / np.linalg.norm(vector)
    order = sorted(range(len(cosines)), key=lambda i: (-round(cosines[i], 9), i))
    return [list(corpus)[i] for i in order]


METRICS = [
    f"{metric}@{k}"
    for metric in ("ndcg", "mrr", "recall", "map", "accuracy", "precision")
    for k in (1, 3, 10, 100)
]


def test_every_metric_matches_plain_loops_on_graded_tied_rankings():
    corpus, queries, qrels = graded_set()
    result, rankings = Retrieval(corpus, queries, qrels, metrics=METRICS).run(Table())
    assert result.n == len(rankings.query_ids) == len(queries)
    for row, query in enumerate(rankings.query_ids):
        ranking = sorted_ids(corpus, queries[query])
        assert rankings.top[row].tolist() == ranking[:10]
        for name in METRICS:
            metric, k = name.split("@")
            expected = reference(ranking, qrels[query], metric, int(k))
            assert result.per_item[name][row] == pytest.approx(expected, abs=1e-12), name
    for name in METRICS:
        assert result.metrics[name] == pytest.approx(result.per_item[name].mean())
        low, high = result.intervals[name]
        assert low <= result.metrics[name] <= high


CORPUS = {"a": "1 0", "b": "1 1", "c": "0 1", "d": "-1 0"}


def test_queries_without_a_relevant_document_are_left_out_and_counted():
    queries = {"found": "1 0", "none": "1 0", "zero": "1 0", "minus": "1 0", "absent": "1 0"}
    qrels = {
        "found": {"b": 1, "gone": 1},
        "zero": {"a": 0},
        "minus": {"a": -1},
        "absent": {"gone": 2},
        "stranger": {"a": 1},
    }
    result, rankings = Retrieval(CORPUS, queries, qrels).run(Table())
    assert rankings.query_ids == ["found"]
    assert result.n == 1
    assert result.notes["queries_without_relevant"] == 4
    assert result.notes["relevant_not_in_corpus"] == 2
    assert result.notes["judged_queries_not_in_queries"] == 1
    assert result.metrics["mrr@10"] == 0.5
    # The document that is not in the corpus still belongs to what should have been found.
    assert result.metrics["recall@10"] == 0.5
    with pytest.raises(DataError, match="no query has a relevant document"):
        Retrieval(CORPUS, queries, {"found": {"gone": 1}})


def test_a_query_of_the_corpus_does_not_find_itself():
    queries = {"a": "1 0", "c": "0 1"}
    qrels = {"a": {"b": 1}, "c": {"b": 1}}
    result, rankings = Retrieval(CORPUS, queries, qrels).run(Table())
    assert result.metrics["mrr@10"] == 1.0
    assert result.notes["self_hits_dropped"] == 2
    assert rankings.top.tolist() == [["b", "c", "d", ""], ["b", "a", "d", ""]]
    assert rankings.indices[:, 3].tolist() == [-1, -1]
    kept, _ = Retrieval(CORPUS, queries, qrels, drop_self=False).run(Table())
    assert kept.metrics["mrr@10"] == 0.5
    assert "self_hits_dropped" not in kept.notes


def test_self_hits_are_dropped_within_the_depth_too():
    corpus = {f"d{i}": f"{i} 1" for i in range(30)}
    result, rankings = Retrieval(
        corpus, {"d5": "5 1"}, {"d5": {"d6": 1}}, metrics=["recall@1"]
    ).run(Table())
    assert rankings.top.shape == (1, 10)
    assert "d5" not in rankings.top[0]
    assert result.metrics["recall@1"] == 1.0


def test_equal_numbering_is_not_taken_for_equal_texts():
    # Question "a" is answered by answer "a": nothing may be dropped here.
    queries, qrels = {"a": "1 0", "c": "0 1"}, {"a": {"a": 1}, "c": {"c": 1}}
    result = Retrieval(CORPUS, queries, qrels)(Table())
    assert result.metrics["mrr@10"] == 1.0
    assert "self_hits_dropped" not in result.notes
    # Told to drop all the same, a query's judgement of itself is void.
    dropped = Retrieval(CORPUS, queries, {"a": {"a": 3, "b": 1}, "c": {"c": 1}}, drop_self=True)
    result = dropped(Table())
    assert result.metrics["ndcg@10"] == 1.0
    assert result.notes["queries_without_relevant"] == 1


def test_one_query_that_is_no_document_keeps_self_hits():
    queries, qrels = {"a": "1 0", "x": "0 1"}, {"a": {"b": 1}, "x": {"c": 1}}
    assert "self_hits_dropped" not in Retrieval(CORPUS, queries, qrels)(Table()).notes
    explicit = Retrieval(CORPUS, queries, qrels, drop_self=True)(Table())
    assert explicit.notes["self_hits_dropped"] == 1


def test_rankings_tell_the_first_relevant_rank():
    queries, qrels = {"q": "1 0", "r": "1 0"}, {"q": {"c": 1}, "r": {"d": 1}}
    _, rankings = Retrieval(CORPUS, queries, qrels).run(Table())
    assert rankings.first_relevant_rank.tolist() == [3, 4]
    assert rankings.scores[0].tolist() == pytest.approx([1.0, 0.5**0.5, 0.0, -1.0])
    corpus = {f"d{i}": f"{i} 1" for i in range(30)}
    _, rankings = Retrieval(corpus, {"q": "1 0"}, {"q": {"d0": 1}}, metrics=["ndcg@10"]).run(
        Table()
    )
    assert rankings.first_relevant_rank.tolist() == [0]


def test_length_of_a_vector_does_not_matter():
    corpus = {"long": "90 100", "right": "0.01 0"}
    result = Retrieval(corpus, {"q": "7 0"}, {"q": {"right": 1}})(Table())
    assert result.metrics["accuracy@1"] == 1.0


@pytest.mark.parametrize("metric", ["ndcg", "ndcg@0", "NDCG@10", "f1@10", "mrr@x"])
def test_unknown_metrics_are_refused(metric):
    with pytest.raises(ConfigError, match="metrics"):
        Retrieval(CORPUS, {"q": "1 0"}, {"q": {"a": 1}}, metrics=[metric])


@pytest.mark.parametrize(
    ("corpus", "queries", "grade", "message"),
    [
        ({}, {"q": "1 0"}, 1, "corpus are empty"),
        (CORPUS, {}, 1, "queries are empty"),
        ((["a", "a"], ["1 0", "0 1"]), {"q": "1 0"}, 1, "'a' occurs twice in the corpus"),
        ((["a"], ["1 0", "0 1"]), {"q": "1 0"}, 1, "1 ids and 2 texts"),
        (CORPUS, {"q": "1 0"}, float("nan"), "'a' for query 'q' is nan"),
    ],
)
def test_unusable_sets_are_refused(corpus, queries, grade, message):
    with pytest.raises(DataError, match=message):
        Retrieval(corpus, queries, {"q": {"a": grade}})


class Prompted:
    """A stub whose prompts are numbers put before those of the text."""

    def __init__(self, **prompts):
        self.prompts = prompts
        self.asked = []

    def encode(self, texts, *, prompt_name=None):
        self.asked.append(prompt_name)
        prompt = "0 " if prompt_name is None else self.prompts[prompt_name]
        return Table().encode([prompt + text for text in texts])


class PromptedCounting(Prompted):
    def encode_counted(self, texts, **options):
        return self.encode(texts, **options), 1


@pytest.mark.parametrize("kind", [Prompted, PromptedCounting])
@pytest.mark.parametrize(
    ("prompts", "query_prompt", "document_prompt"),
    [
        (["passage", "document", "query"], "query", "document"),
        (["corpus", "passage"], None, "passage"),
        (["query", "corpus"], "query", "corpus"),
        (["sts"], None, None),
    ],
)
def test_each_side_gets_the_prompt_the_model_has_for_it(
    kind, prompts, query_prompt, document_prompt
):
    model = kind(**dict.fromkeys(prompts, "1 "))
    result = Retrieval(CORPUS, {"q": "1 0"}, {"q": {"a": 1}})(model)
    assert model.asked == [query_prompt, document_prompt]
    assert result.notes.get("query_prompt") == query_prompt
    assert result.notes.get("document_prompt") == document_prompt


def test_prompts_that_are_named_replace_the_usual_ones():
    model = Prompted(query="0 ", document="0 ", plus="1 ", minus="-1 ")
    corpus, queries, qrels = {"a": "1 0", "b": "0 1"}, {"q": "0 1"}, {"q": {"b": 1}}

    def ranked(**names):
        result, rankings = Retrieval(corpus, queries, qrels, **names).run(model)
        notes = result.notes["query_prompt"], result.notes["document_prompt"]
        return notes, rankings.scores[0].tolist()

    assert ranked() == (("query", "document"), [1.0, 0.0])
    notes, scores = ranked(query_prompt_name="plus")
    assert notes == ("plus", "document")
    assert scores == pytest.approx([0.5**0.5, 0.0])
    notes, scores = ranked(query_prompt_name="plus", document_prompt_name="minus")
    assert notes == ("plus", "minus")
    assert scores == pytest.approx([0.0, -0.5])
