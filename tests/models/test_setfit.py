"""SetFit's folders: read with the same probabilities, written without anything pickled."""

import json
import pickle
import sys
import types

import joblib
import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import ClassifierChain, MultiOutputClassifier

from tenor.errors import ModelError
from tenor.formats.setfit import is_setfit
from tenor.models.classifier import TextClassifier
from tenor.models.embedder import Embedder
from tenor.models.setfit import load_setfit, save_setfit
from tiny import random_texts, tiny_model

TEXTS = random_texts(40)


@pytest.fixture(scope="module")
def body(tmp_path_factory):
    folder = tmp_path_factory.mktemp("body") / "model"
    tiny_model(folder)
    return folder


@pytest.fixture(scope="module")
def vectors(body):
    return Embedder.load(body, device="cpu", dtype="fp32").encode(TEXTS)


@pytest.fixture
def folder(body, tmp_path):
    """What SetFit would write, without its head."""
    target = tmp_path / "setfit"
    Embedder.load(body, device="cpu", dtype="fp32").save(target)
    return target


def add_head(folder, head, labels=None, normalize=False):
    joblib.dump(head, folder / "model_head.pkl")
    settings = {"labels": labels, "normalize_embeddings": normalize}
    (folder / "config_setfit.json").write_text(json.dumps(settings))
    return folder


def load(folder, **options):
    return load_setfit(folder, allow_pickle=True, device="cpu", dtype="fp32", **options)


def regression(**options):
    return LogisticRegression(C=10.0, **options)


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("names", [True, False])
def test_logistic_regression(classes, names, folder, vectors):
    target = np.arange(len(TEXTS)) % classes
    labels = ["no", "yes", "maybe"][:classes]
    head = regression().fit(vectors, np.array(labels)[target] if names else target)
    model = load(add_head(folder, head, None if names else labels))
    assert set(model.labels) == set(labels) and not model.multi_label
    expected = head.predict_proba(vectors)
    np.testing.assert_allclose(model.predict_proba(TEXTS), expected, atol=1e-5)
    assert model.labels == tuple(head.classes_) if names else model.labels == tuple(labels)


def test_numbers_without_names_and_labels_that_training_lacked(folder, vectors):
    head = regression().fit(vectors, np.arange(len(TEXTS)) % 2 * 2)
    assert load(add_head(folder, head)).labels == ("0", "2")
    assert load(add_head(folder, head, ["a", "b", "c"])).labels == ("a", "c")
    with pytest.raises(ModelError, match="names only 2 labels"):
        load(add_head(folder, head, ["a", "b"]))


@pytest.mark.parametrize("strategy", [OneVsRestClassifier, MultiOutputClassifier])
def test_any_number_of_labels_a_text(strategy, folder, vectors):
    generator = np.random.default_rng(0)
    target = (generator.random((len(TEXTS), 4)) < 0.4).astype(int)
    if strategy is OneVsRestClassifier:
        target[:, 3] = 1  # a label that every text has
        with pytest.warns(UserWarning, match="present in all"):
            head = strategy(regression()).fit(vectors, target)
        expected = head.predict_proba(vectors)
    else:
        head = strategy(regression()).fit(vectors, target)
        expected = np.stack([each[:, 1] for each in head.predict_proba(vectors)], axis=1)
    model = load(add_head(folder, head, ["a", "b", "c", "d"]))
    assert model.multi_label and model.labels == ("a", "b", "c", "d")
    np.testing.assert_allclose(model.predict_proba(TEXTS), expected, atol=1e-5)


def fake_setfit(monkeypatch):
    """The class of SetFit's own head, under its own name, so that it can be pickled."""
    package, modeling = types.ModuleType("setfit"), types.ModuleType("setfit.modeling")

    class SetFitHead(torch.nn.Module):
        def __init__(self, width, labels, temperature, multitarget):
            super().__init__()
            self.linear = torch.nn.Linear(width, labels)
            self.temperature, self.eps, self.multitarget = temperature, 1e-5, multitarget

    SetFitHead.__module__, SetFitHead.__qualname__ = "setfit.modeling", "SetFitHead"
    modeling.SetFitHead = SetFitHead
    monkeypatch.setitem(sys.modules, "setfit", package)
    monkeypatch.setitem(sys.modules, "setfit.modeling", modeling)
    return SetFitHead


@pytest.mark.parametrize("multi", [False, True])
def test_its_own_linear_layer(multi, folder, vectors, monkeypatch):
    head = fake_setfit(monkeypatch)(32, 3, 0.5, multi)
    add_head(folder, head, ["a", "b", "c"])
    monkeypatch.undo()  # SetFit need not be installed to read it
    model = load(folder)
    logits = head.linear(torch.from_numpy(vectors)).detach() / (0.5 + 1e-5)
    expected = torch.sigmoid(logits) if multi else torch.softmax(logits, dim=1)
    assert model.multi_label is multi
    np.testing.assert_allclose(model.predict_proba(TEXTS), expected, atol=1e-5)


def test_vectors_that_the_head_wants_scaled(body, tmp_path):
    plain = Embedder.load(body, device="cpu", dtype="fp32")
    plain.normalize = False
    plain.save(tmp_path / "plain")
    vectors = plain.encode(TEXTS, normalize=True)
    head = regression().fit(vectors, np.arange(len(TEXTS)) % 3)
    model = load(add_head(tmp_path / "plain", head, ["a", "b", "c"], normalize=True))
    expected = head.predict_proba(vectors)
    np.testing.assert_allclose(model.predict_proba(TEXTS), expected, atol=1e-5)
    save_setfit(model, tmp_path / "new")
    again = TextClassifier.load(tmp_path / "new", device="cpu", dtype="fp32")
    np.testing.assert_allclose(again.predict_proba(TEXTS), expected, atol=1e-5)


def test_written_without_anything_pickled(folder, vectors, tmp_path):
    head = regression().fit(vectors, np.arange(len(TEXTS)) % 3)
    model = load(add_head(folder, head, ["a", "b", "c"]))
    save_setfit(model, tmp_path / "new")
    assert not list((tmp_path / "new").rglob("*.pkl")) and is_setfit(tmp_path / "new")
    settings = json.loads((tmp_path / "new" / "config_setfit.json").read_text())
    assert settings == {"normalize_embeddings": False, "labels": ["a", "b", "c"]}
    again = TextClassifier.load(tmp_path / "new", device="cpu", dtype="fp32")
    assert again.labels == model.labels
    np.testing.assert_array_equal(again.predict_proba(TEXTS), model.predict_proba(TEXTS))


def test_a_failing_save_leaves_the_old_model_whole(folder, vectors, tmp_path, monkeypatch):
    head = regression().fit(vectors, np.arange(len(TEXTS)) % 3)
    model = load(add_head(folder, head, ["a", "b", "c"]))
    save_setfit(model, tmp_path / "new", card="The old one.")

    def fail(*args):
        raise OSError("disk full")

    monkeypatch.setattr("tenor.models.setfit.write_setfit", fail)
    with pytest.raises(OSError, match="disk full"):
        save_setfit(model, tmp_path / "new", card="A new one.")
    assert (tmp_path / "new" / "README.md").read_text() == "The old one."


def test_nothing_pickled_is_opened_unasked(folder):
    (folder / "model_head.pkl").write_bytes(b"not even a pickle")
    with pytest.raises(ModelError, match="--allow-pickle"):
        load_setfit(folder, device="cpu")


class Evil:
    """Makes a pickle that runs something when it is opened by an ordinary unpickler."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def test_a_pickle_that_runs_something_is_refused_and_does_not_run(folder, tmp_path):
    import os

    mark = tmp_path / "ran"
    evil = Evil(os.mkdir, str(mark))
    hidden = np.array([evil], dtype=object)
    nested = regression()
    nested.coef_, nested.classes_ = evil, hidden
    for bad in (evil, [evil], nested, hidden):
        joblib.dump(bad, folder / "model_head.pkl")
        with pytest.raises(ModelError, match=r"not opened|damaged"):
            load(folder)
    assert not mark.exists()
    (folder / "model_head.pkl").write_bytes(pickle.dumps(evil))
    with pytest.raises(ModelError, match=r"mkdir.* no linear classifier of SetFit's has"):
        load(folder)
    assert not mark.exists()


def test_heads_that_are_no_linear_classifier(folder, vectors):
    target = np.arange(len(TEXTS)) % 3
    several = np.eye(3, dtype=int)[target]
    scaled = OneVsRestClassifier(regression()).fit(vectors, target)
    chain = ClassifierChain(regression()).fit(vectors, several)
    unfitted = regression()
    for head, said in (
        (chain, "ClassifierChain"),
        (scaled, "scaled to 1"),
        (unfitted, "no whole classifier"),
        ({"a": 1}, "holds a dict"),
    ):
        with pytest.raises(ModelError, match=said):
            load(add_head(folder, head))


def test_damaged_and_missing_files(folder, vectors):
    with pytest.raises(ModelError, match=r"has no model_head\.pkl"):
        load(folder)
    head = regression().fit(vectors, np.arange(len(TEXTS)) % 3)
    add_head(folder, head)
    whole = (folder / "model_head.pkl").read_bytes()
    for end in (10, 400, len(whole) - 40):
        (folder / "model_head.pkl").write_bytes(whole[:end])
        with pytest.raises(ModelError, match="damaged"):
            load(folder)
    joblib.dump(head, folder / "model_head.pkl", compress=3)
    with pytest.raises(ModelError, match="damaged, or compressed"):
        load(folder)
    add_head(folder, regression().fit(np.eye(8), np.arange(8) % 2))
    with pytest.raises(ModelError, match="fit"):
        load(folder)
    (folder / "config_setfit.json").write_text('{"labels": "a"}')
    with pytest.raises(ModelError, match="config_setfit"):
        load(folder)


def test_one_class_against_the_rest_is_told(folder, vectors, caplog):
    head = regression().fit(vectors, np.arange(len(TEXTS)) % 3)
    head.multi_class = "ovr"  # as older versions of scikit-learn wrote it
    model = load(add_head(folder, head))
    assert "probabilities become a softmax" in caplog.text
    assert (model.predict_proba(TEXTS).argmax(1) == head.predict(vectors)).all()
