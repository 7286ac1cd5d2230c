"""Noise: how much, on what, the same from the same seed, and never a text emptied."""

import numpy as np
import pytest

from tenor.data.noise import NOISES, Noise, VocabularyFacts, words_of
from tenor.errors import ConfigError

TOKENS = ["[PAD]", "[CLS]", "[SEP]", "[MASK]", *(f"w{i}" for i in range(46)), *["##x"] * 50]
FACTS = VocabularyFacts.of(TOKENS, [0, 1, 2, 3], 3)


def texts(count=200, *, seed=0, longest=30):
    """Texts [CLS] … [SEP], the second half of the vocabulary continuing words."""
    generator = np.random.default_rng(seed)
    rows = [
        [1, 4, *generator.integers(4, 100, generator.integers(0, longest)), 2] for _ in range(count)
    ]
    return np.concatenate(rows), np.array([len(row) for row in rows])


def split(ids, lengths):
    return np.split(ids, np.cumsum(lengths)[:-1])


def words(text):
    begins = words_of(text, np.array([len(text)]), FACTS, "word")
    return [tuple(part) for part in np.split(text, np.flatnonzero(begins)[1:])]


@pytest.mark.parametrize("kind", NOISES)
@pytest.mark.parametrize("level", ["word", "token"])
@pytest.mark.parametrize("ratio", [0.0, 0.6, 0.99])
def test_special_tokens_stay_and_no_text_is_emptied(kind, level, ratio):
    ids, lengths = texts(longest=6)
    noise = Noise(kind=kind, ratio=ratio, level=level)
    damaged, new = noise(ids, lengths, FACTS, np.random.default_rng(1))
    assert new.sum() == len(damaged)
    for before, after in zip(split(ids, lengths), split(damaged, new), strict=True):
        assert after[0] == 1
        assert after[-1] == 2
        assert len(after) >= 3
        if kind in ("mask", "delete"):
            assert np.any(after[1:-1] != FACTS.mask_id)
        if kind == "swap":
            assert sorted(after) == sorted(before)
        elif kind != "delete":
            assert len(after) == len(before)
        if ratio == 0:
            assert after.tolist() == before.tolist()


@pytest.mark.parametrize("kind", NOISES)
def test_the_same_seed_gives_the_same_noise(kind):
    ids, lengths = texts()
    noise = Noise(kind=kind)
    one, other, another = (
        noise(ids, lengths, FACTS, np.random.default_rng(seed))[0] for seed in (5, 5, 6)
    )
    assert one.tolist() == other.tolist()
    assert one.tolist() != another.tolist()
    assert ids.tolist() == texts()[0].tolist(), "the originals are not touched"


@pytest.mark.parametrize("level", ["word", "token"])
def test_deletes_about_the_share_that_was_asked_for(level):
    ids, lengths = texts(2_000)
    _, new = Noise(ratio=0.6, level=level)(ids, lengths, FACTS, np.random.default_rng(0))
    inside = lengths - 2
    assert (new - 2).sum() / inside.sum() == pytest.approx(0.4, abs=0.02)


def test_words_are_deleted_whole_and_in_order():
    ids, lengths = texts()
    damaged, new = Noise()(ids, lengths, FACTS, np.random.default_rng(0))
    for before, after in zip(split(ids, lengths), split(damaged, new), strict=True):
        remaining = iter(words(before))
        assert all(word in remaining for word in words(after))


def test_swap_moves_whole_words_within_their_text():
    ids, lengths = texts()
    damaged, _ = Noise(kind="swap", ratio=0.9)(ids, lengths, FACTS, np.random.default_rng(0))
    moved = 0
    for before, after in zip(split(ids, lengths), split(damaged, lengths), strict=True):
        assert sorted(words(before)) == sorted(words(after))
        moved += words(before) != words(after)
    assert moved > 100


def test_mask_and_replace_touch_what_they_should():
    ids, lengths = texts(1_000)
    masked, _ = Noise(kind="mask", ratio=0.3)(ids, lengths, FACTS, np.random.default_rng(0))
    changed = masked != ids
    assert set(masked[changed]) == {FACTS.mask_id}
    assert changed.sum() / (lengths - 2).sum() == pytest.approx(0.3, abs=0.03)
    replaced, _ = Noise(kind="replace", ratio=0.3)(ids, lengths, FACTS, np.random.default_rng(0))
    assert not FACTS.special[replaced[replaced != ids]].any()


@pytest.mark.parametrize(
    ("tokens", "continues"),
    [
        (["[CLS]", "play", "##ing"], [False, False, True]),
        (["<s>", "▁play", "ing"], [False, False, True]),
        (["<s>", "Ġplay", "ing"], [False, False, True]),
        (["<s>", "a", "b"], [False, False, False]),
        (["<s>", "a", None], [False, False, False]),
    ],
)
def test_knows_where_words_begin_in_each_kind_of_vocabulary(tokens, continues):
    assert VocabularyFacts.of(tokens, [0], None).continues.tolist() == continues


def test_a_text_of_special_tokens_only_stays_as_it_is():
    ids, lengths = np.array([1, 2, 1, 4, 2]), np.array([2, 3])
    damaged, new = Noise(ratio=0.9)(ids, lengths, FACTS, np.random.default_rng(0))
    assert damaged.tolist() == ids.tolist()
    assert new.tolist() == lengths.tolist()


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"kind": "shout"}, "noise"),
        ({"ratio": 1.0}, "noise_ratio"),
        ({"ratio": -0.1}, "noise_ratio"),
        ({"level": "letter"}, "level"),
    ],
)
def test_settings_that_cannot_be_are_named(wrong, field):
    with pytest.raises(ConfigError, match=f"^{field} ="):
        Noise(**wrong)


def test_masking_needs_a_mask_token():
    ids, lengths = texts(3)
    facts = VocabularyFacts.of(TOKENS, [0, 1, 2, 3], None)
    with pytest.raises(ConfigError, match="mask token"):
        Noise(kind="mask")(ids, lengths, facts, np.random.default_rng(0))
