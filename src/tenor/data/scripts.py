"""Which writing systems texts are in, by the names that Unicode gives their letters."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

__all__ = ["main_script", "script_mix"]

LETTERS = 200  # of a text that are looked at
TEXTS = 5_000  # that are looked at, evenly spread

# Unicode's names begin with the script; these are the ones that begin otherwise.
_WRITTEN_AS = {
    "CJK": "Han", "IDEOGRAPHIC": "Han", "KANGXI": "Han", "FULLWIDTH": "Latin",
    "HALFWIDTH": "Katakana", "MICRO": "Greek", "OHM": "Greek", "KELVIN": "Latin",
    "ANGSTROM": "Latin", "FEMININE": "Latin", "MASCULINE": "Latin", "SCRIPT": "Latin",
    "MATHEMATICAL": "Latin", "DOUBLE": "Latin", "MODIFIER": "Latin",
}  # fmt: skip
_KANA = ("Hiragana", "Katakana")


def main_script(text: str) -> str | None:
    """The script that most letters of a text are of; `None` for a text without letters.

    Japanese is written in three of them at once: text with kana in it counts as "Japanese".

    >>> main_script("naïve 12"), main_script("Привет, world"), main_script("42!")
    ('Latin', 'Cyrillic', None)
    """
    if text.isascii():
        return "Latin" if any(map(str.isalpha, text)) else None
    counts: Counter[str] = Counter()
    for letter in text:
        if letter.isalpha():
            counts[_script(letter)] += 1
            if counts.total() == LETTERS:
                break
    if any(script in counts for script in _KANA):
        return "Japanese"
    return counts.most_common(1)[0][0] if counts else None


def script_mix(texts: Sequence[str]) -> dict[str, float]:
    """The share of texts by their main script, most frequent first; of many texts, of a sample.

    Texts without letters count as "none". A script is no language: Latin letters write hundreds.

    >>> script_mix(["a cat", "ein Hund", "γάτα", "1 + 1"])
    {'Latin': 0.5, 'Greek': 0.25, 'none': 0.25}
    """
    step = max(len(texts) / TEXTS, 1.0)
    places = [int(number * step) for number in range(min(len(texts), TEXTS))]
    counts = Counter(main_script(texts[place]) or "none" for place in places)
    return {script: count / len(places) for script, count in counts.most_common()}


@lru_cache(maxsize=65_536)
def _script(letter: str) -> str:
    first = unicodedata.name(letter, "UNNAMED").partition(" ")[0].partition("-")[0]
    return _WRITTEN_AS.get(first, first.capitalize())
