"""Hard negatives and duplicates against sentence-transformers, on the same vectors."""

import numpy as np
import pytest
from datasets import Dataset
from sentence_transformers import SentenceTransformer
from sentence_transformers.util import mine_hard_negatives, paraphrase_mining

from tenor.data.negative_rules import NegativeRules
from tenor.models.embedder import Embedder
from tenor.recipes.duplicates import find_duplicates
from tenor.recipes.hard_negatives import hard_negatives
from tiny import random_texts, tiny_model

TEXTS = list(dict.fromkeys(random_texts(330, seed=5, words=(3, 9))))


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tiny_model(tmp_path_factory.mktemp("start") / "model")
    return Embedder.load(folder, device="cpu", dtype="fp32"), SentenceTransformer(
        folder, device="cpu"
    )


def test_paraphrase_mining(models):
    ours, theirs = models
    expected = paraphrase_mining(theirs, TEXTS, top_k=len(TEXTS), max_pairs=2_000)
    found = find_duplicates(ours, TEXTS, top=2_000)
    np.testing.assert_allclose(found.scores, [score for score, *_ in expected], atol=1e-5)
    # Pairs whose scores differ by rounding only may swap, also over the edge.
    clear = expected[-1][0] + 1e-5
    left = {tuple(rows) for score, *rows in expected if score > clear}
    right = zip(found.rows1.tolist(), found.rows2.tolist(), found.scores.tolist(), strict=True)
    assert left <= set(zip(found.rows1.tolist(), found.rows2.tolist(), strict=True))
    assert {(a, b) for a, b, score in right if score > clear + 1e-5} <= left


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ({"relative_margin": 0.02}, {"relative_margin": 0.02}),
        ({}, {"relative_margin": None}),
        ({"absolute_margin": 0.02}, {"margin": 0.02, "relative_margin": None}),
        (
            {"max_score": 0.96, "min_score": 0.9, "relative_margin": 0.0},
            {"max_score": 0.96, "min_score": 0.9, "relative_margin": 0.0},
        ),
        ({"range_min": 4}, {"skip": 4, "relative_margin": None}),
    ],
)
def test_hard_negatives(models, theirs, ours):
    """With several positives an anchor; skipping counts ranks before the margins here."""
    anchors = [TEXTS[row % 40] for row in range(60)]
    # Some positives near their anchors, as the tiny model finds all texts alike, and some far.
    positives = [f"{anchor} {end}" for anchor, end in zip(anchors, TEXTS[100:160], strict=True)]
    positives = [text.rsplit(" ", row % 5 + 1)[0] for row, text in enumerate(positives)]
    corpus = TEXTS[160:]
    model, reference = models
    expected = mine_hard_negatives(
        Dataset.from_dict({"anchor": anchors, "positive": positives}),
        reference,
        corpus=[*corpus, *positives],
        range_max=50,
        num_negatives=3,
        output_format="n-tuple",
        verbose=False,
        **theirs,
    )
    rules = NegativeRules(negatives=3, too_few="drop", **ours)
    found = hard_negatives(model, anchors, positives, [*corpus, *positives], rules=rules, depth=50)
    complete = {
        (anchor, positive): tuple(negatives)
        for anchor, positive, negatives in zip(anchors, positives, found.negatives, strict=True)
        if len(negatives) == 3
    }
    assert len(complete) > 15
    assert complete == {
        (row["anchor"], row["positive"]): tuple(row[f"negative_{i}"] for i in (1, 2, 3))
        for row in expected
    }
