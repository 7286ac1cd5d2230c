"""Tiny texts with labels that a tiny model can learn, and classifiers to try."""

import numpy as np

from tenor.data.schema import PairTable
from tenor.models.encoder_classifier import EncoderClassifier
from tiny import WORDS, tiny_tokenizer
from tiny_pairs import tiny_classifier

KEYWORDS = {
    "animal": ("cat", "dog", "bird", "fish"),
    "colour": ("red", "blue", "green"),
    "weather": ("rain", "wind", "snow", "sun"),
}
OTHERS = [word for word in WORDS if not any(word in words for words in KEYWORDS.values())]


def random_labelled(count, *, labels=("animal", "colour", "weather"), seed=0):
    """Texts of random words with one that tells the label, and the labels."""
    generator = np.random.default_rng(seed)
    texts, chosen = [], []
    for row in range(count):
        label = labels[row % len(labels)]
        words = generator.choice(OTHERS, generator.integers(1, 8)).tolist()
        words.insert(
            int(generator.integers(len(words) + 1)), str(generator.choice(KEYWORDS[label]))
        )
        texts.append(" ".join(words))
        chosen.append(label)
    return texts, chosen


def random_multi(count, *, seed=0):
    """Texts with none to three labels, as tuples of names."""
    generator = np.random.default_rng(seed)
    texts, chosen = [], []
    for _ in range(count):
        names = [name for name in KEYWORDS if generator.random() < 0.4]
        words = generator.choice(OTHERS, generator.integers(1, 5)).tolist()
        words += [str(generator.choice(KEYWORDS[name])) for name in names]
        texts.append(" ".join(generator.permutation(words)))
        chosen.append(tuple(names))
    return texts, chosen


def label_table(texts, target, names):
    """Labelled texts as they come from a file."""
    target = np.asarray(target)
    return PairTable(
        kind="labelled_texts" if target.ndim == 1 else "multi_labelled_texts",
        columns={"text": list(texts)},
        target=target,
        label_names=tuple(names),
        lines=np.arange(2, len(texts) + 2),
        path="file.csv",
        sha256="0" * 64,
    )


def tiny_encoder_classifier(
    name="bert", *, labels=("animal", "colour", "weather"), multi_label=False, **options
):
    classifier = tiny_classifier(name, classes=len(labels), **options)
    model = EncoderClassifier(classifier, tiny_tokenizer(40))
    model.labels, model.multi_label = labels, multi_label
    return model


class ProbabilityModel:
    """Gives probabilities that were made before."""

    def __init__(self, probabilities, labels, *, multi_label=False, cut=0):
        self.probabilities = np.asarray(probabilities)
        self.labels, self.multi_label, self.cut = tuple(labels), multi_label, cut

    def predict_proba_counted(self, texts):
        assert len(texts) == len(self.probabilities)
        return self.probabilities, self.cut
