"""Where sentences end, and where a full stop is none."""

import pytest

from tenor.data.sentences import join_sentences, split_sentences

CASES = {
    "plain": "The cat sat. It slept! Did it dream? Nobody knows.",
    "titles": "Dr. Who met Mrs. Hall and Prof. Xu. They talked.",
    "latin": "Use fruit, e.g. Apples, i.e. Malus, cf. Rosaceae vs. Fabaceae. Eat it.",
    "initials": "J. R. R. Tolkien met C.S. Lewis. They drank.",
    "a letter that ends a sentence": "Take vitamin C. It helps. This is plan B. We wait.",
    "decimals": "It costs $3.50 or 1.000.000 lire. Version 2.0.1 is out. See v. 3 now.",
    "numbers": "It began in 2010. 5 people came. See No. 5 and Fig. 3 on p. 12. Done.",
    "no": "Was it good? No. He left. On Jan. 5 he returned. Later, in Feb. He stayed.",
    "states": "The U.S. Senate met at 9 a.m. Monday. He left the U.S. The end.",
    "companies": "Acme Inc. Chairman Bo spoke. He owns Acme Inc. They sell it. Nuts, etc. Are not.",
    "quotations": '"Stop!" he said. "Go." Then she left. (See below.) [Or not.] “Why?” She ran.',
    "lower case": "Yahoo! is a firm. it has none. iPhones ring... and ring. Fine... Next one.",
    "addresses": "See www.example.com/a.b?c=d or a.b@c.org. It works.",
    "enumerators": "1. Boil water. 2. Add tea.",
    "emphasis": "What?! Really?? Yes!!! Good.",
    "spanish": "¿Qué pasa? ¡Nada! Todo bien.",
    "french": "« Oui. » Il partit. M. Dupont resta.",
    "russian": "Он пришёл. Она ушла. А. С. Пушкин писал.",
    "hindi": "वह आया। वह गया। क्या हुआ?",
    "arabic": "كيف حالك؟ أنا بخير. شكرا.",
    "greek": "Τι; Ναι. Όχι.",
}
EXPECTED = {
    "plain": ["The cat sat.", "It slept!", "Did it dream?", "Nobody knows."],
    "titles": ["Dr. Who met Mrs. Hall and Prof. Xu.", "They talked."],
    "latin": ["Use fruit, e.g. Apples, i.e. Malus, cf. Rosaceae vs. Fabaceae.", "Eat it."],
    "initials": ["J. R. R. Tolkien met C.S. Lewis.", "They drank."],
    "a letter that ends a sentence": [
        "Take vitamin C.", "It helps.", "This is plan B.", "We wait.",
    ],
    "decimals": [
        "It costs $3.50 or 1.000.000 lire.", "Version 2.0.1 is out.", "See v. 3 now.",
    ],
    "numbers": [
        "It began in 2010.", "5 people came.", "See No. 5 and Fig. 3 on p. 12.", "Done.",
    ],
    "no": [
        "Was it good?", "No.", "He left.", "On Jan. 5 he returned.", "Later, in Feb.", "He stayed.",
    ],
    "states": ["The U.S. Senate met at 9 a.m. Monday.", "He left the U.S.", "The end."],
    "companies": [
        "Acme Inc. Chairman Bo spoke.", "He owns Acme Inc.", "They sell it.", "Nuts, etc.",
        "Are not.",
    ],
    "quotations": [
        '"Stop!" he said.', '"Go."', "Then she left.", "(See below.)", "[Or not.]",
        "“Why?”", "She ran.",
    ],
    "lower case": [
        "Yahoo! is a firm. it has none.", "iPhones ring... and ring.", "Fine...",
        "Next one.",
    ],
    "addresses": ["See www.example.com/a.b?c=d or a.b@c.org.", "It works."],
    "enumerators": ["1. Boil water.", "2. Add tea."],
    "emphasis": ["What?!", "Really??", "Yes!!!", "Good."],
    "spanish": ["¿Qué pasa?", "¡Nada!", "Todo bien."],
    "french": ["« Oui. »", "Il partit.", "M. Dupont resta."],
    "russian": ["Он пришёл.", "Она ушла.", "А. С. Пушкин писал."],
    "hindi": ["वह आया।", "वह गया।", "क्या हुआ?"],
    "arabic": ["كيف حالك؟", "أنا بخير.", "شكرا."],
    "greek": ["Τι; Ναι.", "Όχι."],
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_sentences_end_where_a_reader_would_say(name):
    assert split_sentences(CASES[name]) == EXPECTED[name]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("猫がいる。犬もいる！鳥は？", ["猫がいる。", "犬もいる！", "鳥は？"]),
        (
            "「行く。」と彼は言った。「え？！」本当だ。",
            ["「行く。」と彼は言った。", "「え？！」", "本当だ。"],
        ),
        ("他来了。“真的？”她问。", ["他来了。", "“真的？”", "她问。"]),
    ],
)
def test_scripts_without_spaces(text, expected):
    found = split_sentences(text)
    assert found == expected
    assert join_sentences(found) == text


def test_blank_lines_lists_and_pages_end_sentences_and_line_breaks_do_not():
    text = "Contents\r\n\r\nThis line is\r\nwrapped. Next\n\n \n"
    text += "Steps:\n- one thing\n* another\n1. last\fNew page"
    assert split_sentences(text) == [
        "Contents", "This line is wrapped.", "Next", "Steps:", "- one thing", "* another",
        "1. last", "New page",
    ]  # fmt: skip


def test_nothing_is_lost_but_white_space():
    for text in [*CASES.values(), "", " \n ", ". . .", "no end", "...!?", "\n\n\n" * 50]:
        assert "".join("".join(split_sentences(text)).split()) == "".join(text.split())
        assert all(sentence.strip() for sentence in split_sentences(text))


def test_long_runs_of_marks_take_no_longer_than_their_length():
    assert len(split_sentences("." * 50_000 + " A" * 50_000)) <= 2
    assert len(split_sentences("\n" * 50_000 + "- " * 50_000)) <= 2
