import numpy as np

from tenor.data.overlap import OverlapExample, overlap
from tenor.data.schema import PairTable


def pairs(*rows: tuple[str, str], first_line: int = 2) -> PairTable:
    return PairTable(
        kind="pairs",
        columns={"anchor": [row[0] for row in rows], "positive": [row[1] for row in rows]},
        target=None,
        label_names=None,
        lines=np.arange(first_line, first_line + len(rows)),
        path="pairs.csv",
    )


def test_texts_are_the_same_whatever_their_case_space_or_form() -> None:
    found = overlap(
        ["STRASSE  am Café", "ﬁne", "other"],
        ["straße am\tCafe\u0301 ", "Fine", "fine", "others", "other."],
    )
    assert (found.texts, found.shared_texts) == (4, 2)
    assert found.share == 0.5
    assert [(example.text, example.line) for example in found.examples] == [
        ("straße am\tCafe\u0301 ", 1),
        ("Fine", 2),
    ]
    assert found.pairs is None


def test_pairs_count_in_either_order_and_all_columns_count_as_texts() -> None:
    training = pairs(("a", "b"), ("c", "d"), ("e", "f"))
    evaluation = pairs(("x", "c"), ("B", "a"), ("a", "d"), ("y", "z"), ("a", "b"), first_line=10)
    found = overlap(training, evaluation)
    assert (found.texts, found.shared_texts) == (7, 4)
    assert (found.pairs, found.shared_pairs) == (4, 1)
    assert found.examples == (
        OverlapExample("c", 10),
        OverlapExample("B", 11),
        OverlapExample("a", 11),
        OverlapExample("d", 12),
    )
    assert found.describe() == (
        "4 of 7 evaluation texts (57.1%) also occur in the training data, and 1 of 4 evaluation "
        "pairs; the first on line 10: 'c'."
    )
    assert len(overlap(training, evaluation, examples=1).examples) == 1


def test_nothing_shared() -> None:
    found = overlap(pairs(("a", "b")), pairs(("c", "d")))
    assert found.shared_pairs == 0
    assert found.describe() == "None of the 2 evaluation texts occurs in the training data."
    assert overlap(["a"], []).share == 0


def test_long_examples_are_cut_in_the_sentence_only() -> None:
    text = "word " * 100
    found = overlap([text], [text])
    assert found.examples[0].text == text
    assert len(found.describe()) < 200
