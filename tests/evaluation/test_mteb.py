"""MTEB's tasks, offline: the same scores as sentence-transformers' model gets from the same mteb.

In an environment without the extra `mteb`, which `scripts/test` installs, this file is skipped.
"""

import json

import numpy as np
import pytest

from mteb_tasks import write_retrieval, write_tasks
from tenor.errors import ConfigError, DataError, ModelError
from tenor.evaluation.local_tasks import find_local_task
from tenor.evaluation.mteb import evaluate_mteb
from tenor.evaluation.mteb_data import local_mteb_task
from tenor.evaluation.mteb_models import MtebCrossEncoder, MtebEmbedder
from tenor.evaluation.mteb_search import MtebSearcher
from tenor.evaluation.mteb_tasks import chosen_tasks
from tenor.models.cross_encoder import CrossEncoder
from tenor.models.embedder import Embedder
from tenor.models.static import StaticEmbedder
from tiny import WIDTH, tiny_encoder, tiny_hf_tokenizer, tiny_tokenizer
from tiny_pairs import tiny_cross_encoder

mteb = pytest.importorskip("mteb", reason="needs the extra `mteb`")
# What mteb and sentence-transformers say about each other.
pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::FutureWarning", "ignore:SentenceTransformers that use"
)

TASKS = ("sts", "same", "topics", "help")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_tasks(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """An embedder on disk whose prompts differ by side and by type of task."""
    folder = tmp_path_factory.mktemp("models") / "tiny"
    model = Embedder(
        tiny_encoder(dropout=0.0),
        tiny_tokenizer(),
        prompts={"query": "near ", "document": "far ", "STS": "red ", "Classification": "blue "},
    )
    model.save(folder, card="A tiny model.")
    return str(folder)


@pytest.fixture
def model(folder):
    return Embedder.load(folder, dtype="fp32", device="cpu")


def theirs(model, data, name):
    """All scores of a split that mteb gives a model on a local task."""
    task = local_mteb_task(find_local_task(data / name))
    result = mteb.evaluate(model, task, cache=None, show_progress_bar=False, co2_tracker=False)
    return result.task_results[0].scores["test"][0]


@pytest.mark.parametrize("name", TASKS)
def test_same_scores_as_sentence_transformers_through_mteb(folder, model, data, name):
    from sentence_transformers import SentenceTransformer

    expected = theirs(SentenceTransformer(folder, device="cpu"), data, name)
    found = theirs(MtebEmbedder(model), data, name)
    numbers = {key: value for key, value in expected.items() if isinstance(value, float)}
    assert len(numbers) >= 8
    for key, value in numbers.items():
        assert found[key] == pytest.approx(value, abs=1e-4, nan_ok=True), key


def test_a_static_embedder_scores_as_in_sentence_transformers(tmp_path, data):
    from sentence_transformers import SentenceTransformer

    table = np.random.default_rng(0).normal(size=(len(tiny_hf_tokenizer()), WIDTH))
    raw = tiny_hf_tokenizer().backend_tokenizer
    StaticEmbedder(table.astype(np.float32), raw).save(tmp_path / "static", card="Static.")
    ours = MtebEmbedder(Embedder.load(tmp_path / "static"))
    expected = theirs(SentenceTransformer(str(tmp_path / "static"), device="cpu"), data, "sts")
    found = theirs(ours, data, "sts")
    assert found["cosine_spearman"] == pytest.approx(expected["cosine_spearman"], abs=1e-4)


def test_each_distinct_text_of_a_task_is_encoded_once(model, data, monkeypatch):
    encoded = []
    plain = model.encode_counted

    def counted(texts, **options):
        encoded.extend(texts)
        return plain(texts, **options)

    monkeypatch.setattr(model, "encode_counted", counted)
    theirs(MtebEmbedder(model), data, "sts")
    assert len(encoded) == len(set(encoded)) > 0


def test_prompts_by_task_side_and_type(model):
    wrapped = MtebEmbedder(model)
    query, document = mteb.types.PromptType.query, mteb.types.PromptType.document
    retrieval, sts = mteb.get_task("NFCorpus").metadata, mteb.get_task("STS12").metadata
    assert wrapped.prompt_for(retrieval, query) == "near "
    assert wrapped.prompt_for(retrieval, document) == "far "
    assert wrapped.prompt_for(sts) == "red "
    model.prompts["NFCorpus-query"] = "find "
    assert wrapped.prompt_for(retrieval, query) == "find "
    model.prompts = {"passage": "read "}
    assert wrapped.prompt_for(retrieval, document) == "read "
    assert wrapped.prompt_for(retrieval, query) is None


def test_the_revision_tells_weights_and_settings_apart(folder, model):
    first = MtebEmbedder(model).mteb_model_meta
    assert first.name == "local/tiny"
    again = Embedder.load(folder, dtype="fp32", device="cpu")
    assert MtebEmbedder(again).mteb_model_meta.revision == first.revision
    assert first.embed_dim == WIDTH and first.n_parameters > first.n_embedding_parameters > 0
    found = {first.revision}
    again.prompts["query"] = "another "
    found.add(MtebEmbedder(again).mteb_model_meta.revision)
    shorter = Embedder.load(folder, dtype="fp32", device="cpu", truncate_dim=8)
    found.add(MtebEmbedder(shorter).mteb_model_meta.revision)
    coarser = Embedder.load(folder, dtype="bf16", device="cpu")
    found.add(MtebEmbedder(coarser).mteb_model_meta.revision)
    next(model.parameters()).data.add_(1e-3)  # trained in memory, its files as they were
    found.add(MtebEmbedder(model).mteb_model_meta.revision)
    assert len(found) == 5


def test_results_are_stored_in_mtebs_format_and_taken_again(model, data, tmp_path, monkeypatch):
    first = evaluate_mteb(model, ["sts", "topics"], data=data, out=tmp_path / "out")
    assert [row["reused"] for row in first["tasks"]] == [False, False]
    assert first["mean"] == pytest.approx(np.mean([row["score"] for row in first["tasks"]]))
    stored = mteb.ResultCache(tmp_path / "out").load_task_result(
        "sts", first["model"]["name"], first["model"]["revision"]
    )
    assert stored.get_score() == pytest.approx(first["tasks"][0]["score"], abs=1e-6)
    files = sorted(path.name for path in (tmp_path / "out").rglob("*") if path.is_file())
    assert files == ["model_meta.json", "run_settings.jsonl", "sts.json", "topics.json"]
    settings = (tmp_path / "out").rglob("run_settings.jsonl")
    assert len(next(settings).read_text().splitlines()) == 2

    monkeypatch.setattr(model, "encode_counted", None)  # nothing may be encoded again
    second = evaluate_mteb(model, ["sts", "topics"], data=data, out=tmp_path / "out")
    assert [row["reused"] for row in second["tasks"]] == [True, True]
    for one, other in zip(first["tasks"], second["tasks"], strict=True):
        assert one["score"] == pytest.approx(other["score"], abs=1e-6)
    json.dumps(second)


def test_results_of_other_data_or_broken_ones_are_made_anew(model, tmp_path):
    data = write_tasks(tmp_path / "data")
    first = evaluate_mteb(model, ["sts"], data=data, out=tmp_path / "out")
    file = data / "sts" / "test.csv"
    file.write_text(file.read_text().replace("the", "a"))
    second = evaluate_mteb(model, ["sts"], data=data, out=tmp_path / "out")
    assert not second["tasks"][0]["reused"]
    assert first["tasks"][0]["dataset_revision"] != second["tasks"][0]["dataset_revision"]
    [stored] = (tmp_path / "out").rglob("sts.json")
    stored.write_text(stored.read_text()[:100])
    third = evaluate_mteb(model, ["sts"], data=data, out=tmp_path / "out")
    assert third["tasks"][0]["score"] == pytest.approx(second["tasks"][0]["score"], abs=1e-6)
    assert not third["tasks"][0]["reused"]


def test_under_a_revision_of_ones_own_only_results_of_the_same_model_are_taken_again(
    folder, model, data, tmp_path
):
    def measured(one, *tasks, **options):
        settings = {"data": data, "out": tmp_path / "out", "name": "me/tiny", "revision": "abc"}
        found = evaluate_mteb(one, tasks, **settings, **options)
        return [row["reused"] for row in found["tasks"]]

    assert measured(model, "sts", "topics") == [False, False]
    again = Embedder.load(folder, dtype="fp32", device="cpu")
    assert measured(again, "sts", "topics") == [True, True]
    coarser = Embedder.load(folder, dtype="bf16", device="cpu")
    assert measured(coarser, "sts") == [False]
    assert measured(model, "topics", "sts") == [True, False]  # whose each is, is noted by task
    next(again.parameters()).data.add_(1e-3)  # trained again into the same folder
    assert measured(again, "topics") == [False]

    scorer = tiny_cross_encoder()
    assert measured(model, "help", rerank=scorer, candidates=5) == [False]
    assert measured(model, "help", rerank=scorer, candidates=5) == [True]
    assert measured(again, "help", rerank=scorer, candidates=5) == [False]

    found = mteb.ResultCache(tmp_path / "out").load_results(validate_and_filter=False)
    tasks = {(one.model_name, each.task_name) for one in found for each in one.task_results}
    assert ("me/tiny", "sts") in tasks and ("me/tiny", "topics") in tasks
    for notes in (tmp_path / "out").rglob("made_by.jsonl"):
        notes.write_text("nothing to read")
    assert measured(again, "topics") == [False]


def test_no_task_named_means_all_local_ones_that_mteb_has(model, tmp_path):
    data = write_tasks(tmp_path / "data")
    (data / "tags").mkdir()
    (data / "tags" / "test.csv").write_text("tokens,ner_tags\na,O\n")
    found = evaluate_mteb(model, data=data)
    assert {row["task"]: row["type"] for row in found["tasks"]} == {
        "help": "Retrieval", "same": "PairClassification", "sts": "STS",
        "topics": "Classification",
    }  # fmt: skip


def test_a_cross_encoder_reranks_candidates(tmp_path):
    write_retrieval(tmp_path / "help", candidates=10)
    scorer = tiny_cross_encoder()
    found = evaluate_mteb(scorer, ["help"], data=tmp_path / "help")
    assert found["tasks"][0]["type"] == "Reranking"
    task = local_mteb_task(find_local_task(tmp_path / "help"))
    best = 0.0
    split = task.dataset["default"]["test"]
    texts = dict(zip(split["corpus"]["id"], split["corpus"]["text"], strict=True))
    for number, query in enumerate(split["queries"]["text"]):
        scores = scorer.score([(query, texts[f"d{place}"]) for place in range(10)])
        rank = int((scores > scores[number]).sum())
        best += 1 / np.log2(rank + 2) if rank < 10 else 0.0
    assert found["tasks"][0]["score"] == pytest.approx(best / 8, abs=1e-5)


def test_a_searcher_orders_the_first_documents_anew_and_keeps_the_others(model, data):
    class Backwards(CrossEncoder):
        """Likes long texts."""

        def __init__(self):
            self.name, self.classes = "long", 1

        classes = 1

        def score_counted(self, pairs, **_):
            return np.array([float(len(right)) for _, right in pairs], dtype=np.float32), 0

    reranker = MtebCrossEncoder.__new__(MtebCrossEncoder)
    reranker.model, reranker.truncated = Backwards.__new__(Backwards), 0
    reranker._meta = MtebEmbedder(model).mteb_model_meta
    searcher = MtebSearcher(MtebEmbedder(model), reranker, candidates=5)
    assert isinstance(searcher, mteb.SearchProtocol)
    task = local_mteb_task(find_local_task(data / "help"))
    split = task.dataset["default"]["test"]
    options = {
        "task_metadata": task.metadata, "hf_split": "test", "hf_subset": "default",
        "encode_kwargs": {"show_progress_bar": False}, "num_proc": None,
    }  # fmt: skip
    plain = mteb.models.SearchEncoderWrapper(MtebEmbedder(model))
    orders = []
    for one in (plain, searcher):
        one.index(split["corpus"], **options)
        scores = one.search(split["queries"], top_k=20, **options)["q0"]
        orders.append(sorted(scores, key=lambda document: -scores[document]))
    first, anew = orders
    texts = dict(zip(split["corpus"]["id"], split["corpus"]["text"], strict=True))
    assert set(anew[:5]) == set(first[:5]) and anew[5:] == first[5:]
    lengths = [len(texts[document]) for document in anew[:5]]
    assert lengths == sorted(lengths, reverse=True)


def test_the_models_are_what_mteb_asks_for(model):
    assert isinstance(MtebEmbedder(model), mteb.EncoderProtocol)
    assert not isinstance(MtebEmbedder(model), mteb.CrossEncoderProtocol)
    assert isinstance(MtebCrossEncoder(tiny_cross_encoder()), mteb.CrossEncoderProtocol)


def test_the_models_own_similarity_counts(model):
    wrapped = MtebEmbedder(model)
    left, right = np.eye(3, dtype=np.float32), 2 * np.eye(3, dtype=np.float32)
    model.similarity_name = "dot"
    assert wrapped.similarity(left, right).tolist() == (2 * np.eye(3)).tolist()
    assert wrapped.similarity_pairwise(left, right).tolist() == [2.0, 2.0, 2.0]
    model.similarity_name = "euclidean"
    assert wrapped.similarity_pairwise(left, right).tolist() == [-1.0, -1.0, -1.0]


def test_a_task_of_the_hub_without_network_says_what_to_do(model):
    with pytest.raises(DataError, match=r"(?s)STSBenchmark needs .*stsbenchmark-sts.*--data"):
        evaluate_mteb(model, ["STSBenchmark"])


def test_a_task_that_cannot_be_had_leaves_the_others(model, data):
    found = evaluate_mteb(model, ["STSBenchmark", "sts"], data=data)
    assert [row["task"] for row in found["tasks"]] == ["sts"]
    [failed] = found["failed"]
    assert failed["task"] == "STSBenchmark" and "cannot be reached" in failed["error"]
    with pytest.raises(DataError, match="STS12 needs"):
        evaluate_mteb(model, ["STSBenchmark", "STS12"])


def test_an_unknown_task_is_named_with_a_near_one(model, data):
    with pytest.raises(ConfigError, match="STSBenchmark"):
        evaluate_mteb(model, ["STSBenchmrk"], data=data)
    with pytest.raises(ConfigError, match="at least one task"):
        evaluate_mteb(model)


def test_what_a_model_cannot_do_is_refused_before_any_work(model, data):
    with pytest.raises(ConfigError, match="re-ranking"):
        evaluate_mteb(tiny_cross_encoder(), ["sts"], data=data)
    with pytest.raises(ConfigError, match="rerank"):
        evaluate_mteb(model, ["sts"], data=data, rerank=tiny_cross_encoder())
    with pytest.raises(ModelError, match="single score"):
        MtebCrossEncoder(tiny_cross_encoder(classes=3))
    with pytest.raises(ConfigError, match="precision"):
        MtebEmbedder(model).encode(
            [], task_metadata=None, hf_split="", hf_subset="", precision="int8"
        )


def test_a_label_that_only_the_test_file_has_is_named(tmp_path, model):
    data = write_tasks(tmp_path / "data")
    file = data / "topics" / "test.csv"
    file.write_text(file.read_text() + "a cat,unheard\n")
    with pytest.raises(DataError, match="unheard"):
        evaluate_mteb(model, ["topics"], data=data)


def test_a_query_of_the_corpus_does_not_find_itself(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    write_retrieval(tmp_path)
    task = local_mteb_task(find_local_task(tmp_path))
    assert task.ignore_identical_ids is False
    queries = {"id": ["d0", "d1"], "text": ["a cat", "a dog"]}
    pq.write_table(pa.table(queries), tmp_path / "queries.parquet")
    qrels = {"query_id": ["d0", "d1"], "doc_id": ["d1", "d0"], "score": [1, 1]}
    pq.write_table(pa.table(qrels), tmp_path / "qrels.parquet")
    assert local_mteb_task(find_local_task(tmp_path)).ignore_identical_ids is True


def test_reading_labels_once_changes_no_figure(model, data):
    [quick] = chosen_tasks([], data / "topics", "eng-Latn")
    assert "_calculate_scores" in vars(quick) and "_undersample_data" in vars(quick)
    ours = mteb.evaluate(
        MtebEmbedder(model), quick, cache=None, show_progress_bar=False, co2_tracker=False
    )
    assert ours.task_results[0].scores["test"][0] == theirs(MtebEmbedder(model), data, "topics")


def test_tasks_without_labels_stay_as_they_are(data):
    [sts] = chosen_tasks([], data / "sts", "eng-Latn")
    assert "_calculate_scores" not in vars(sts)
