"""Tiny random taggers and tagged texts: what their tests run on."""

import json

import numpy as np
import torch
from transformers import AutoConfig, AutoModelForTokenClassification

from tenor.data.tags import bio_labels
from tenor.models.tagger import Tagger
from tiny import CONFIGS, WORDS, tiny_tokenizer

TYPES = ("ANIMAL", "COLOUR", "PLACE")
LABELS = bio_labels(TYPES)
ANIMALS, COLOURS = ("cat", "dog", "bird", "fish"), ("red", "blue", "green")
PLACES = ("river", "road", "house")


def tiny_token_classifier(name="bert", *, labels=LABELS, seed=0, std=0.3, dropout=0.0, **overrides):
    """A random `…ForTokenClassification` of an architecture; mistakes show in its logits."""
    config = AutoConfig.for_model(
        name, **{**CONFIGS[name], "id2label": dict(enumerate(labels)), **overrides}
    )
    config.label2id = {label: number for number, label in enumerate(labels)}
    for key in vars(config):
        if "dropout" in key and isinstance(getattr(config, key), float):
            setattr(config, key, dropout)
    model = AutoModelForTokenClassification.from_config(config)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.copy_(noise * std) if parameter.dim() > 1 else parameter.add_(noise * 0.1)
    return model.eval()


def tiny_tagger(name="bert", *, max_length=40, **options):
    return Tagger(tiny_token_classifier(name, **options), tiny_tokenizer(max_length))


def tagged_rows(count, *, seed=0, words=(2, 10)):
    """Words and tags that can be learnt: animals, colours, and places of two words."""
    generator = np.random.default_rng(seed)
    rows = []
    for _ in range(count):
        tokens, tags = [], []
        for _ in range(int(generator.integers(*words))):
            kind = generator.integers(5)
            if kind == 0:
                tokens.append(str(generator.choice(ANIMALS)))
                tags.append("B-ANIMAL")
            elif kind == 1:
                tokens.append(str(generator.choice(COLOURS)))
                tags.append("B-COLOUR")
            elif kind == 2:
                tokens += ["near", str(generator.choice(PLACES))]
                tags += ["B-PLACE", "I-PLACE"]
            else:
                tokens.append(str(generator.choice(WORDS[:8])))
                tags.append("O")
        rows.append({"tokens": tokens, "ner_tags": tags})
    return rows


def write_jsonl(path, rows):
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    return str(path)
