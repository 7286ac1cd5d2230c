"""Training a classifier from files to a saved model: every head, one label a text or several."""

import json
import logging
from dataclasses import replace

import numpy as np
import pytest

from tenor.errors import ConfigError, DataError
from tenor.formats.locate import hash_model
from tenor.models.classifier import TextClassifier
from tenor.models.embedding_classifier import EmbeddingClassifier
from tenor.models.encoder_classifier import EncoderClassifier
from tenor.recipes.classifier import ClassifierConfig, learning_rates, train_classifier
from tenor.recipes.cross_encoder import CrossEncoderConfig
from tiny import tiny_hf_tokenizer, tiny_model
from tiny_labels import random_labelled, random_multi

ROWS = 96


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    return tiny_model(tmp_path_factory.mktemp("start") / "model")


def write(folder, name="train", *, rows=ROWS, seed=0, multi_label=False):
    texts, labels = (random_multi if multi_label else random_labelled)(rows, seed=seed)
    path = folder / f"{name}.jsonl"
    rows = zip(texts, labels, strict=True)
    path.write_text("".join(json.dumps({"text": t, "label": label}) + "\n" for t, label in rows))
    return str(path)


@pytest.fixture
def config(start, tmp_path):
    return ClassifierConfig(
        train=write(tmp_path),
        validation=write(tmp_path, "validation", rows=30, seed=50),
        out=str(tmp_path / "run"),
        model=start,
        batch_size=8,
        epochs=6,
        learning_rate=3e-3,
        dtype="fp32",
        device="cpu",
    )


def loaded(config, **options):
    return TextClassifier.load(f"{config.out}/model", device="cpu", dtype="fp32", **options)


@pytest.mark.parametrize("head", ["linear", "mlp", "logistic"])
def test_from_a_file_to_a_model(head, config, caplog):
    caplog.set_level(logging.INFO, logger="tenor")
    result = train_classifier(replace(config, head=head))
    assert result["metric"] == "macro_f1" and result["rows"] == ROWS
    figures = result["after"]["metrics"]
    assert figures["macro_f1"] > 0.8 and figures["accuracy"] > 0.8
    assert {"roc_auc", "log_loss", "expected_calibration_error"} <= figures.keys()
    assert result["after"]["labels"] == ["animal", "colour", "weather"]
    assert "3 labels: animal 32, colour 32, weather 32" in caplog.text
    assert "evaluation texts" in caplog.text
    model = loaded(config)
    texts, labels = random_labelled(30, seed=50)
    assert model.score(texts, labels) == pytest.approx(figures["accuracy"])
    assert result["model"]["sha256"] == model.sha256 == hash_model(f"{config.out}/model")
    with open(f"{config.out}/result.json") as file:
        assert json.load(file)["after"]["metrics"] == figures
    with open(f"{config.out}/model/README.md") as file:
        card = file.read()
    assert "macro_f1" in card and "classifier" in card and "animal, colour, weather" in card
    if head == "logistic":
        assert isinstance(model, EmbeddingClassifier)
        assert len(result["cross_validation"]) == 5
        assert "lowest log loss in 5-fold cross-validation" in caplog.text
    else:
        assert result["loss"] == "cross-entropy"
        assert result["difference"]["verdict"] == "better"


@pytest.mark.parametrize("head", ["linear", "logistic"])
def test_any_number_of_labels_a_text(head, config, tmp_path):
    config = replace(
        config,
        head=head,
        train=write(tmp_path, "several", multi_label=True, rows=160),
        validation=write(tmp_path, "held", multi_label=True, seed=9, rows=40),
    )
    result = train_classifier(config)
    assert result["metric"] == "micro_f1" and result["after"]["metrics"]["micro_f1"] > 0.65
    model = loaded(config)
    assert model.multi_label
    texts, labels = random_multi(40, seed=9)
    found = model.score(texts, labels)
    assert found == pytest.approx(result["after"]["metrics"]["subset_accuracy"])
    with pytest.raises(ConfigError, match="any number of labels"):
        train_classifier(replace(config, loss="cross-entropy", out=str(tmp_path / "other")))


def test_a_label_by_itself_may_leave_a_text_without_one(config):
    result = train_classifier(replace(config, loss="bce", epochs=12))
    assert result["metric"] == "micro_f1" and result["loss"] == "bce"
    model = loaded(config)
    assert model.multi_label
    texts, labels = random_labelled(ROWS)
    assert model.score(texts, [(label,) for label in labels]) > 0.7
    assert np.ptp(model.predict_proba(texts).sum(axis=1)) > 0.01


def test_the_head_alone_is_trained_on_a_frozen_encoder(config, start, caplog):
    caplog.set_level(logging.INFO, logger="tenor")
    config = replace(config, freeze="all", head="mlp", learning_rate=None)
    result = train_classifier(config)
    assert (
        f"{32 * 32 + 32 + 3 * 32 + 3:,} parameters are trained, learning rate 0.001" in caplog.text
    )
    assert result["steps"] == 72
    before = TextClassifier.load(f"{config.out}/model", device="cpu").whole.base_model
    from tenor.models.embedder import Embedder

    kept = Embedder.load(start, device="cpu").encoder.transformer.state_dict()
    for name, value in before.state_dict().items():
        same = np.array_equal(value.numpy(), kept[name].numpy())
        assert same == ("pooler" not in name), name


def test_a_new_head_learns_faster_than_the_encoder(config, start, tmp_path, caplog):
    caplog.set_level(logging.INFO, logger="tenor")
    config = replace(config, learning_rate=None, epochs=1, validation=None)
    train_classifier(config)
    assert "learning rate 0.0001, 10 times that in the head (the model has" in caplog.text
    again = replace(config, model=f"{config.out}/model", out=str(tmp_path / "again"))
    caplog.clear()
    train_classifier(again)
    assert "learning rate 0.0001 (the model has" in caplog.text  # its head knows the labels
    model = EncoderClassifier.start(start, ("a", "b", "c"), device="cpu")
    rates = learning_rates(replace(config, learning_rate=2e-5), model)
    assert rates == {"learning_rate": 2e-5, "head_learning_rate": 2e-4}
    for rate, head in ((5e-4, 1e-3), (5e-3, 5e-3)):
        rates = learning_rates(replace(config, learning_rate=rate), model)
        assert rates["head_learning_rate"] == head
    rates = learning_rates(replace(config, head_learning_rate=3e-5, freeze="1"), model)
    assert rates == {"learning_rate": 1e-4, "head_learning_rate": 3e-5}
    with pytest.raises(ConfigError, match="head_learning_rate"):
        replace(config, head_learning_rate=1.5)
    with pytest.raises(ConfigError, match="learning_rate"):
        CrossEncoderConfig(train="pairs.csv", out="run", learning_rate=None)


def test_the_same_run_gives_the_same_weights(config, tmp_path):
    config = replace(config, validation=None, epochs=1)
    first = train_classifier(config)
    again = train_classifier(replace(config, out=str(tmp_path / "again")))
    other = train_classifier(replace(config, out=str(tmp_path / "other"), seed=1))
    assert first["model"]["sha256"] == again["model"]["sha256"] != other["model"]["sha256"]
    assert first["metric"] is None and first["after"] is None


@pytest.mark.parametrize("freeze", ["none", "all"])
def test_an_interrupted_run_goes_on_to_the_same_weights(freeze, config, tmp_path, monkeypatch):
    from tenor.training.trainer import Trainer

    config = replace(config, epochs=1, save_every=2, freeze=freeze)
    whole = train_classifier(config)
    config = replace(config, out=str(tmp_path / "stopped"))
    step = Trainer.training_step

    def stop(self, *args, **kwargs):
        if self.state.global_step == 7:
            raise RuntimeError("killed")
        return step(self, *args, **kwargs)

    monkeypatch.setattr(Trainer, "training_step", stop)
    with pytest.raises(RuntimeError, match="killed"):
        train_classifier(config)
    monkeypatch.setattr(Trainer, "training_step", step)
    resumed = train_classifier(replace(config, resume=True))
    assert resumed["model"]["sha256"] == whole["model"]["sha256"]
    assert train_classifier(replace(config, resume=True)) == resumed  # done: nothing to do


def test_a_classifier_can_be_trained_further_with_its_own_head(config, tmp_path, caplog):
    train_classifier(config)
    first = loaded(config)
    caplog.set_level(logging.INFO, logger="tenor")
    second = replace(
        config, model=f"{config.out}/model", out=str(tmp_path / "second"), learning_rate=1e-9
    )
    result = train_classifier(second)
    assert "goes on with its own head" in caplog.text
    assert result["before"]["metrics"]["macro_f1"] > 0.8
    texts, _ = random_labelled(10)
    expected = first.predict_proba(texts)
    np.testing.assert_allclose(loaded(second).predict_proba(texts), expected, atol=1e-5)


def test_labels_keep_their_meaning_where_the_head_orders_them_otherwise(config, tmp_path):
    train_classifier(config)
    texts, labels = random_labelled(ROWS)
    path = tmp_path / "capitals.jsonl"  # sorted, these come in another order
    names = {"animal": "Animal", "colour": "colour", "weather": "Weather"}
    rows = zip(texts, labels, strict=True)
    path.write_text("".join(json.dumps({"text": t, "label": names[n]}) + "\n" for t, n in rows))
    second = replace(
        config,
        train=str(path),
        model=f"{config.out}/model",
        out=str(tmp_path / "second"),
        epochs=1,
    )
    result = train_classifier(second)
    assert loaded(second).labels == ("Animal", "colour", "Weather")
    assert result["after"]["metrics"]["macro_f1"] > 0.8


@pytest.mark.parametrize("head", ["linear", "logistic"])
def test_balanced_weights_help_the_rare_label(head, config, tmp_path):
    common, _ = random_labelled(120, labels=("colour",), seed=1)
    rare, _ = random_labelled(6, labels=("animal",), seed=2)
    path = tmp_path / "rare.jsonl"
    rows = [(text, "common") for text in common] + [(text, "rare") for text in rare]
    path.write_text("".join(json.dumps({"text": t, "label": name}) + "\n" for t, name in rows))
    shares = []
    for weights in ("none", "balanced"):
        out = str(tmp_path / weights)
        run = replace(config, train=str(path), validation=None, head=head, epochs=2, out=out)
        options = {} if head == "linear" else {"inverse_regularization": 1.0}
        train_classifier(replace(run, class_weights=weights, **options))
        shares.append(float(loaded(run).predict_proba(rare)[:, 1].mean()))
    assert shares[1] > shares[0] * 1.5


def test_label_smoothing_makes_it_less_certain(config, tmp_path):
    certain = []
    for smoothing in (0.0, 0.3):
        run = replace(config, label_smoothing=smoothing, out=str(tmp_path / str(smoothing)))
        train_classifier(run)
        certain.append(loaded(run).predict_proba(random_labelled(30)[0]).max(axis=1).mean())
    assert certain[1] < certain[0] - 0.05


def test_texts_held_out_are_not_trained_on(config):
    config = replace(config, validation=None, hold_out=0.25, epochs=1)
    result = train_classifier(config)
    assert result["rows"] + result["after"]["n"] == ROWS
    assert abs(result["after"]["n"] - 24) <= 3


def test_what_was_cut_is_counted(config):
    config = replace(config, max_seq_length=5, epochs=1)
    assert train_classifier(config)["truncated"] > 0
    other = replace(config, head="logistic", out=config.out + "2")
    assert train_classifier(other)["truncated"] > 0


def test_a_label_that_training_lacks_is_named(config, tmp_path):
    path = tmp_path / "unseen.csv"
    path.write_text("text,label\nthe cat,animal\nan oak,plant\n")
    with pytest.raises(DataError, match=r"unseen.csv:3, .*'plant' is none of .* training data"):
        train_classifier(replace(config, validation=str(path)))
    skipping = replace(config, validation=str(path), on_bad_row="skip", epochs=1)
    assert train_classifier(skipping)["after"]["n"] == 1


def test_one_label_alone_is_refused(config, tmp_path):
    path = tmp_path / "one.csv"
    path.write_text("text,label\nthe cat,animal\na dog,animal\n")
    with pytest.raises(DataError, match="all texts have the label 'animal'"):
        train_classifier(replace(config, train=str(path)))


def test_texts_with_two_labels_are_told(config, tmp_path, caplog):
    path = tmp_path / "twice.csv"
    path.write_text("text,label\nthe cat,animal\na fish,colour\nthe cat,colour\n")
    caplog.set_level(logging.INFO, logger="tenor")
    train_classifier(replace(config, train=str(path), validation=None, epochs=1))
    assert "1 of them with different labels; the first on lines 2 and 4: 'the cat'" in caplog.text


def test_logistic_regression_on_a_static_embedder(config, tmp_path):
    from tenor.models.static import StaticEmbedder

    vectors = np.random.default_rng(0).normal(size=(128, 24)).astype(np.float32)
    StaticEmbedder(vectors, tiny_hf_tokenizer().backend_tokenizer).save(tmp_path / "static")
    config = replace(config, model=str(tmp_path / "static"), head="logistic")
    result = train_classifier(config)
    assert result["after"]["metrics"]["accuracy"] > 0.6
    texts, labels = random_labelled(30, seed=50)
    assert loaded(config).score(texts, labels) == result["after"]["metrics"]["accuracy"]


@pytest.mark.parametrize("texts", [["the cat", "the sky"], ["the cat", "the cat"]])
def test_logistic_regression_of_hardly_any_texts(texts, config, tmp_path):
    path = tmp_path / "few.csv"
    path.write_text(f"text,label\n{texts[0]},a\n{texts[1]},b\n")
    config = replace(config, train=str(path), validation=None, head="logistic")
    train_classifier(config)
    assert loaded(config).predict_proba(texts).shape == (2, 2)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("out", ""),
        ("train", ""),
        ("head", "deep"),
        ("freeze", "some"),
        ("class_weights", "heavy"),
        ("label_smoothing", 1.0),
        ("inverse_regularization", 1.0),
        ("hold_out", 1.0),
        ("hold_out", 0.5),
        ("on_bad_row", "ignore"),
        ("device", "tpu"),
        ("batch_size", 0),
    ],
)
def test_a_wrong_setting_is_named(field, value, config):
    with pytest.raises(ConfigError, match=field):
        replace(config, **{field: value})


def test_settings_that_do_not_go_together(config):
    for options in ({"label_smoothing": 0.1}, {"inverse_regularization": 0.0}):
        with pytest.raises(ConfigError, match=next(iter(options))):
            replace(config, head="logistic", **options)
    with pytest.raises(ConfigError, match="loss = 'mse'"):
        train_classifier(replace(config, loss="mse"))
