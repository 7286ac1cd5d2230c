"""Tiny random classifiers, cross-encoders and pairs: what their tests run on."""

import numpy as np
import torch
from transformers import AutoConfig, AutoModelForSequenceClassification

from tenor.data.schema import PairTable
from tenor.models.cross_encoder import CrossEncoder
from tiny import CONFIGS, random_texts, tiny_tokenizer


def tiny_classifier(name="bert", *, classes=1, seed=0, std=0.2, dropout=0.0, **overrides):
    """A random `…ForSequenceClassification` of an architecture; mistakes show in its logits."""
    settings = {**CONFIGS[name], "num_labels": classes, **overrides}
    config = AutoConfig.for_model(name, **settings)
    for key in vars(config):
        if "dropout" in key and isinstance(getattr(config, key), float):
            setattr(config, key, dropout)
    model = AutoModelForSequenceClassification.from_config(config)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.copy_(noise * std) if parameter.dim() > 1 else parameter.add_(noise * 0.1)
    return model.eval()


def tiny_cross_encoder(name="bert", *, max_length=40, activation=None, **options):
    classifier = tiny_classifier(name, **options)
    return CrossEncoder(classifier, tiny_tokenizer(max_length), activation=activation)


def random_pairs(count, *, seed=0, words=(1, 12)):
    left = random_texts(count, seed=seed, words=words)
    return list(zip(left, random_texts(count, seed=seed + 100, words=words), strict=True))


def pair_table(kind, columns, target=None, names=None):
    """Rows as they come from a file."""
    rows = len(next(iter(columns.values())))
    return PairTable(
        kind=kind,
        columns=columns,
        target=target,
        label_names=names,
        lines=np.arange(1, rows + 1),
        path="file.csv",
        sha256="0" * 64,
    )


class ScoreModel:
    """Gives scores that were made before, by pair."""

    def __init__(self, scores, labels=("score",), cut=0):
        self.scores, self.labels, self.cut = scores, labels, cut
        self.seen = []

    def score_counted(self, pairs):
        self.seen += pairs
        if callable(self.scores):
            return np.array([self.scores(left, right) for left, right in pairs]), self.cut
        return np.asarray(self.scores, dtype=np.float32), self.cut
