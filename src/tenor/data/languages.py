"""Which languages texts are in, told from the letters they are written with.

Lui and Baldwin, "langid.py: An Off-the-shelf Language Identification Tool", ACL 2012
(https://aclanthology.org/P12-3005/), in the model that the package py3langid brings.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

__all__ = ["TEXTS", "UNSURE", "language_mix", "main_language", "told_shares"]

UNSURE = "unsure"
LETTERS = 20  # a text with fewer of them could be in many a language
CHARACTERS = 200  # of a text that are looked at
CONFIDENT = 0.9  # probability of the language, from which it is believed
TEXTS = 500  # that are looked at, drawn at random


def main_language(text: str) -> str | None:
    """The language of a text, as an ISO 639-1 code; `None` where it is too short to be sure.

    >>> main_language("Der Hund schläft den ganzen Tag unter dem Tisch."), main_language("ok!")
    ('de', None)
    """
    if sum(map(str.isalpha, text[:CHARACTERS])) < LETTERS:
        return None
    code, probability = _identifier().classify(text[:CHARACTERS])
    return str(code) if probability >= CONFIDENT else None


def language_mix(texts: Sequence[str]) -> dict[str, float]:
    """The share of texts by their language, most frequent first; of many texts, of a sample.

    Texts whose language cannot be told, most of them short ones, count as "unsure", which comes
    last.
    """
    if len(texts) > TEXTS:
        chosen = np.random.default_rng(0).choice(len(texts), TEXTS, replace=False)
        texts = [texts[place] for place in np.sort(chosen).tolist()]
    counts = Counter(main_language(text) or UNSURE for text in texts)
    order = sorted(counts, key=lambda code: (code == UNSURE, -counts[code]))
    return {code: counts[code] / len(texts) for code in order}


def told_shares(mix: Mapping[str, float]) -> dict[str, float]:
    """The share of each language among the texts whose language can be told.

    >>> told_shares({"en": 0.3, "de": 0.1, "unsure": 0.6})
    {'en': 0.75, 'de': 0.25}
    """
    told = {code: share for code, share in mix.items() if code != UNSURE}
    whole = sum(told.values())
    return {code: round(share / whole, 4) for code, share in told.items()}


@lru_cache(maxsize=1)
def _identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
