"""Few-shot training from files to a saved classifier: all sources of texts, heads and losses."""

import json
import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from tenor.errors import ConfigError, DataError, TenorError
from tenor.formats.locate import hash_model
from tenor.models.classifier import TextClassifier
from tenor.models.embedder import Embedder
from tenor.recipes.few_shot import FewShotConfig, train_few_shot
from tiny import tiny_hf_tokenizer, tiny_model
from tiny_labels import random_labelled, random_multi


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    return tiny_model(tmp_path_factory.mktemp("start") / "model")


def write(folder, name="train", *, rows=60, seed=0, multi_label=False):
    texts, labels = (random_multi if multi_label else random_labelled)(rows, seed=seed)
    path = folder / f"{name}.jsonl"
    rows = zip(texts, labels, strict=True)
    path.write_text("".join(json.dumps({"text": t, "label": label}) + "\n" for t, label in rows))
    return str(path)


def write_texts(folder, rows=80, seed=70):
    texts, _ = random_labelled(rows, seed=seed)
    path = folder / "unlabelled.txt"
    path.write_text("\n".join(texts) + "\n")
    return str(path)


@pytest.fixture
def config(start, tmp_path):
    return FewShotConfig(
        train=write(tmp_path),
        validation=write(tmp_path, "validation", rows=60, seed=50),
        out=str(tmp_path / "run"),
        model=start,
        shots=8,
        steps=30,
        batch_size=24,
        learning_rate=3e-3,
        dtype="fp32",
        device="cpu",
    )


def loaded(config):
    return TextClassifier.load(f"{config.out}/model", device="cpu", dtype="fp32")


@pytest.mark.parametrize("loss", ["supervised-contrastive", "cosine-pairs"])
@pytest.mark.parametrize("head", ["logistic", "linear"])
def test_from_a_few_texts_to_a_model(head, loss, config, caplog):
    caplog.set_level(logging.INFO, logger="tenor")
    result = train_few_shot(replace(config, head=head, loss=loss, shots=16))
    assert result["metric"] == "macro_f1" and result["rows"] == 48
    assert result["metrics"]["few-shot"] > result["metrics"]["frozen"] + 0.05
    assert result["metrics"]["few-shot"] > 0.6
    assert result["differences"]["few-shot"]["against"] == "frozen"
    pairs = result["stages"]["contrastive"]["pairs"]
    assert pairs == {"compared": 30 * 276, "positive": 30 * 84, "encoded": 720, "distinct": 1128}
    assert "8,280 pairs will be compared, 2,520 of them positive" in caplog.text
    assert "48 rows, 30 steps of 24 rows at" in caplog.text  # how long it will take
    model = loaded(config)
    texts, labels = random_labelled(60, seed=50)
    assert model.score(texts, labels) == pytest.approx(result["after"]["metrics"]["accuracy"])
    assert result["model"]["sha256"] == model.sha256 == hash_model(f"{config.out}/model")
    with open(f"{config.out}/result.json") as file:
        assert json.load(file)["after"] == result["after"]
    drawn = pq.read_table(f"{config.out}/data/train.parquet").to_pydict()
    assert sorted(drawn["label"]) == ["animal"] * 16 + ["colour"] * 16 + ["weather"] * 16
    with open(f"{config.out}/model/config_setfit.json") as file:
        assert json.load(file)["labels"] == ["animal", "colour", "weather"]
    assert not list(Path(config.out).rglob("*.pkl"))
    assert Embedder.load(f"{config.out}/model", device="cpu").dimensions == 32


def test_two_classes_of_eight_give_half_their_texts_to_a_batch(config, tmp_path):
    texts, labels = random_labelled(16, labels=("animal", "colour"))
    path = tmp_path / "two.jsonl"
    rows = zip(texts, labels, strict=True)
    path.write_text("".join(json.dumps({"text": t, "label": n}) + "\n" for t, n in rows))
    two = replace(config, train=str(path), shots=None, validation=None, steps=3, batch_size=64)
    result = train_few_shot(two)
    assert result["stages"]["contrastive"]["pairs"]["compared"] == 3 * 28
    assert result["loss"] == result["stages"]["contrastive"]["loss"] == "cosine-pairs"
    assert result["metric"] is None and result["kept"] == "few-shot" and result["after"] is None


def test_more_classes_than_fit_a_batch_are_told_apart_by_ranking(config):
    few = replace(config, validation=None, steps=2, batch_size=8)  # two classes of four
    assert train_few_shot(few)["loss"] == "supervised-contrastive"


def test_a_rate_that_was_chosen_is_recorded(config):
    asked = train_few_shot(replace(config, steps=2, out=f"{config.out}-asked"))
    assert asked["chosen"] == {}
    given = replace(config, learning_rate=None, steps=2)
    rate = given.rate_for(32)
    assert train_few_shot(given)["chosen"] == {"learning_rate": rate}
    assert f"| learning_rate | {rate:g} |" in Path(config.out, "model", "README.md").read_text()


@pytest.mark.parametrize("loss", ["supervised-contrastive", "cosine-pairs"])
def test_any_number_of_labels_a_text(loss, config, tmp_path):
    config = replace(
        config,
        loss=loss,
        train=write(tmp_path, "several", multi_label=True, rows=120),
        validation=write(tmp_path, "held", multi_label=True, seed=9, rows=60),
        steps=60,
        shots=16,
    )
    result = train_few_shot(config)
    assert result["metric"] == "micro_f1" and result["after"]["metrics"]["micro_f1"] > 0.55
    assert result["metrics"]["few-shot"] > result["metrics"]["frozen"]
    model = loaded(config)
    assert model.multi_label
    texts, labels = random_multi(60, seed=9)
    found = model.score(texts, labels)
    assert found == pytest.approx(result["after"]["metrics"]["subset_accuracy"])
    drawn = pq.read_table(f"{config.out}/data/train.parquet").to_pydict()["label"]
    assert any("|" in each for each in drawn) and "" in drawn


def test_names_of_labels_alone_make_a_classifier(config, tmp_path, caplog):
    caplog.set_level(logging.INFO, logger="tenor")
    path = tmp_path / "held.csv"
    path.write_text("text,label\nthe big fish,fish\nrain and wind,wind\na small fish,fish\n")
    config = replace(
        config,
        train=None,
        shots=None,
        labels=("fish,wind",),
        validation=str(path),
        template=("the {}", "a {} near the road", "{}"),
    )
    result = train_few_shot(config)
    assert config.labels == ("fish", "wind") and result["rows"] == 6
    assert result["labelled_texts"] == 0 and "2 labels' names make 6" in caplog.text
    assert loaded(config).predict("one fish") == "fish"
    drawn = pq.read_table(f"{config.out}/data/train.parquet").to_pydict()
    assert drawn["text"][:2] == ["the fish", "the wind"]


def test_names_of_labels_join_the_texts(config):
    config = replace(config, labels_as_text=True, shots=2, label_words={"weather": "rain or snow"})
    result = train_few_shot(config)
    assert result["labelled_texts"] == 6 and result["rows"] == 6 + 3 * 4
    drawn = pq.read_table(f"{config.out}/data/train.parquet").to_pydict()["text"]
    assert "This text is about rain or snow." in drawn


def test_a_number_needs_words(config, tmp_path):
    path = tmp_path / "numbers.csv"
    path.write_text("text,label\nthe cat,0\na fish,0\nthe sun,1\nthe snow,1\n")
    config = replace(config, train=str(path), validation=None, labels_as_text=True)
    with pytest.raises(ConfigError, match=r"label-words\.0"):
        train_few_shot(config)
    words = {"0": "animal", "1": "weather"}
    assert train_few_shot(replace(config, label_words=words))["rows"] == 12
    with pytest.raises(ConfigError, match="'2'"):
        train_few_shot(replace(config, label_words={**words, "2": "x"}, out=config.out + "2"))
    with pytest.raises(ConfigError, match="template"):
        train_few_shot(replace(config, template=("no place",), out=config.out + "3"))


def test_a_student_learns_from_texts_without_labels(config, tmp_path, caplog):
    caplog.set_level(logging.INFO, logger="tenor")
    config = replace(config, unlabelled=write_texts(tmp_path), student_steps=30, max_unlabelled=50)
    result = train_few_shot(config)
    assert result["unlabelled_texts"] == 50
    assert result["metrics"]["student"] > 0.5  # by chance 0.33
    assert result["differences"]["student"]["against"] == "few-shot"
    best = max(result["metrics"].values())
    assert result["metrics"][result["kept"]] == best
    assert "the unlabelled texts: macro_f1" in caplog.text and "drawn of the rest" in caplog.text
    found = loaded(config).score(*random_labelled(60, seed=50))
    assert found == pytest.approx(result["after"]["metrics"]["accuracy"])


def test_a_student_of_any_number_of_labels_a_text(config, tmp_path):
    config = replace(
        config,
        train=write(tmp_path, "several", multi_label=True, rows=80),
        validation=write(tmp_path, "held", multi_label=True, seed=9, rows=40),
        unlabelled=write_texts(tmp_path),
        student_steps=20,
    )
    result = train_few_shot(config)
    assert result["stages"]["student"]["pairs"]["positive"] > 0
    found = loaded(config).score(*random_multi(40, seed=9))
    assert found == pytest.approx(result["after"]["metrics"]["subset_accuracy"])


def test_texts_that_are_measured_on_are_not_learnt_from(config, tmp_path):
    path = tmp_path / "same.txt"
    path.write_text("\n".join(random_labelled(60, seed=50)[0]) + "\n")
    with pytest.raises(DataError, match="no text that is not trained or measured on"):
        train_few_shot(replace(config, unlabelled=str(path)))


def test_a_student_that_is_not_there_shows_before_anything_is_done(config, tmp_path):
    config = replace(config, unlabelled=write_texts(tmp_path), student=str(tmp_path / "nowhere"))
    with pytest.raises(TenorError, match="nowhere"):
        train_few_shot(config)
    assert not Path(config.out).exists()


def test_a_static_student_is_kept_for_its_speed(config, tmp_path, caplog):
    from tenor.models.static import StaticEmbedder

    caplog.set_level(logging.INFO, logger="tenor")
    vectors = np.random.default_rng(0).normal(size=(128, 24)).astype(np.float32)
    StaticEmbedder(vectors, tiny_hf_tokenizer().backend_tokenizer).save(tmp_path / "static")
    config = replace(
        config, unlabelled=write_texts(tmp_path), student=str(tmp_path / "static"), student_steps=40
    )
    result = train_few_shot(config)
    assert result["kept"] == "student" and "kept the student" in caplog.text
    assert result["base_model"]["name"] == config.student
    model = loaded(config)
    assert isinstance(model.embedder, StaticEmbedder)
    assert result["metrics"]["student"] > 0.5  # by chance 0.33


def test_the_same_run_gives_the_same_weights(config, tmp_path):
    config = replace(config, steps=4)
    first = train_few_shot(config)
    again = train_few_shot(replace(config, out=str(tmp_path / "again")))
    other = train_few_shot(replace(config, out=str(tmp_path / "other"), seed=1))
    assert first["model"]["sha256"] == again["model"]["sha256"] != other["model"]["sha256"]
    with pytest.raises(ConfigError, match="already holds a run"):
        train_few_shot(config)


@pytest.mark.parametrize("stage", ["contrastive", "student"])
def test_a_killed_run_goes_on_to_the_same_weights(stage, config, tmp_path, monkeypatch):
    from tenor.training.trainer import Trainer

    config = replace(
        config, unlabelled=write_texts(tmp_path), steps=8, student_steps=8, save_every=3
    )
    config = replace(config, validation=None)
    whole = train_few_shot(config)
    assert whole["kept"] == "student"
    config = replace(config, out=str(tmp_path / "stopped"))
    step = Trainer.training_step

    def stop(self, *args, **kwargs):
        if self.state.global_step == 5 and stage in str(self.checkpoints):
            raise RuntimeError("killed")
        return step(self, *args, **kwargs)

    monkeypatch.setattr(Trainer, "training_step", stop)
    with pytest.raises(RuntimeError, match="killed"):
        train_few_shot(config)
    monkeypatch.setattr(Trainer, "training_step", step)
    resumed = train_few_shot(replace(config, resume=True))
    assert resumed["model"]["sha256"] == whole["model"]["sha256"]
    assert resumed["base_model"] == whole["base_model"]
    assert train_few_shot(replace(config, resume=True)) == resumed  # done: nothing to do


def test_several_draws_and_their_spread(config, caplog):
    caplog.set_level(logging.INFO, logger="tenor")
    config = replace(config, validation=None, hold_out=0.3, shots=2, seeds=3, steps=5, seed=4)
    result = train_few_shot(config)
    assert [each["seed"] for each in result["seeds"]] == [4, 5, 6]
    found = result["figures"]["validation"]
    assert found.keys() == {"frozen", "few-shot", "after"}
    figures = found["few-shot"]["macro_f1"]
    assert figures["mean"] == pytest.approx(np.mean(figures["values"]))
    assert figures["deviation"] == pytest.approx(np.std(figures["values"], ddof=1))
    assert "over 3 seeds" in caplog.text
    assert loaded(config).sha256 == result["model"]["sha256"]
    assert result["after"]["metrics"]["macro_f1"] == max(found["after"]["macro_f1"]["values"])
    assert train_few_shot(replace(config, resume=True)) == result


def test_the_best_weights_of_the_stage_are_kept_where_it_is_watched(config):
    result = train_few_shot(replace(config, evaluate_every=5, patience=2))
    assert result["stages"]["contrastive"]["best_step"] % 5 == 0


def test_training_that_does_harm_is_not_kept(config, caplog):
    caplog.set_level(logging.INFO, logger="tenor")
    result = train_few_shot(replace(config, learning_rate=0.3, steps=10, schedule="constant"))
    assert result["kept"] == "frozen" and "kept: frozen" in caplog.text
    assert result["metrics"]["frozen"] > result["metrics"]["few-shot"]
    assert result["difference"]["value"] == 0
    found = loaded(config).score(*random_labelled(60, seed=50))
    assert found == pytest.approx(result["results"]["frozen"]["metrics"]["accuracy"])


def test_one_text_a_label_leaves_only_a_head(config, caplog):
    caplog.set_level(logging.INFO, logger="tenor")
    result = train_few_shot(replace(config, shots=1))
    assert "no two texts have a label in common" in caplog.text
    assert result["stages"] == {} and result["inverse_regularization"] == 10
    assert result["metrics"]["few-shot"] == result["metrics"]["frozen"]


def test_fewer_texts_than_asked_for_are_told(config, caplog):
    caplog.set_level(logging.INFO, logger="tenor")
    result = train_few_shot(replace(config, shots=30, steps=2))
    assert result["texts_of_a_label"] == [20, 20]
    assert "fewer than the 30 asked for of animal, colour, weather" in caplog.text


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("out", ""),
        ("train", None),
        ("labels", ("a", "b")),
        ("shots", 0),
        ("seeds", 0),
        ("steps", 0),
        ("student_steps", 5),
        ("student", "x"),
        ("template", ("about {}",)),
        ("label_words", {"a": "b"}),
        ("loss", "triplet"),
        ("head", "mlp"),
        ("batch_size", 2),
        ("texts_per_class", 13),
        ("temperature", 0.0),
        ("hold_out", 0.5),
        ("inverse_regularization", 0.0),
        ("max_unlabelled", -1),
        ("learning_rate", 2.0),
        ("device", "tpu"),
    ],
)
def test_a_wrong_setting_is_named(field, value, config):
    with pytest.raises(ConfigError, match=field):
        replace(config, **{field: value})


def test_settings_that_do_not_go_together(config):
    with pytest.raises(ConfigError, match="inverse_regularization"):
        replace(config, head="linear", inverse_regularization=1.0)
    with pytest.raises(ConfigError, match="seeds"):
        replace(config, validation=None, seeds=3)
    with pytest.raises(ConfigError, match="evaluate_every"):
        replace(config, validation=None, evaluate_every=3)
    with pytest.raises(ConfigError, match="patience"):
        replace(config, patience=3)
    with pytest.raises(ConfigError, match="shots"):
        replace(config, train=None, labels=("a", "b"))
    with pytest.raises(ConfigError, match="at least two different"):
        replace(config, train=None, shots=None, labels=("a",))
