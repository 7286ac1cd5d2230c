"""Several models on several tasks, each in its process: figures, differences, choices, files."""

import json
from contextlib import contextmanager

import numpy as np
import pyarrow.parquet as pq
import pytest

from mteb_tasks import write_tasks
from tenor.errors import ConfigError, DataError, ModelError, TenorError
from tenor.evaluation.beir import read_beir
from tenor.evaluation.local_tasks import find_local_task
from tenor.models.embedder import Embedder
from tenor.models.static import StaticEmbedder
from tenor.recipes import compare_data, compare_run
from tenor.recipes.classifier import ClassifierConfig, train_classifier
from tenor.recipes.compare import CompareConfig, compare_models
from tenor.recipes.compare_data import find_tasks, read_task, sample_inputs
from tenor.recipes.compare_process import answer_request
from tenor.recipes.compare_tasks import measure_task
from tenor.recipes.report_compare import compare_report
from tiny import WIDTH, tiny_hf_tokenizer, tiny_model
from tiny_labels import tiny_encoder_classifier
from tiny_pairs import tiny_cross_encoder
from tiny_tags import tiny_tagger


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_tasks(tmp_path_factory.mktemp("data"), rows=40)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """An embedder, a static one, a cross-encoder, and a folder whose weights are damaged."""
    folder = tmp_path_factory.mktemp("models")
    tiny_model(folder / "tiny", dropout=0.0)
    table = np.random.default_rng(0).normal(size=(len(tiny_hf_tokenizer()), WIDTH))
    raw = tiny_hf_tokenizer().backend_tokenizer
    StaticEmbedder(table.astype(np.float32), raw).save(folder / "static", card="Static.")
    tiny_cross_encoder().save(folder / "cross", card="Cross.")
    tiny_model(folder / "broken")
    weights = folder / "broken" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:200])
    return folder


@contextmanager
def one_process():
    """Models are measured in this process, which is quicker; gives the requests, in order."""
    asked = []

    def run(_, text, answer):
        asked.append(json.loads(text))
        figures = answer_request(asked[-1], answer.with_suffix(".parquet"))
        answer.write_text(json.dumps(figures))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compare_run, "_run", run)
        yield asked


@pytest.fixture
def in_process():
    with one_process() as asked:
        yield asked


@pytest.fixture(scope="module")
def compared(data, models, tmp_path_factory):
    """One comparison of three models on three tasks, and its folder."""
    out = tmp_path_factory.mktemp("out") / "comparison"
    config = CompareConfig(
        models=tuple(str(models / name) for name in ("tiny", "static", "cross")),
        on=tuple(str(data / name) for name in ("sts", "topics", "help")),
        out=str(out), speed_texts=20, requests=5, dtype="fp32", device="cpu",
    )  # fmt: skip
    with one_process():
        return compare_models(config), out


def test_each_model_has_its_figures_on_each_task_it_can_do(compared, data, models):
    result, _ = compared
    assert [task["kind"] for task in result["tasks"]] == ["sts", "classification", "retrieval"]
    tiny, static, cross = result["models"]
    assert [one["kind"] for one in result["models"]] == [
        "embedder", "static embedder", "cross-encoder",
    ]  # fmt: skip
    assert set(cross["tasks"]["topics"]) == set(cross["tasks"]["help"]) == {"not_measured"}
    assert cross["tasks"]["sts"]["metric"] == "spearman" and cross["quality"] is None
    for model in (tiny, static):
        figures = [model["tasks"][name] for name in ("sts", "topics", "help")]
        assert model["quality"]["value"] == pytest.approx(np.mean([f["value"] for f in figures]))
        for figure in figures:
            assert figure["low"] <= figure["value"] <= figure["high"]
            assert figure["value"] == pytest.approx(figure["metrics"][figure["metric"]])
    embedder = Embedder.load(models / "tiny", dtype="fp32", device="cpu")
    expected = read_beir(data / "help")(embedder).metrics["ndcg@10"]
    assert tiny["tasks"]["help"]["value"] == pytest.approx(expected)


def test_what_each_model_costs(compared, models):
    result, _ = compared
    for name, model in zip(("tiny", "static", "cross"), result["models"], strict=True):
        assert model["speed"]["per_second"] > 0
        assert model["speed"]["unit"] == ("pairs" if name == "cross" else "texts")
        for batch in ("1", "32"):
            latency = model["latency"][batch]
            assert 0 < latency["p50_ms"] <= latency["p95_ms"] <= latency["p99_ms"]
            assert latency["requests"] == 5
        weights = (models / name).rglob("*.safetensors")
        assert model["size_bytes"] > sum(path.stat().st_size for path in weights) > 0
    assert [one["dimensions"] for one in result["models"]] == [WIDTH, WIDTH, None]


def test_every_two_models_are_compared_and_corrected_together(compared):
    rows = compared[0]["differences"]
    assert [(row["task"]) for row in rows] == ["sts"] * 3 + ["topics", "help", None]
    assert all(row["low"] <= row["difference"] <= row["high"] for row in rows)
    assert all(row["p_holm"] >= row["p"] for row in rows)
    words = {"better", "worse", "no clear difference"}
    assert {row["verdict"] for row in rows} <= words
    tiny, static, _ = compared[0]["models"]
    mean = rows[-1]
    assert mean["left"] == tiny["name"] and mean["right"] == static["name"]
    change = tiny["quality"]["value"] - static["quality"]["value"]
    assert mean["difference"] == pytest.approx(change)


def test_the_choices_are_among_the_models_measured_on_everything(compared):
    result, _ = compared
    tiny, static, _ = (one["name"] for one in result["models"])
    chosen = result["choices"]
    assert chosen["best"] in (tiny, static)
    assert chosen["smallest_within"]["model"] in (tiny, static)
    assert static in chosen["pareto"]["latency_ms"]
    assert all(set(front) <= {tiny, static} for front in chosen["pareto"].values())


def test_a_process_for_each_model_and_one_that_fails_leaves_the_others(data, models):
    config = CompareConfig(
        models=(str(models / "broken"), str(models / "tiny")), on=(str(data / "sts"),),
        speed_texts=20, requests=3, dtype="fp32", device="cpu",
    )  # fmt: skip
    result = compare_models(config)
    [failed] = result["failed"]
    assert failed["model"] == str(models / "broken") and "cannot be loaded" in failed["error"]
    [model] = result["models"]
    memory = model["memory"]
    assert memory["peak_bytes"] > memory["runtime_bytes"] > 1 << 20
    embedder = Embedder.load(models / "tiny", dtype="fp32", device="cpu")
    expected = measure_task(embedder, read_task(find_local_task(data / "sts")))
    found = model["tasks"]["sts"]["metrics"]["spearman_cosine"]
    assert found == pytest.approx(expected.result.metrics["spearman_cosine"], abs=1e-6)


def test_the_files_hold_all_of_it(compared):
    result, out = compared
    assert json.loads((out / "compare.json").read_text()) == json.loads(json.dumps(result))
    assert sorted(path.name for path in out.iterdir()) == [
        "compare.json", "items.parquet", "report.html",
    ]  # fmt: skip
    table = pq.read_table(out / "items.parquet")
    for model in result["models"]:
        for task in result["tasks"]:
            figure = model["tasks"][task["name"]]
            rows = [
                row
                for row in table.to_pylist()
                if row["model"] == model["name"] and row["task"] == task["name"]
            ]
            assert len(rows) == (task["n"] if "value" in figure else 0)
            if figure.get("metric") in ("accuracy", "ndcg@10"):
                values = [row["value"] for row in rows]
                assert np.mean(values) == pytest.approx(figure["value"])
    labelled = [row for row in table.to_pylist() if row["task"] == "topics"]
    assert all((row["gold"] == row["found"]) == bool(row["value"]) for row in labelled)
    searched = [row for row in table.to_pylist() if row["task"] == "help"]
    assert all(row["id"].startswith("q") and row["rank"] >= 0 for row in searched)


def test_a_folder_that_holds_a_comparison_is_not_overwritten(compared, data, models):
    with pytest.raises(ConfigError, match="holds no comparison"):
        CompareConfig(models=(str(models / "tiny"),), on=(str(data / "sts"),), out=str(compared[1]))


def test_a_comparison_that_was_stopped_goes_on(data, models, tmp_path, in_process, monkeypatch):
    plain = compare_run._run

    def stopped(*given):
        if len(in_process) == 1:
            raise KeyboardInterrupt
        return plain(*given)

    config = CompareConfig(
        models=(str(models / "static"), str(models / "tiny")), on=(str(data / "sts"),),
        out=str(tmp_path / "out"), speed_texts=8, requests=2, device="cpu",
    )  # fmt: skip
    monkeypatch.setattr(compare_run, "_run", stopped)
    with pytest.raises(KeyboardInterrupt):
        compare_models(config)
    assert not (tmp_path / "out" / "compare.json").exists()
    monkeypatch.setattr(compare_run, "_run", plain)
    result = compare_models(config)
    assert [one["model"] for one in in_process] == list(config.models)  # the first only once
    assert len(result["models"]) == 2
    found = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert found == ["compare.json", "items.parquet", "report.html"]


def test_nothing_left_when_every_model_fails(data, models, monkeypatch):
    monkeypatch.setattr(compare_run, "_run", lambda *_: "its weights are damaged")
    config = CompareConfig(models=(str(models / "tiny"),), on=(str(data / "sts"),))
    with pytest.raises(TenorError, match=r"no model could be measured.*damaged"):
        compare_models(config)


def test_all_is_looked_at_before_the_first_model_is_measured(data, models, tmp_path, monkeypatch):
    def never(*_, **__):
        raise AssertionError("a model was measured")

    monkeypatch.setattr("tenor.recipes.compare_run.subprocess.Popen", never)
    sts = str(data / "sts")
    tiny_tagger().save(tmp_path / "tagger", card="A tagger.")
    with pytest.raises(ModelError, match="tagger"):
        compare_models(CompareConfig(models=(str(tmp_path / "tagger"),), on=(sts,)))
    with pytest.raises(ModelError, match="nowhere"):
        compare_models(CompareConfig(models=(str(tmp_path / "nowhere"),), on=(sts,)))
    with pytest.raises(DataError, match="no such file"):
        compare_models(CompareConfig(models=(str(models / "tiny"),), on=(sts, "missing.csv")))
    topics, help_folder = str(data / "topics"), str(data / "help")
    with pytest.raises(ModelError, match="sts and pair classification; there is only classif"):
        compare_models(CompareConfig(models=(str(models / "cross"),), on=(topics,)))
    with pytest.raises(ModelError, match="only classification, retrieval here"):
        compare_models(CompareConfig(models=(str(models / "cross"),), on=(topics, help_folder)))
    tiny_encoder_classifier().save(tmp_path / "classifier", card="A classifier.")
    with pytest.raises(ModelError, match=r"is a classifier.*only sts"):
        compare_models(CompareConfig(models=(str(tmp_path / "classifier"),), on=(sts,)))
    bad = tmp_path / "bad.csv"
    bad.write_text("sentence1,sentence2,score\na,b,1\na,c,x\n")
    with pytest.raises(DataError, match=r"bad.csv:3"):
        compare_models(CompareConfig(models=(str(models / "tiny"),), on=(str(bad),)))


def test_a_model_reads_only_the_tasks_it_can_do(data, models, in_process, monkeypatch):
    read = []
    plain = compare_data.read_task
    monkeypatch.setattr(compare_data, "read_task", lambda task: read.append(task) or plain(task))
    config = CompareConfig(
        models=(str(models / "cross"),), on=(str(data / "sts"), str(data / "topics")),
        speed_texts=8, requests=2, dtype="fp32", device="cpu",
    )  # fmt: skip
    [cross] = compare_models(config)["models"]
    assert cross["tasks"]["topics"] == {
        "not_measured": "cross-encoders are not measured on classification"
    }
    assert [task.name for task in read] == ["sts", "topics", "sts"]  # here, then where it is


def test_a_pair_in_bulk_counts_as_two_texts(data, models, in_process, monkeypatch):
    plain = compare_run._run

    def timed(asked, text, answer):
        plain(asked, text, answer)
        figures = json.loads(answer.read_text())
        rates = {"texts": 150.0, "pairs": 100.0}  # a second
        figures["speed"]["per_second"] = rates[figures["speed"]["unit"]]
        answer.write_text(json.dumps(figures))

    monkeypatch.setattr(compare_run, "_run", timed)
    tiny, cross = (str(models / name) for name in ("tiny", "cross"))
    config = CompareConfig(
        models=(tiny, cross), on=(str(data / "sts"),), speed_texts=8, requests=2, dtype="fp32",
        device="cpu",
    )  # fmt: skip
    result = compare_models(config)
    assert result["choices"]["pareto"]["seconds_per_input"][0] == cross
    plots = compare_report(result).sections[1].plots
    [(_, times)] = [found for found in plots.items() if "a pair is two texts" in found[0]]
    assert [point.cost for point in times] == pytest.approx([1000 / 150, 1000 / 200])


def test_what_else_is_in_the_folder_stays(data, models, tmp_path, in_process):
    own = tmp_path / "out" / "parts" / "notes.txt"
    own.parent.mkdir(parents=True)
    own.write_text("mine")
    config = CompareConfig(
        models=(str(models / "static"),), on=(str(data / "sts"),), out=str(tmp_path / "out"),
        speed_texts=8, requests=2, device="cpu",
    )  # fmt: skip
    compare_models(config)
    assert own.read_text() == "mine"
    found = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert found == ["compare.json", "items.parquet", "parts", "report.html"]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"models": ()}, "models"),
        ({"models": ("a", "a")}, "models"),
        ({"under_ms": 0}, "under_ms"),
        ({"within": 1.0}, "within"),
        ({"requests": 0}, "requests"),
        ({"resamples": 0}, "resamples"),
        ({"device": "gpu"}, "device"),
        ({"dtype": "fp16"}, "dtype"),
        ({"seed": -1}, "seed"),
    ],
)
def test_settings_that_cannot_be(change, field):
    with pytest.raises(ConfigError, match=field):
        CompareConfig(**{"models": ("a",), "on": ("b",), **change})


def test_labelled_pairs_and_pairs_to_rank(data, models, tmp_path):
    model = Embedder.load(models / "tiny", dtype="fp32", device="cpu")
    same = measure_task(model, read_task(find_local_task(data / "same")))
    assert same.metric == "average_precision"
    assert set(same.items["gold_value"]) == {0.0, 1.0}
    pairs = tmp_path / "faq.csv"
    pairs.write_text("question,answer\na cat,the cat\na dog,the dog\nred sun,the sun\n")
    ranked = measure_task(model, read_task(find_local_task(pairs)))
    assert ranked.metric == "ndcg@10" and ranked.items["text"] == ["a cat", "a dog", "red sun"]


def test_a_classifier_counts_by_its_own_labels_and_an_embedder_by_logistic_regression(
    data, models, tmp_path, in_process
):
    task = read_task(find_local_task(data / "topics"))
    embedder = Embedder.load(models / "tiny", dtype="fp32", device="cpu")
    found = measure_task(embedder, task)
    assert found.result.notes["training_texts"] == 80
    assert found.result.metrics["accuracy"] > 0.4  # three labels, told by single words
    own = measure_task(tiny_encoder_classifier(), task)
    assert own.metric == "accuracy" and "training_texts" not in own.result.notes
    train_classifier(
        ClassifierConfig(
            train=str(data / "topics" / "train.csv"), head="logistic",
            model=str(models / "tiny"), out=str(tmp_path / "run"), device="cpu",
        )
    )  # fmt: skip
    config = CompareConfig(
        models=(str(tmp_path / "run" / "model"),),
        on=(str(data / "topics"), str(data / "sts")),
        speed_texts=8, requests=2, device="cpu",
    )  # fmt: skip
    [model] = compare_models(config)["models"]
    assert model["kind"] == "embedding classifier"
    assert "value" in model["tasks"]["topics"] and "value" in model["tasks"]["sts"]


def test_tasks_of_the_same_name_are_told_apart_by_their_paths(data, tmp_path):
    again = tmp_path / "sts"
    again.mkdir()
    (again / "test.csv").write_text((data / "sts" / "test.csv").read_text())
    names = [task.name for task in find_tasks([str(data / "sts"), str(again)])]
    assert names == [str(data / "sts"), str(again)]
    with pytest.raises(ConfigError, match="once"):
        find_tasks([str(again), str(again)])


def test_test_texts_that_stand_in_the_training_file_are_counted(data, tmp_path):
    file = data / "topics" / "test.csv"
    first = file.read_text().splitlines()[1]
    train = tmp_path / "train.csv"
    train.write_text((data / "topics" / "train.csv").read_text() + first + "\n")
    [task] = find_tasks([f"{train},{file}"])
    leak = read_task(task).leak
    assert leak.shared_texts == 1 and "1 of" in leak.describe()
    assert read_task(find_local_task(data / "sts")).leak is None


def test_requests_are_queries_and_not_documents(data):
    task = read_task(find_local_task(data / "help"))
    assert len(task.asked) == 8 and len(task.texts) == 48
    assert set(task.asked) <= set(task.texts)
    assert sample_inputs(task.texts, 5, 0) == sample_inputs(task.texts, 5, 0)
    assert len(sample_inputs(task.texts, 500, 0)) == 48
