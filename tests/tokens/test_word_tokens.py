"""Which tokens make a word, for tokenizers of every kind."""

import pytest
from tokenizers import Tokenizer as Backend
from tokenizers import models, normalizers, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from tenor.errors import ModelError
from tenor.tokens.tokenizer import Tokenizer
from tenor.tokens.word_tokens import WordTokenizer
from tiny import tiny_tokenizer

TEXT = "The cat (red) sits. 猫です, x-y café"


def word_piece():
    return tiny_tokenizer()


def byte_level():
    vocabulary = {char: n for n, char in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    vocabulary |= {"Ġc": 256, "Ġca": 257, "at": 258, "<s>": 259, "</s>": 260}
    merges = [("Ġ", "c"), ("Ġc", "a"), ("a", "t")]
    backend = Backend(models.BPE(vocabulary, merges))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.post_processor = processors.RobertaProcessing(
        ("</s>", 260), ("<s>", 259), add_prefix_space=False
    )
    return wrapped(backend)


def metaspace(split=True):
    pieces = [("<unk>", 0.0), ("▁", -2.0), ("▁The", -1.0), ("▁cat", -1.0), ("▁sits", -1.0)]
    pieces += [(char, -3.0) for char in "(red).猫です,x-ycafé"]
    backend = Backend(models.Unigram(pieces, unk_id=0))
    backend.normalizer = normalizers.NFKC()
    backend.pre_tokenizer = pre_tokenizers.Metaspace(split=split)
    return wrapped(backend)


def wrapped(backend):
    return Tokenizer(PreTrainedTokenizerFast(tokenizer_object=backend), 64)


KINDS = {
    "word_piece": word_piece,
    "byte_level": byte_level,
    "metaspace": metaspace,
    "not_split": lambda: metaspace(split=False),
}


def words_of(found, text):
    places = zip(found.starts.tolist(), found.ends.tolist(), strict=True)
    return [text[start:end] for start, end in places]


@pytest.mark.parametrize("kind", KINDS)
def test_the_words_of_a_text_are_the_same_for_every_tokenizer(kind):
    found = WordTokenizer(KINDS[kind]())([TEXT], [None])
    words = words_of(found, TEXT)
    assert words[:7] == ["The", "cat", "(", "red", ")", "sits", "."]
    assert words[7].startswith("猫") and "," in words
    assert words[-4:] == ["x", "-", "y", "café"]
    assert set(found.word.tolist()) == set(range(len(words)))  # every word has a token


@pytest.mark.parametrize("kind", KINDS)
def test_given_words_keep_their_tokens(kind):
    words = ["The", "cat", "sits.", "x-y", "(red)"]
    text = " ".join(words)
    places = [(text.index(word), text.index(word) + len(word)) for word in words]
    found = WordTokenizer(KINDS[kind]())([text, "cat"], [places, None])
    assert words_of(found, text)[:5] == words
    assert found.offsets.tolist() == [0, 5, 6]
    of_words = found.word[: int(found.ids.offsets[1])]
    assert sorted(set(of_words.tolist())) == [0, 1, 2, 3, 4]
    assert (of_words[1:] >= of_words[:-1]).all()


def test_a_byte_level_tokenizer_sees_the_space_before_a_word():
    found = WordTokenizer(byte_level())(["a cat"], [[(0, 1), (2, 5)]])
    raw = byte_level().tokenizer
    assert raw.convert_ids_to_tokens(found.ids[0].tolist()) == ["a", "Ġca", "t"]
    assert found.word.tolist() == [0, 1, 1]


def test_a_word_of_no_token_has_no_token():
    found = WordTokenizer(word_piece())(["a \u200e b"], [[(0, 1), (2, 3), (4, 5)]])
    assert found.word.tolist() == [0, 2] and found.words == 3


def test_texts_without_words():
    found = WordTokenizer(word_piece())(["", "  ", "a"], [None, [], None])
    assert found.offsets.tolist() == [0, 0, 0, 1]
    assert WordTokenizer(metaspace())(["  "], [None]).words == 0
    assert len(WordTokenizer(word_piece())([], [])) == 0


def test_the_frame_of_special_tokens():
    assert WordTokenizer(word_piece()).frame() == ([2], [3])
    assert WordTokenizer(byte_level()).frame() == ([259], [260])
    assert WordTokenizer(metaspace()).frame() == ([], [])


def test_tokens_are_those_of_the_whole_text():
    tokenizer = tiny_tokenizer()
    texts = ["the cat sits near a river", "dog"]
    found = WordTokenizer(tokenizer)(texts, [None, None])
    expected = tokenizer(texts)
    for row in range(2):
        assert found.ids[row].tolist() == expected[row].tolist()[1:-1]


def test_a_slow_tokenizer_is_refused():
    class Slow:
        is_fast = False

        def num_special_tokens_to_add(self, pair):
            return 2

    with pytest.raises(ModelError, match="slow tokenizer"):
        WordTokenizer(Tokenizer(Slow(), 24))
