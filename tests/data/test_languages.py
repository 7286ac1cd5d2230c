"""The languages of texts, and what is said about them."""

import pytest

from tenor.data.language_findings import languages_and_scripts
from tenor.data.languages import language_mix, main_language
from tenor.data.profile import profile_texts

ENGLISH = [
    "The parcel was sent to the wrong address last week.",
    "How long does it take until my money is on my account?",
    "She has been working for the hospital since she left school.",
    "Nobody told us that the meeting had been cancelled.",
]
GERMAN = [
    "Das Paket wurde letzte Woche an die falsche Adresse geschickt.",
    "Wie lange dauert es, bis mein Geld auf dem Konto ist?",
    "Sie arbeitet im Krankenhaus, seit sie die Schule verlassen hat.",
    "Niemand hat uns gesagt, dass die Sitzung abgesagt worden war.",
]
RUSSIAN = ["Никто не сказал нам, что встреча была отменена на прошлой неделе."]


@pytest.mark.parametrize(("texts", "code"), [(ENGLISH, "en"), (GERMAN, "de"), (RUSSIAN, "ru")])
def test_sentences_of_ten_words_are_told(texts, code):
    assert [main_language(text) for text in texts] == [code] * len(texts)


@pytest.mark.parametrize("text", ["", "42 + 17 = 59", "ok", "Hotel Paris", "!" * 300])
def test_what_could_be_any_language_is_none(text):
    assert main_language(text) is None


def test_shares_are_of_all_texts_and_unsure_ones_come_last():
    texts = [*ENGLISH, GERMAN[0], "ok", "no", "1", "2", "3"]
    assert list(language_mix(texts).items()) == [("en", 0.4), ("de", 0.1), ("unsure", 0.5)]
    assert language_mix([]) == {}


def test_of_many_texts_a_sample_is_looked_at():
    mix = language_mix([*ENGLISH, *ENGLISH, *GERMAN, *GERMAN] * 1_000)
    assert mix.keys() == {"en", "de"} and mix["en"] == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize(
    ("texts", "severity", "told"),
    [
        (ENGLISH, None, ""),
        (["a cat", "some boats"], None, ""),
        ([*(f"{text} {n}" for text in ENGLISH for n in range(9)), GERMAN[0]], None, ""),
        ([*ENGLISH, *GERMAN], "warning", "several languages (en 50%, de 50%)"),
        (GERMAN, "note", "in one language, de 100%"),
        (RUSSIAN, "note", "Cyrillic 100%"),
        ([*ENGLISH, *GERMAN[:2]], None, ""),
        (["a cat", "кот"], "note", "Latin 50%, Cyrillic 50%"),
        (["кот"], "note", "Cyrillic 100%"),
    ],
)
def test_what_is_not_english_alone_is_told(texts, severity, told):
    found = languages_and_scripts("f", profile_texts(texts))
    assert (None if found is None else found.severity) == severity
    assert found is None or (told in found.message and "--model" in found.message)
