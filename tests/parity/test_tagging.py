"""Taggers against transformers and seqeval: the same logits, spans and figures."""

import warnings

import numpy as np
import pytest
import torch
from transformers import AutoModelForTokenClassification, pipeline

from tenor.data.tags import is_valid_bio
from tenor.evaluation.span_scores import tag_metrics
from tenor.models.tagger import Tagger
from tenor.tokens.packed import PackedBatch
from tiny import random_texts, tiny_hf_tokenizer
from tiny_tags import LABELS, tiny_tagger, tiny_token_classifier

TEXTS = [*random_texts(20, words=(2, 15)), "the cat, a (red) dog.", "catfish near u.s. 10-year"]
FAMILIES = ["bert", "roberta", "distilbert", "electra", "albert", "modernbert", "mpnet"]
ALL_TAGS = ["O", "B-A", "I-A", "B-B", "I-B"]


def overrides(family):
    """The tokenizer's types, and its padding: RoBERTa takes no position for a padding token."""
    return {"type_vocab_size": 2, "pad_token_id": 0} if family == "roberta" else {}


@pytest.mark.parametrize("family", [*FAMILIES, "deberta-v2"])
def test_what_we_save_has_the_same_logits_there(family, tmp_path):
    model = tiny_tagger(family, seed=3, **overrides(family))
    model.save(tmp_path / "model")
    theirs = AutoModelForTokenClassification.from_pretrained(tmp_path / "model").eval()
    ids = model.tokenizer(TEXTS)
    with torch.no_grad():
        found = model(PackedBatch.of(ids))
        expected = torch.cat(
            [theirs(torch.from_numpy(ids[row].astype(np.int64))[None]).logits[0]
             for row in range(len(ids))]
        )  # fmt: skip
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("labels", [LABELS, ("O", "I-A", "I-B")])  # of the latter all is valid
@pytest.mark.parametrize("family", FAMILIES)
def test_the_pipeline_finds_what_we_find(family, labels, tmp_path):
    classifier = tiny_token_classifier(family, labels=labels, seed=3, **overrides(family))
    classifier.save_pretrained(tmp_path)
    tiny_hf_tokenizer().save_pretrained(tmp_path)
    model = Tagger.load(tmp_path, device="cpu", dtype="fp32")
    theirs = pipeline("token-classification", str(tmp_path), aggregation_strategy="first")
    compared = 0
    for text, spans in zip(TEXTS, model.predict(TEXTS), strict=True):
        greedy = _greedy(model, text)
        if labels == LABELS and not is_valid_bio(greedy):  # there we differ on purpose
            continue
        compared += 1
        expected = theirs(text)
        assert [(s.label, s.start, s.end) for s in spans] == [
            (one["entity_group"], one["start"], one["end"]) for one in expected
        ]
        np.testing.assert_allclose(
            [s.score for s in spans], [one["score"] for one in expected], atol=1e-4
        )
    assert compared == len(TEXTS) or labels == LABELS


def _greedy(model, text):
    """The likeliest tag of each word, by itself."""
    tokens = model.words([text], [None])
    with torch.no_grad():
        logits = model(PackedBatch.of(model.tokenizer([text])))[1:-1]
    first = np.unique(tokens.word, return_index=True)[1]
    return [model.labels[number] for number in logits[first].argmax(-1).tolist()]


def random_tags(generator, count, valid):
    texts = []
    while len(texts) < count:
        tags = generator.choice(ALL_TAGS, generator.integers(1, 12)).tolist()
        if not valid or is_valid_bio(tags):
            texts.append(tags)
    return texts


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_the_figures_are_those_of_seqeval(strict, seed):
    pytest.importorskip("seqeval")
    from seqeval.metrics import classification_report
    from seqeval.scheme import IOB2

    generator = np.random.default_rng(seed)
    gold = random_tags(generator, 30, valid=seed % 2 == 0)
    found = [
        [tag if generator.random() < 0.7 else str(generator.choice(ALL_TAGS)) for tag in tags]
        for tags in gold
    ]
    how = {"mode": "strict", "scheme": IOB2} if strict else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = classification_report(gold, found, output_dict=True, digits=6, **how)
    figures = tag_metrics(gold, found, strict=strict)
    names = {"micro avg": "", "macro avg": "macro_", "weighted avg": "weighted_"}
    for row, values in expected.items():
        for theirs, ours in (("precision", "precision"), ("recall", "recall"), ("f1-score", "f1")):
            name = f"{names[row]}{ours}" if row in names else f"{ours}_{row}"
            assert figures[name] == pytest.approx(values[theirs], abs=1e-9), name


@pytest.mark.parametrize(
    ("tags", "spans"),
    [
        (["B-A", "I-A", "E-A", "S-B"], [("A", 0, 2), ("B", 3, 3)]),
        (["I-A", "B-A", "I-B", "O", "I-B"], None),
        (["E-A", "I-A", "S-A", "E-A"], None),
    ],
)
def test_every_scheme_is_read_as_seqeval_reads_it(tags, spans):
    pytest.importorskip("seqeval")
    from seqeval.metrics.sequence_labeling import get_entities

    from tenor.data.tags import read_tag, tag_spans

    ours = [(s.type, s.start, s.end - 1) for s in tag_spans([read_tag(tag) for tag in tags])]
    assert ours == get_entities(tags)
    assert spans is None or ours == spans
