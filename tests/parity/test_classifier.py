"""Classifiers in `transformers`: the same folders give the same probabilities in its pipeline."""

import numpy as np
import pytest
from transformers import AutoTokenizer, pipeline

from tenor.models.classifier import TextClassifier
from tiny import random_texts, tiny_hf_tokenizer
from tiny_labels import tiny_encoder_classifier
from tiny_pairs import tiny_classifier

TEXTS = [*random_texts(12), "the cat " * 40]
FAMILIES = {
    "bert": {},
    "roberta": {"type_vocab_size": 2},
    "distilbert": {},
    "electra": {},
    "albert": {},
    "modernbert": {"classifier_pooling": "mean"},
    "deberta-v2": {"type_vocab_size": 2},
}


def of_pipeline(folder, labels):
    """(N, C) probabilities as `transformers` gives them."""
    classify = pipeline("text-classification", model=str(folder), top_k=None, device="cpu")
    found = [
        {each["label"]: each["score"] for each in row} for row in classify(TEXTS, truncation=True)
    ]
    assert all(row.keys() == set(labels) for row in found)
    return np.array([[row[label] for label in labels] for row in found])


@pytest.mark.parametrize("multi_label", [False, True])
@pytest.mark.parametrize("family", FAMILIES)
def test_what_we_save_gives_the_same_there(family, multi_label, tmp_path):
    labels = ("good", "bad", "so so")
    options = {"labels": labels, "multi_label": multi_label, **FAMILIES[family]}
    model = tiny_encoder_classifier(family, **options)
    model.save(tmp_path)
    found = of_pipeline(tmp_path, labels)
    np.testing.assert_allclose(found, model.predict_proba(TEXTS), atol=1e-5)
    assert AutoTokenizer.from_pretrained(tmp_path).model_max_length == 40


@pytest.mark.parametrize(
    "problem", [None, "single_label_classification", "multi_label_classification"]
)
@pytest.mark.parametrize("classes", [2, 3])
def test_what_they_save_gives_the_same_here(classes, problem, tmp_path):
    theirs = tiny_classifier(classes=classes, problem_type=problem)
    theirs.save_pretrained(tmp_path)
    tokenizer = tiny_hf_tokenizer()
    tokenizer.model_max_length = 30
    tokenizer.save_pretrained(tmp_path)
    model = TextClassifier.load(tmp_path, device="cpu", dtype="fp32")
    assert model.labels == tuple(f"LABEL_{number}" for number in range(classes))
    assert model.multi_label == (problem == "multi_label_classification")
    assert model.max_seq_length == 30
    found = of_pipeline(tmp_path, model.labels)
    np.testing.assert_allclose(model.predict_proba(TEXTS), found, atol=1e-5)
