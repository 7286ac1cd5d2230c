"""Our figures against scipy's and sentence-transformers' on the same vectors."""

import hashlib
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy import stats
from sentence_transformers.sentence_transformer.evaluation import (
    EmbeddingSimilarityEvaluator,
    InformationRetrievalEvaluator,
)
from sentence_transformers.util import cos_sim

from tenor.evaluation.retrieval import Retrieval
from tenor.evaluation.similarity import EmbeddingSimilarity, pair_similarities, similarity_metrics

WORDS = [f"word{i}" for i in range(80)]
NAMES = ["cosine", "dot", "manhattan", "euclidean"]


class Stub:
    """Sums one random vector a word, behind both libraries' interfaces."""

    similarity_fn_name = "cosine"
    model_card_data = SimpleNamespace(set_evaluation_metrics=lambda *_: None)
    similarity = staticmethod(cos_sim)

    def encode(self, texts, convert_to_tensor=False, **_):
        vectors = np.stack([sum(map(self._word, text.split())) for text in texts])
        return torch.from_numpy(vectors) if convert_to_tensor else vectors

    encode_query = encode_document = encode

    def _word(self, word):
        seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:8], "little")
        return np.random.default_rng(seed).normal(size=24).astype(np.float32)


def sentences(number, seed):
    generator = np.random.default_rng(seed)
    return [" ".join(generator.choice(WORDS, generator.integers(3, 12))) for _ in range(number)]


def test_ten_correlations_match_sentence_transformers():
    left, right = sentences(200, 0), sentences(200, 1)
    shared = [
        " ".join(a.split()[: i % 6] + b.split())
        for i, (a, b) in enumerate(zip(left, right, strict=True))
    ]
    scores = np.random.default_rng(2).normal(np.arange(200) % 6, 1.0).clip(0, 5).round(1)
    peer = EmbeddingSimilarityEvaluator(left, shared, scores.tolist(), similarity_fn_names=NAMES)
    ours = EmbeddingSimilarity(left, shared, scores, resamples=10)(Stub()).metrics
    assert ours == pytest.approx(peer(Stub()), abs=1e-6)


def test_ten_correlations_match_scipy_with_ties():
    generator = np.random.default_rng(3)
    left, right = generator.integers(-2, 3, (2, 300, 6)).astype(np.float32)
    left[:, 0] = right[:, 0] = 5
    gold = generator.integers(0, 6, 300).astype(float)
    metrics = similarity_metrics(left, right, gold)
    for name, values in pair_similarities(left, right).items():
        x = values.astype(np.float64)
        assert metrics[f"pearson_{name}"] == pytest.approx(stats.pearsonr(x, gold)[0], abs=1e-6)
        assert metrics[f"spearman_{name}"] == pytest.approx(stats.spearmanr(x, gold)[0], abs=1e-6)


def test_binary_retrieval_matches_sentence_transformers():
    generator = np.random.default_rng(4)
    documents = sentences(300, 5)
    corpus = {f"d{i:04}": text for i, text in enumerate(documents)}
    queries, qrels = {}, {}
    for i in range(40):
        relevant = generator.choice(300, generator.integers(1, 9), replace=False)
        queries[f"q{i}"] = " ".join(documents[relevant[0]].split()[:4] + sentences(1, i)[0].split())
        qrels[f"q{i}"] = {f"d{document:04}": 1 for document in relevant}
    peer = InformationRetrievalEvaluator(
        queries,
        corpus,
        {query: set(grades) for query, grades in qrels.items()},
        corpus_chunk_size=64,
        mrr_at_k=[10],
        ndcg_at_k=[10, 100],
        accuracy_at_k=[1, 10],
        precision_recall_at_k=[1, 10, 100],
        map_at_k=[100],
    )(Stub())
    names = [name.removeprefix("cosine_") for name in peer]
    ours = Retrieval(corpus, queries, qrels, metrics=names, resamples=10)(Stub()).metrics
    assert len(ours) == 12
    assert {f"cosine_{name}": value for name, value in ours.items()} == pytest.approx(
        peer, abs=1e-6
    )
