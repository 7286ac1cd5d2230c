"""scikit-learn's conventions: clone, pickle, pipeline, cross-validation, its own checks."""

import pickle

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone, is_classifier
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import estimator_checks, get_tags

from tenor.errors import ConfigError, DataError
from tenor.models.embedder import Embedder
from tenor.recipes.estimator import TenorClassifier
from tiny import tiny_model
from tiny_labels import KEYWORDS, random_labelled, random_multi

TEXTS, LABELS = random_labelled(60)

# The checks of scikit-learn that do not hand it matrices of numbers.
CHECKS = [
    "check_estimator_cloneable",
    "check_estimator_tags_renamed",
    "check_valid_tag_types",
    "check_estimator_repr",
    "check_no_attributes_set_in_init",
    "check_do_not_raise_errors_in_init_or_set_param",
    "check_get_params_invariance",
    "check_set_params",
    "check_parameters_default_constructible",
    "check_mixin_order",
]


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    return tiny_model(tmp_path_factory.mktemp("start") / "model")


@pytest.fixture
def estimator(start):
    return TenorClassifier(start, head="logistic", dtype="fp32", device="cpu")


@pytest.mark.parametrize("check", CHECKS)
def test_the_checks_of_scikit_learn(check):
    found = getattr(estimator_checks, check, None) or getattr(estimator_checks, f"{check}s")
    found("TenorClassifier", TenorClassifier())


def test_it_says_that_it_takes_texts():
    tags = get_tags(TenorClassifier())
    assert is_classifier(TenorClassifier())
    assert tags.input_tags.string and tags.input_tags.one_d_array
    assert not tags.input_tags.two_d_array and tags.classifier_tags.multi_label


@pytest.mark.parametrize("head", ["linear", "logistic"])
def test_fit_and_predict(head, start):
    settings = {"head": head, "dtype": "fp32", "device": "cpu"}
    settings |= {"epochs": 12, "batch_size": 8, "learning_rate": 3e-3}
    estimator = TenorClassifier(start, **settings)
    assert estimator.fit(TEXTS, LABELS) is estimator
    assert estimator.classes_.tolist() == ["animal", "colour", "weather"]
    assert estimator.score(TEXTS, LABELS) > 0.8
    found = estimator.predict_proba(TEXTS)
    np.testing.assert_array_equal(estimator.predict(TEXTS), estimator.classes_[found.argmax(1)])
    assert estimator.result_["rows"] == 60
    again = TenorClassifier(start, **settings).fit(TEXTS, LABELS)
    np.testing.assert_array_equal(again.predict_proba(TEXTS), found)


def test_lower_blocks_learn_more_slowly_if_asked_to(start):
    before = Embedder.load(start, device="cpu").encoder.transformer.state_dict()

    def moved(layer_decay):
        estimator = TenorClassifier(
            start, epochs=2, learning_rate=1e-3, layer_decay=layer_decay, dtype="fp32", device="cpu"
        )
        after = estimator.fit(TEXTS, LABELS).model_.encoder.transformer.state_dict()
        names = [f"encoder.layer.{number}.output.dense.weight" for number in (0, 1)]
        return [(after[name] - before[name]).abs().mean().item() for name in names]

    even, decayed = moved(1.0), moved(0.2)
    assert decayed[0] < 0.5 * even[0] and decayed[0] < 0.5 * decayed[1]
    with pytest.raises(ConfigError, match="layer_decay"):
        TenorClassifier(start, layer_decay=1.5).fit(TEXTS, LABELS)


def test_classes_keep_their_type(estimator):
    numbers = np.array([10, 9, -1])[[list(KEYWORDS).index(label) for label in LABELS]]
    estimator.fit(np.array(TEXTS, dtype=object), numbers)
    assert estimator.classes_.tolist() == [-1, 9, 10]
    assert estimator.predict(TEXTS).dtype == numbers.dtype
    assert estimator.score(TEXTS, numbers) > 0.8
    truth = np.array(LABELS) == "animal"
    estimator.fit(TEXTS, truth)
    assert estimator.predict(TEXTS[:3]).dtype == bool and estimator.score(TEXTS, truth) > 0.8


@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_matrix])
def test_several_labels_a_text(kind, estimator):
    texts, names = random_multi(150)
    target = np.array([[name in each for name in KEYWORDS] for each in names], dtype=int)
    estimator.fit(texts, kind(target))
    found = estimator.predict(texts)
    assert found.shape == target.shape and estimator.classes_.tolist() == [0, 1, 2]
    assert (found == target).mean() > 0.8
    np.testing.assert_array_equal(found, estimator.predict_proba(texts) >= 0.5)


def test_a_clone_is_not_fitted(estimator):
    estimator.fit(TEXTS, LABELS)
    fresh = clone(estimator)
    assert fresh.get_params() == estimator.get_params()
    with pytest.raises(NotFittedError):
        fresh.predict(TEXTS)


@pytest.mark.parametrize("head", ["linear", "logistic"])
def test_a_fitted_one_can_be_pickled(head, estimator):
    estimator.set_params(head=head, epochs=1).fit(TEXTS, LABELS)
    again = pickle.loads(pickle.dumps(estimator))  # noqa: S301
    np.testing.assert_array_equal(again.predict_proba(TEXTS), estimator.predict_proba(TEXTS))


def test_cross_validation_and_pipelines(estimator):
    lower = FunctionTransformer(lambda texts: [text.lower() for text in texts])
    steps = make_pipeline(lower, estimator.set_params(inverse_regularization=100.0))
    scores = cross_val_score(steps, [text.upper() for text in TEXTS], LABELS, cv=3)
    assert scores.shape == (3,) and scores.mean() > 0.5
    search = GridSearchCV(estimator, {"inverse_regularization": [1e-4, 100.0]}, cv=2)
    search.fit(TEXTS, LABELS)
    assert search.best_params_ == {"inverse_regularization": 100.0}
    losses = cross_val_score(estimator, TEXTS, LABELS, cv=2, scoring="neg_log_loss")
    assert np.isfinite(losses).all()


def test_what_cannot_be_used_is_named(estimator):
    with pytest.raises(DataError, match=r"X\[1\] is 3"):
        estimator.fit(["a", 3], [0, 1])
    with pytest.raises(DataError, match="2 texts and 3 targets"):
        estimator.fit(["a", "b"], [0, 1, 1])
    with pytest.raises(DataError, match="one class only"):
        estimator.fit(["a", "b"], [1, 1])
    with pytest.raises(DataError, match="no texts"):
        estimator.fit([], [])
    with pytest.raises(DataError, match="the shape"):
        estimator.fit(np.array([["a", "b"]], dtype=object), [1])
    with pytest.raises(ValueError, match="Unknown label type"):
        estimator.fit(["a", "b"], [0.5, 0.7])
    with pytest.raises(ConfigError, match="head"):
        estimator.set_params(head="deep").fit(TEXTS, LABELS)


def test_a_table_with_one_column_is_taken(estimator):
    table = np.array(TEXTS, dtype=object)[:, None]
    estimator.fit(table, LABELS)
    np.testing.assert_array_equal(estimator.predict(table), estimator.predict(TEXTS))
