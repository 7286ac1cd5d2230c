import hashlib
import json

import numpy as np
import pytest

from tenor.errors import DataError, ModelError
from tenor.evaluation.result import EvaluationResult, encode_texts, hash_files


def result(**changes):
    values = {
        "metrics": {"spearman_cosine": np.float64(0.1 + 0.2)},
        "intervals": {"spearman_cosine": (0.25, 0.35)},
        "n": 3,
        "truncated": 1,
        "seconds": 0.5,
        "model": {"name": "stub", "sha256": "ab"},
        "data": {"path": "pairs.csv", "sha256": "cd"},
        "notes": {"left_out": 2},
        "per_item": {"cosine": np.arange(3.0)},
    }
    return EvaluationResult(**{**values, **changes})


def test_json_has_the_documented_keys_and_full_precision():
    values = json.loads(json.dumps(result().to_json(), allow_nan=False))
    assert values == {
        "metrics": {"spearman_cosine": 0.30000000000000004},
        "intervals": {"spearman_cosine": [0.25, 0.35]},
        "n": 3,
        "truncated": 1,
        "seconds": 0.5,
        "model": {"name": "stub", "sha256": "ab"},
        "data": {"path": "pairs.csv", "sha256": "cd"},
        "notes": {"left_out": 2},
    }


def test_result_survives_json():
    text = json.dumps(result().to_json())
    assert EvaluationResult.from_json(json.loads(text)) == result()


def test_undefined_figures_stay_valid_json():
    undefined = result(metrics={"precision": float("nan")}, intervals={"precision": (0.0, np.inf)})
    values = json.loads(json.dumps(undefined.to_json(), allow_nan=False))
    assert values["metrics"] == {"precision": None}
    again = EvaluationResult.from_json(values)
    assert np.isnan(again.metrics["precision"])
    assert again.intervals["precision"][0] == 0.0


def test_reading_an_incomplete_result_names_what_is_missing():
    values = result().to_json()
    del values["seconds"], values["notes"]
    with pytest.raises(DataError, match="seconds, notes"):
        EvaluationResult.from_json(values)


def test_hash_is_that_of_the_contents(tmp_path):
    first, second = tmp_path / "a", tmp_path / "b"
    first.write_bytes(b"x" * 3_000_000)
    second.write_bytes(b"tail")
    assert hash_files([first]) == hashlib.sha256(b"x" * 3_000_000).hexdigest()
    assert hash_files([first, second]) == hashlib.sha256(b"x" * 3_000_000 + b"tail").hexdigest()
    with pytest.raises(DataError, match="gone"):
        hash_files([tmp_path / "gone"])


class Counting:
    def __init__(self):
        self.seen = []

    def encode_counted(self, texts):
        self.seen += texts
        return np.array([[len(text), 1.0] for text in texts], dtype=np.float32), 1


def test_each_distinct_text_is_encoded_once_and_truncation_is_kept():
    model = Counting()
    embeddings, truncated = encode_texts(model, ["aa", "b", "aa", "ccc", "b"])
    assert model.seen == ["aa", "b", "ccc"]
    assert embeddings[:, 0].tolist() == [2, 1, 2, 3, 1]
    assert truncated == 1


class Fixed:
    def __init__(self, array):
        self.array = array

    def encode(self, texts):
        return self.array


def test_a_model_without_a_count_truncates_nothing():
    embeddings, truncated = encode_texts(Fixed(np.eye(2)), ["a", "b"])
    assert embeddings.dtype == np.float32
    assert truncated == 0


@pytest.mark.parametrize("shape", [(3, 2), (2,)])
def test_wrong_shapes_are_the_models_fault(shape):
    with pytest.raises(ModelError, match="must give"):
        encode_texts(Fixed(np.zeros(shape)), ["a", "b"])


def test_a_value_that_is_not_finite_names_the_text():
    with pytest.raises(ModelError, match="'bad one'"):
        encode_texts(Fixed(np.array([[1.0], [np.nan]])), ["good", "bad one"])
