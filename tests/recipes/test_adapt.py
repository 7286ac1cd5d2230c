"""Domain adaptation from files to a model: order, stages, comparison, what is kept, resuming."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from tenor.data.schema import read_pairs
from tenor.errors import ConfigError, DataError, TenorError, TrainingError
from tenor.evaluation.result import EvaluationResult
from tenor.evaluation.validation import validation
from tenor.formats.locate import hash_model
from tenor.models.embedder import Embedder
from tenor.models.masked_lm import MaskedLM
from tenor.recipes import adapt_outcome
from tenor.recipes.adapt import AdaptConfig, adapt
from tenor.recipes.adapt_figures import Figures
from tenor.recipes.adapt_stages import StageOutcome, Start
from tenor.training.trainer import Trainer
from tiny import CONFIGS, random_texts, tiny_encoder, tiny_model, tiny_tokenizer, write_csv

TEXTS, PAIRS, HELD = 40, 24, 12


def texts(count, seed):
    return random_texts(count, seed=seed, words=(3, 9))


def scored(path, count, seed):
    values = np.linspace(0, 1, count).round(3)
    columns = {"sentence1": texts(count, seed), "sentence2": texts(count, seed + 1)}
    return write_csv(path, {**columns, "score": values})


def weights(folder):
    return (Path(folder) / "model.safetensors").read_bytes()


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    """A plain encoder's folder: no pooling, no modules.json."""
    folder = tmp_path_factory.mktemp("start") / "encoder"
    folder.mkdir()
    tiny_encoder(std=0.1, dropout=0.1).save(folder)
    tiny_tokenizer().save(folder)
    return str(folder)


@pytest.fixture(scope="module")
def embedder(tmp_path_factory):
    return tiny_model(tmp_path_factory.mktemp("start") / "embedder")


@pytest.fixture
def config(tmp_path, encoder):
    (tmp_path / "text.txt").write_text("\n".join(texts(TEXTS, 50)) + "\n")
    pairs = {"title": texts(PAIRS, 60), "body": texts(PAIRS, 61)}
    return AdaptConfig(
        text=str(tmp_path / "text.txt"),
        pairs=write_csv(tmp_path / "pairs.csv", pairs),
        columns={"anchor": "title", "positive": "body"},
        evaluate=scored(tmp_path / "held.csv", HELD, 70),
        out=str(tmp_path / "run"),
        model=encoder,
        unsupervised_learning_rate=1e-3,
        supervised_learning_rate=1e-3,
        supervised_batch_size=8,
        save_every=2,
        max_seq_length=20,
        dtype="fp32",
        device="cpu",
    )


def test_raw_text_then_labels_each_measured_on_the_same_data(config, tmp_path, caplog):
    with caplog.at_level("INFO", "tenor"):
        result = adapt(config)
    run = tmp_path / "run"
    assert json.loads((run / "result.json").read_text()) == result
    assert list(result["metrics"]) == ["untouched", "1-tsdae", "2-contrastive"]
    assert result["stages"]["2-contrastive"]["from"] == "1-tsdae"
    assert result["stages"]["2-contrastive"]["steps"] == PAIRS // 8
    for folder in ("1-tsdae", "2-contrastive"):
        stage = json.loads((run / folder / "result.json").read_text())
        assert stage["steps"] == result["stages"][folder]["steps"]
    assert f'model = "{run}/1-tsdae/model"' in (run / "2-contrastive" / "config.toml").read_text()
    # The figures are those of the stages' models on the given file.
    measure, metric = validation(read_pairs(config.evaluate))
    for name in ("1-tsdae", "2-contrastive"):
        model = Embedder.load(run / name / "model", device="cpu", dtype="fp32")
        assert result["metrics"][name] == pytest.approx(measure(model).metrics[metric], abs=1e-6)
        for against, before in (
            ("against_untouched", "untouched"),
            ("against_the_one_before", result["stages"][name]["from"]),
        ):
            change = result["differences"][name][against]
            gain = result["metrics"][name] - result["metrics"][before]
            assert change["value"] == pytest.approx(gain, abs=1e-6)
            assert change["low"] <= change["value"] <= change["high"]
    assert result["model"]["sha256"] == hash_model(run / "model")
    card = (run / "model" / "README.md").read_text()
    assert "Trained with" not in card and "spearman_cosine" in card
    said = caplog.text
    assert "plan: tsdae, then contrastive" in said
    assert f"2-contrastive: {PAIRS} rows" in said and "3 steps of 8" in said
    assert "why:" in said and "labels last" in said
    assert "WARNING" not in said.replace("ADAPTATION", "")


def test_a_plain_encoder_pools_as_tsdae_does_or_as_asked(config, tmp_path):
    adapt(replace(config, pairs=None, columns=None))
    assert Embedder.load(tmp_path / "run" / "1-tsdae" / "model").pooling.modes == ("cls",)
    config = replace(config, out=str(tmp_path / "mean"), pooling="mean")
    adapt(config)
    for stage in ("1-tsdae", "2-contrastive"):
        assert Embedder.load(tmp_path / "mean" / stage / "model").pooling.modes == ("mean",)


def test_an_embedder_learns_the_labels_only(config, embedder, tmp_path, caplog):
    with caplog.at_level("INFO", "tenor"):
        result = adapt(replace(config, model=embedder))
    assert list(result["stages"]) == ["1-contrastive"]
    assert "so the raw text is not trained on" in caplog.text
    assert not [record for record in caplog.records if record.levelname == "WARNING"]


def test_what_does_harm_is_warned_of_before_anything_and_done(config, embedder, tmp_path, caplog):
    stages = ("contrastive,tsdae",)
    with caplog.at_level("INFO", "tenor"):
        result = adapt(replace(config, model=embedder, stages=stages))
    assert list(result["stages"]) == ["1-contrastive", "2-tsdae"]
    warnings = [r.getMessage() for r in caplog.records if r.levelname == "WARNING"]
    assert "the order is reversed" in warnings[0]
    assert caplog.text.index("the order is reversed") < caplog.text.index("stage 1-contrastive")
    assert result["plan"]["warnings"]
    [_, measured] = [result["metrics"][name] for name in ("1-contrastive", "2-tsdae")]
    change = result["differences"]["2-tsdae"]["against_the_one_before"]
    assert change["value"] == pytest.approx(measured - result["metrics"]["1-contrastive"], abs=1e-6)


def test_the_ablation_trains_on_the_same_labels_from_the_untouched_model(config, tmp_path, caplog):
    with caplog.at_level("INFO", "tenor"):
        result = adapt(replace(config, ablation=True))
    run = tmp_path / "run"
    alone = "supervised-only/1-contrastive"
    assert result["stages"][alone]["from"] == "untouched"
    assert result["stages"][alone]["steps"] == result["stages"]["2-contrastive"]["steps"]
    assert f'model = "{config.model}"' in (run / alone / "config.toml").read_text()
    found = result["unsupervised_stage"]
    assert (found["with"], found["without"]) == ("2-contrastive", alone)
    gain = result["metrics"]["2-contrastive"] - result["metrics"][alone]
    assert found["value"] == pytest.approx(gain, abs=1e-6)
    assert "the same labels without it" in caplog.text


def test_masked_language_modelling_keeps_the_rest_of_an_embedder(config, embedder, tmp_path):
    model = Embedder.load(embedder, device="cpu", pooling="max")
    model.prompts = {"query": "the "}
    model.save(tmp_path / "start")
    config = replace(config, model=str(tmp_path / "start"), stages=("mlm", "contrastive"))
    adapt(config)
    run = tmp_path / "run"
    made = Embedder.load(run / "1-mlm" / "embedder", device="cpu", dtype="fp32")
    assert (made.pooling.modes, made.normalize, made.prompts) == (("max",), True, {"query": "the "})
    encoder = MaskedLM.load(run / "1-mlm" / "model", device="cpu", dtype="fp32").encoder
    trained, expected = made.encoder.state_dict(), encoder.state_dict()
    assert all((trained[name] == value).all() for name, value in expected.items())
    assert Embedder.load(run / "2-contrastive" / "model", device="cpu").pooling.modes == ("max",)


def test_tsdae_goes_on_from_a_masked_language_model(config, tmp_path, caplog):
    stages = ("mlm", "tsdae", "contrastive")
    with caplog.at_level("INFO", "tenor"):
        result = adapt(replace(config, stages=stages))
    stored = (tmp_path / "run" / "2-tsdae" / "config.toml").read_text()
    assert "1-mlm/model" in stored
    assert "trained for similarity" not in caplog.text
    assert list(result["stages"]) == ["1-mlm", "2-tsdae", "3-contrastive"]


@pytest.mark.parametrize("stage", ["simcse", "cloze"])
def test_pairs_made_of_the_texts_themselves_come_before_the_labels(stage, config, tmp_path):
    spoken = [
        [text.capitalize() + "." for text in random_texts(30, seed=s, words=(6, 9))] for s in (1, 2)
    ]
    passages = list(map(" ".join, zip(*spoken, strict=True)))
    body = write_csv(tmp_path / "passages.csv", {"body": passages})
    config = replace(config, text=body, column="body", stages=(stage, "contrastive"))
    result = adapt(replace(config, max_seq_length=40))
    assert list(result["stages"]) == [f"1-{stage}", "2-contrastive"]
    assert result["stages"][f"1-{stage}"]["pairs"]["how"] == stage
    assert result["stages"]["2-contrastive"]["from"] == f"1-{stage}"


def test_a_masked_language_model_is_a_plain_encoder(config, tmp_path):
    from transformers import AutoConfig, BertForMaskedLM

    whole = BertForMaskedLM(AutoConfig.for_model("bert", **CONFIGS["bert"]))
    MaskedLM.of(whole, tiny_tokenizer()).save(tmp_path / "mlm")
    result = adapt(replace(config, model=str(tmp_path / "mlm"), pairs=None, columns=None))
    assert list(result["stages"]) == ["1-tsdae"]
    assert (tmp_path / "run" / "model" / "modules.json").is_file()


def test_few_gold_pairs_become_many_after_the_raw_text(config, tmp_path):
    gold = scored(tmp_path / "gold.csv", 20, 80)
    config = replace(config, pairs=None, columns=None, gold=gold)
    result = adapt(config)
    run = tmp_path / "run"
    assert list(result["stages"]) == ["1-tsdae", "2-augmented"]
    inner = json.loads((run / "2-augmented" / "result.json").read_text())
    assert inner["pool"]["path"] == config.text
    # The evaluation pairs are labelled by nobody, and measured there, too.
    assert inner["test"]["metrics"]["base"] == pytest.approx(result["metrics"]["1-tsdae"], abs=1e-6)
    assert result["stages"]["2-augmented"]["kept"] == inner["kept"]


def test_validation_data_choose_the_weights_inside_the_stages(config, tmp_path):
    held = scored(tmp_path / "validation.csv", HELD, 90)
    adapt(replace(config, validation=held, evaluate_every=1))
    for stage in ("1-tsdae", "2-contrastive"):
        found = json.loads((tmp_path / "run" / stage / "result.json").read_text())
        assert found["metric"] == "spearman_cosine"
        assert found["best_step"] is not None


def test_a_sample_of_the_texts_and_of_the_pairs(config, tmp_path):
    result = adapt(replace(config, max_texts=20, max_pairs=10))
    run = tmp_path / "run"
    used = pq.read_table(run / "data" / "text.parquet")["text"].to_pylist()
    assert len(used) == result["data"]["text"]["used"] == 20
    assert result["data"]["text"]["texts"] > 20
    assert set(used) < set(texts(TEXTS, 50))
    trained = read_pairs(run / "data" / "pairs.parquet")
    assert len(trained) == result["stages"]["2-contrastive"]["rows"] == 10
    assert set(trained.columns["anchor"]) <= set(texts(PAIRS, 60))


def test_labels_of_nli_keep_their_meaning_on_the_way(config, tmp_path):
    nli = {
        "premise": [text for text in texts(10, 1) for _ in range(2)],
        "hypothesis": texts(20, 2),
        "label": [0, 2] * 10,
    }
    pairs = write_csv(tmp_path / "nli.csv", nli)
    adapt(replace(config, pairs=pairs, columns=None, stages=("contrastive",)))
    stored = read_pairs(tmp_path / "run" / "data" / "pairs.parquet")
    assert stored.kind == "nli" and stored.target.tolist() == nli["label"]


def test_evaluation_rows_among_the_pairs_are_left_out_and_told(config, tmp_path, caplog):
    pairs = {"anchor": texts(PAIRS, 60), "positive": texts(PAIRS, 61)}
    held = {name: values[:5] + texts(5, seed) for seed, (name, values) in enumerate(pairs.items())}
    config = replace(
        config,
        pairs=write_csv(tmp_path / "leaky.csv", pairs),
        columns=None,
        evaluate=write_csv(tmp_path / "held-pairs.csv", held),
    )
    with open(config.text, "a") as file:
        file.write(held["positive"][0] + "\n")
    with caplog.at_level("INFO", "tenor"):
        result = adapt(config)
    assert result["metric"] == "ndcg@10"
    assert result["left_out"] == {"pairs": 5}
    assert result["stages"]["2-contrastive"]["rows"] == PAIRS - 5
    assert "5 rows stand in the evaluation data" in caplog.text
    assert "transductive" in result["overlap"]["text"]
    leaked = dict.fromkeys(zip(*(values[:5] for values in pairs.values()), strict=True))
    stored = read_pairs(tmp_path / "run" / "data" / "pairs.parquet")
    assert not leaked.keys() & set(zip(*stored.columns.values(), strict=True))


def outcome_of(name, values, before="untouched", stage="tsdae"):
    """A model with these values of the items."""
    result = EvaluationResult(
        metrics={"ndcg@10": float(np.mean(values))},
        intervals={"ndcg@10": (0.0, 1.0)},
        n=len(values), truncated=0, seconds=0.0, model={"name": name, "sha256": name}, data={},
        per_item={"ndcg@10": np.asarray(values, dtype=float)},
    )  # fmt: skip
    return StageOutcome(name, stage, Start(name, name), result, before)


NOISE = np.random.default_rng(0).normal(size=50)
CALM = np.linspace(0.2, 0.4, 50)


@pytest.mark.parametrize(
    ("stages", "helps", "best", "kept"),
    [
        ({"1-tsdae": CALM + 0.1, "2-contrastive": CALM + 0.2}, True, "2-contrastive", None),
        ({"1-tsdae": CALM + 0.2, "2-contrastive": CALM + 0.1}, True, "1-tsdae", None),
        ({"1-tsdae": CALM - 0.1, "2-contrastive": CALM}, False, "untouched", None),
        ({"1-tsdae": CALM + NOISE - NOISE.mean() + 0.01}, False, "1-tsdae", "untouched"),
        # A higher figure that may be luck does not beat a lower one that is not.
        (
            {"1-tsdae": CALM + 0.05, "2-contrastive": CALM + NOISE - NOISE.mean() + 0.06},
            True, "1-tsdae", None,
        ),
    ],
)  # fmt: skip
def test_the_best_is_kept_if_it_is_clearly_better_than_the_untouched_model(
    stages, helps, best, kept
):
    made = [outcome_of("untouched", CALM, None), *(outcome_of(*one) for one in stages.items())]
    found = adapt_outcome.compare(made, "ndcg@10", keep_best=False)
    assert (found["adaptation_helps"], found["best"]) == (helps, best)
    assert found["kept"] == (kept or best)
    assert adapt_outcome.compare(made, "ndcg@10", keep_best=True)["kept"] == best


def test_that_it_did_not_help_is_said_and_the_untouched_model_kept(config, tmp_path, caplog):
    rate = {"unsupervised_learning_rate": 1e-12, "supervised_learning_rate": 1e-12}
    config = replace(config, **rate, stages=("contrastive",))
    with caplog.at_level("INFO", "tenor"):
        result = adapt(config)
    assert not result["adaptation_helps"] and result["kept"] == "untouched"
    assert "ADAPTATION DID NOT" in caplog.text
    kept = Embedder.load(tmp_path / "run" / "model", device="cpu", dtype="fp32")
    before = Embedder.load(config.model, device="cpu", dtype="fp32", max_seq_length=20)
    assert kept.encode(texts(3, 1)) == pytest.approx(before.encode(texts(3, 1)), abs=1e-6)
    assert (tmp_path / "run" / "model" / "modules.json").is_file()


def test_the_stages_files_are_kept_as_they_are(config, tmp_path, monkeypatch, caplog):
    compare = adapt_outcome.compare
    chosen = {"best": "2-contrastive", "kept": "2-contrastive", "adaptation_helps": True}
    monkeypatch.setattr(
        adapt_outcome, "compare", lambda *a, **options: {**compare(*a, **options), **chosen}
    )
    with caplog.at_level("INFO", "tenor"):
        result = adapt(config)
    run = tmp_path / "run"
    assert result["model"]["sha256"] == hash_model(run / "2-contrastive" / "model")
    card = (run / "model" / "README.md").read_text()
    assert "tsdae, then contrastive" in card and "text.txt, pairs.csv" in card
    assert str(tmp_path) not in card
    assert "adaptation helped: 2-contrastive" in caplog.text


def dies_at(monkeypatch, total):
    """Training is killed at some step, counted over all stages."""
    step, seen = Trainer.training_step, []

    def dies(self, *args, **options):
        seen.append(1)
        if len(seen) > total:
            raise RuntimeError("killed")
        return step(self, *args, **options)

    monkeypatch.setattr(Trainer, "training_step", dies)


# TSDAE has 5 steps here, contrastive 3.
@pytest.mark.parametrize("at", [3, 5, 7])
def test_killed_inside_a_stage_and_resumed_it_ends_in_the_same_bytes(
    at, config, tmp_path, monkeypatch
):
    whole = adapt(replace(config, out=str(tmp_path / "whole")))
    with monkeypatch.context() as patch:
        dies_at(patch, at)
        with pytest.raises(RuntimeError, match="killed"):
            adapt(config)
    run = tmp_path / "run"
    assert not (run / "result.json").exists()
    done = (run / "1-tsdae" / "result.json").exists()
    assert done is (at >= 5)
    stamps = [path.stat().st_mtime_ns for path in (run / "1-tsdae" / "model").glob("*") if done]
    result = adapt(replace(config, resume=True))
    assert (
        stamps
        == [path.stat().st_mtime_ns for path in (run / "1-tsdae" / "model").glob("*")][
            : len(stamps)
        ]
    )
    assert result["metrics"] == whole["metrics"]
    assert result["differences"] == whole["differences"]
    for name in ("1-tsdae/model", "2-contrastive/model", "model"):
        assert weights(run / name) == weights(tmp_path / "whole" / name)


def test_killed_between_stages_nothing_is_trained_or_measured_twice(config, tmp_path, monkeypatch):
    measured = []
    of = Figures.of

    def dies(self, name, *args):
        if name == "2-contrastive" and not measured.count(name):
            measured.append(name)
            raise RuntimeError("killed")
        return of(self, name, *args)

    monkeypatch.setattr(Figures, "of", dies)
    with pytest.raises(RuntimeError, match="killed"):
        adapt(config)
    monkeypatch.setattr(Trainer, "training_step", None)  # there is nothing left to train
    seen = []
    from tenor.recipes.adapt_held_out import HeldOut
    from tenor.recipes.adapt_stages import load_embedder

    start = HeldOut.__init__

    def counts(self, *args):
        start(self, *args)
        measure = self.measure
        self.measure = lambda model: seen.append(model.name) or measure(model)

    monkeypatch.setattr(HeldOut, "__init__", counts)
    result = adapt(replace(config, resume=True))
    assert seen == [str(tmp_path / "run" / "2-contrastive" / "model")]
    assert result["metrics"].keys() == {"untouched", "1-tsdae", "2-contrastive"}
    assert load_embedder(config, result["model"]["path"]).dimensions == 32


def test_a_finished_run_is_left_alone_and_what_changed_is_refused(config, tmp_path):
    result = adapt(config)
    with pytest.raises(ConfigError, match="already holds a run"):
        adapt(config)
    again = replace(config, resume=True)
    assert adapt(again) == result
    with pytest.raises(ConfigError, match="supervised_epochs"):
        adapt(replace(again, supervised_epochs=2))
    (tmp_path / "run" / "result.json").unlink()
    with pytest.raises(ConfigError, match="supervised_epochs"):
        adapt(replace(again, supervised_epochs=2))
    with open(config.text, "a") as file:
        file.write("something new\n")
    with pytest.raises(DataError, match=r"text.txt: is not what the run"):
        adapt(again)


def test_bad_input_leaves_nothing_behind(config, tmp_path, encoder):
    held = config.evaluate
    pairs = write_csv(tmp_path / "other.csv", {"anchor": ["a", "b"], "positive": ["c", "d"]})
    blank = tmp_path / "blank.txt"
    blank.write_text("\n\n")
    for changes, error, message in (
        ({"text": "missing.txt"}, DataError, "missing.txt"),
        ({"text": str(blank)}, DataError, "no text"),
        ({"column": "body"}, DataError, "body"),
        ({"pairs": "missing.csv"}, DataError, "missing.csv"),
        ({"columns": {"anchor": "name"}}, DataError, "name"),
        ({"evaluate": "missing"}, DataError, "missing"),
        ({"evaluate": str(tmp_path)}, DataError, "corpus"),
        ({"gold": pairs, "columns": None, "pairs": None}, DataError, "gold pairs are needed"),
        ({"validation": held}, DataError, "evaluation data themselves"),
        ({"pairs": held, "columns": None}, DataError, "every row"),
        ({"loss": "triplet"}, ConfigError, "loss"),
        ({"pooling": "median"}, TenorError, "median"),
        ({"model": str(tmp_path)}, TenorError, "no model"),
        (
            {"gold": held, "columns": None, "pairs": None, "cross_encoder": str(tmp_path)},
            TenorError,
            "no model",
        ),
    ):
        with pytest.raises(error, match=message):
            adapt(replace(config, **changes))
        assert not (tmp_path / "run").exists(), changes


def test_a_static_model_has_no_encoder_to_adapt(config, tmp_path):
    from tenor.models.static import StaticEmbedder
    from tenor.tokens.words import word_tokenizer

    table = np.ones((3, 8), dtype=np.float32)
    StaticEmbedder(table, word_tokenizer(["the", "cat"])).save(tmp_path / "static")
    with pytest.raises(ConfigError, match="this one is static"):
        adapt(replace(config, model=str(tmp_path / "static"), stages=("contrastive",)))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"text": ""}, "text"),
        ({"evaluate": ""}, "evaluate"),
        ({"out": ""}, "out"),
        ({"stages": ("magic",)}, "stages"),
        ({"stages": ("tsdae", "tsdae")}, "stages"),
        ({"stages": ("augmented",)}, "gold"),
        ({"stages": ("contrastive",)}, "pairs"),
        ({"stages": ("tsdae",), "pairs": "p.csv"}, "pairs"),
        ({"loss": "mnr"}, "loss"),
        ({"cross_encoder": "c", "pairs": "p.csv"}, "cross_encoder"),
        ({"max_texts": -1}, "max_texts"),
        ({"unsupervised_epochs": 0}, "unsupervised_epochs"),
        ({"supervised_batch_size": 0}, "supervised_batch_size"),
        ({"unsupervised_learning_rate": 2.0}, "unsupervised_learning_rate"),
        ({"hold_out": 1.0}, "hold_out"),
        ({"hold_out": 0.1, "validation": "v.csv"}, "hold_out"),
        ({"device": "tpu"}, "device"),
        ({"dtype": "fp8"}, "dtype"),
        ({"on_bad_row": "hide"}, "on_bad_row"),
        ({"seed": -1}, "seed"),
    ],
)
def test_settings_that_cannot_be_are_named(wrong, field):
    with pytest.raises(ConfigError, match=f"^{field} ="):
        AdaptConfig(**{"text": "t.txt", "evaluate": "e.csv", "out": "run", **wrong})


def test_it_does_not_run_under_torchrun(config, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(TrainingError, match="without torchrun"):
        adapt(config)


@pytest.mark.slow
def test_really_killed_in_its_second_stage_and_resumed_from_its_folder_alone(config, tmp_path):
    environment = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())}
    whole = adapt(replace(config, out=str(tmp_path / "whole"), supervised_epochs=8))
    tenor = [sys.executable, "-m", "tenor", "adapt"]
    flags = [
        *("--text", config.text, "--pairs", config.pairs, "--evaluate", config.evaluate),
        *("--columns.anchor", "title", "--columns.positive", "body", "--model", config.model),
        *("--unsupervised-learning-rate", "1e-3", "--supervised-learning-rate", "1e-3"),
        *("--supervised-batch-size", "8", "--supervised-epochs", "8", "--save-every", "2"),
        *("--max-seq-length", "20", "--dtype", "fp32", "--device", "cpu"),
    ]
    run = tmp_path / "run"
    process = subprocess.Popen(
        [*tenor, "--out", str(run), *flags], env=environment, stderr=subprocess.PIPE
    )
    end = time.monotonic() + 240
    while not list(run.glob("2-contrastive/checkpoints/checkpoint-*")):
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < end
        time.sleep(0.0005)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not (run / "2-contrastive" / "model").exists()
    trained = (run / "1-tsdae" / "model" / "model.safetensors").stat().st_mtime_ns
    done = subprocess.run(
        # The same folder, spelt in another way.
        [*tenor, "--out", "run", "--resume", "--json"],
        env=environment, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "going on from step" in done.stderr
    assert json.loads(done.stdout)["metrics"] == whole["metrics"]
    assert (run / "1-tsdae" / "model" / "model.safetensors").stat().st_mtime_ns == trained
    for name in ("2-contrastive/model", "model"):
        assert weights(run / name) == weights(tmp_path / "whole" / name)


def test_folders_with_queries_and_judgements_measure_and_choose(config, tmp_path):
    for name, seed in (("task", 5), ("validation", 6)):
        folder = tmp_path / name
        folder.mkdir()
        for part, count in (("corpus", 20), ("queries", 8)):
            rows = enumerate(texts(count, seed + count))
            lines = [json.dumps({"_id": f"{part}{row}", "text": text}) for row, text in rows]
            (folder / f"{part}.jsonl").write_text("\n".join(lines) + "\n")
        judged = [f"queries{row}\tcorpus{row}\t1" for row in range(8)]
        header = "query-id\tcorpus-id\tscore\n"
        (folder / "qrels.tsv").write_text(header + "\n".join(judged) + "\n")
    folders = {"evaluate": str(tmp_path / "task"), "validation": str(tmp_path / "validation")}
    result = adapt(replace(config, **folders))
    assert result["metric"] == "ndcg@10"
    assert result["results"]["untouched"]["n"] == 8
    for stage in ("1-tsdae", "2-contrastive"):
        found = json.loads((tmp_path / "run" / stage / "result.json").read_text())
        assert found["after"]["data"]["path"] == folders["validation"]
