"""Long texts in windows: nothing lost, nothing twice, and most context for each word."""

import numpy as np
import pytest

from tenor.errors import ConfigError
from tenor.tokens.token_ids import TokenIds
from tenor.tokens.windows import cut_windows
from tenor.tokens.word_tokens import WordTokens

FRAME = ([1], [2])


def tokens_of(texts):
    """Texts, given as the number of tokens of each of their words."""
    counts = [count for pieces in texts for count in pieces]
    offsets = np.concatenate([[0], np.cumsum([len(pieces) for pieces in texts])])
    return WordTokens(
        ids=TokenIds.of([list(range(10, 10 + sum(pieces))) for pieces in texts]),
        word=np.repeat(np.arange(len(counts)), counts),
        offsets=offsets.astype(np.int64),
        starts=np.zeros(len(counts), dtype=np.int64),
        ends=np.ones(len(counts), dtype=np.int64),
    )


def rows_of(windows):
    return [windows.ids[row].tolist() for row in range(len(windows.ids))]


def test_short_texts_are_framed():
    windows = cut_windows(tokens_of([[1, 2], [], [1]]), FRAME, 6)
    assert rows_of(windows) == [[1, 10, 11, 12, 2], [1, 10, 2]]
    assert windows.text.tolist() == [0, 2] and windows.split == 0
    assert windows.word.tolist() == [-1, 0, 1, 1, -1, -1, 2, -1]
    assert windows.first.tolist() == [False, True, True, False, False, False, True, False]


def test_a_long_text_is_cut_between_words_with_context_on_both_sides():
    windows = cut_windows(tokens_of([[1] * 10]), FRAME, 8, overlap=2)
    assert rows_of(windows) == [[1, *range(10, 16), 2], [1, *range(14, 20), 2]]
    # Word 4 has one token behind it in the first window, none before it in the second.
    assert windows.word.tolist() == [-1, 0, 1, 2, 3, 4, -1, -1, -1, -1, 5, 6, 7, 8, 9, -1]
    assert windows.split == 1


@pytest.mark.parametrize("overlap", [0, 1, 3, 64])
@pytest.mark.parametrize("seed", range(20))
def test_every_word_counts_once_where_most_is_around_it(seed, overlap):
    generator = np.random.default_rng(seed)
    texts = [generator.integers(1, 4, generator.integers(0, 40)).tolist() for _ in range(6)]
    tokens = tokens_of(texts)
    limit = int(generator.integers(8, 20))
    windows = cut_windows(tokens, FRAME, limit, overlap=overlap)
    assert windows.ids.lengths.max() <= limit
    assert windows.word[windows.first].tolist() == list(range(tokens.words))
    counted = np.bincount(windows.word[windows.word >= 0])
    assert counted.tolist() == np.bincount(tokens.word).tolist()  # with all their tokens
    starts = np.array([row[1] for row in rows_of(windows)]) - 10
    ends = starts + windows.ids.lengths - 2
    owner = np.repeat(np.arange(len(starts)), windows.ids.lengths)
    first = np.concatenate([np.cumsum([0, *pieces])[:-1] for pieces in texts]).astype(int)
    size = np.bincount(tokens.word)
    for word, text in enumerate(tokens.text_of_word().tolist()):
        total = sum(texts[text])
        around = {}
        for window in np.flatnonzero(windows.text == text).tolist():
            before, behind = first[word] - starts[window], ends[window] - first[word] - size[word]
            if before >= 0 and behind >= 0:
                before = 99 if starts[window] == 0 else before
                around[window] = min(before, 99 if ends[window] == total else behind)
        assert around[int(owner[windows.word == word][0])] == max(around.values())


def test_a_word_longer_than_a_window_keeps_its_beginning():
    windows = cut_windows(tokens_of([[2, 9, 1, 1]]), FRAME, 6, overlap=2)
    assert set(windows.word[windows.first].tolist()) == {0, 1, 2, 3}
    assert windows.ids.lengths.max() <= 6
    alone = cut_windows(tokens_of([[9]]), FRAME, 6)
    assert rows_of(alone) == [[1, 10, 11, 12, 13, 2]]


def test_without_splitting_the_rest_is_lost_and_told():
    windows = cut_windows(tokens_of([[1] * 10, [1]]), FRAME, 6, split=False)
    assert windows.word[windows.first].tolist() == [0, 1, 2, 3, 10]
    assert windows.ids.truncated == 1 and windows.split == 0


def test_no_texts_at_all():
    assert len(cut_windows(tokens_of([[]]), FRAME, 6).ids) == 0


def test_settings_that_cannot_be():
    with pytest.raises(ConfigError, match="max_seq_length"):
        cut_windows(tokens_of([[1]]), FRAME, 2)
    with pytest.raises(ConfigError, match="overlap"):
        cut_windows(tokens_of([[1]]), FRAME, 6, overlap=-1)
