"""Labels as people write them: names, numbers, lists, several in one string."""

import datasets
import numpy as np
import pytest

from tenor.data.class_labels import match_labels
from tenor.data.labelled_split import folds_by_label, hold_out_by_label
from tenor.data.labelled_texts import (
    describe_labels,
    describe_repeats,
    read_labelled_like,
    read_labelled_texts,
)
from tenor.data.schema import read_pairs
from tenor.errors import ConfigError, DataError
from tiny_labels import label_table


def write(path, text):
    path.write_text(text)
    return path


def read(tmp_path, text, name="file.csv", **options):
    return read_labelled_texts(write(tmp_path / name, text), **options)


def test_names_are_sorted(tmp_path):
    table = read(tmp_path, "text,label\na,zebra\nb,ant\nc,zebra\n")
    assert (table.kind, table.label_names) == ("labelled_texts", ("ant", "zebra"))
    assert table.target.tolist() == [1, 0, 1] and table.target.dtype == np.int64
    assert table.columns == {"text": ["a", "b", "c"]} and table.lines.tolist() == [2, 3, 4]
    assert len(table.sha256) == 64


def test_texts_to_evaluate_on_have_the_labels_of_those_to_train_on(tmp_path):
    training = read(tmp_path, "text,label\na,x\nb,y\nc,x|y\n")
    assert training.kind == "multi_labelled_texts"
    held = read_labelled_like(training, write(tmp_path / "held.csv", "text,label\nd,y\n"))
    assert (held.kind, held.label_names) == (training.kind, training.label_names)
    assert held.target.tolist() == [[0, 1]]
    with pytest.raises(DataError, match="'z' is none of those that the training data has"):
        read_labelled_like(training, write(tmp_path / "other.csv", "text,label\nd,z\n"))


def test_numbers_are_in_their_order(tmp_path):
    table = read(tmp_path, "text,label\na,10\nb,2\nc,-1\nd,2.0\n")
    assert table.label_names == ("-1", "2", "10") and table.target.tolist() == [2, 1, 0, 1]


def test_lists_and_joined_names_are_several_labels(tmp_path):
    lists = '{"text": "a", "labels": ["x", "y"]}\n{"text": "b", "labels": []}\n'
    joined = "text,label\na,x|y\nb,\nc, y | x|y\n"
    table = read(tmp_path, lists, "file.jsonl")
    assert (table.kind, table.label_names) == ("multi_labelled_texts", ("x", "y"))
    assert table.target.tolist() == [[1, 1], [0, 0]] and table.target.dtype == np.float32
    assert read(tmp_path, joined).target.tolist() == [[1, 1], [0, 0], [1, 1]]


def test_one_can_say_whether_there_are_several(tmp_path):
    joined = "text,label\na,x|y\nb,z\n"
    assert read(tmp_path, joined, multi_label=False).label_names == ("x|y", "z")
    single = "text,label\na,x\nb,z\nc,\n"
    assert read(tmp_path, single, multi_label=True).target.tolist() == [[1, 0], [0, 1], [0, 0]]
    lists = '{"text": "a", "label": ["x"]}\n{"text": "b", "label": "y"}\n'
    with pytest.raises(DataError, match=r"file.jsonl:1, column 'label': .* is a list"):
        read(tmp_path, lists, "file.jsonl", multi_label=False)


@pytest.mark.parametrize("several", [False, True])
def test_declared_names_and_their_order_are_kept(several, tmp_path):
    label = datasets.ClassLabel(names=["zebra", "ant", "unused"])
    features = {"text": datasets.Value("string")}
    features["label"] = datasets.List(label) if several else label
    values = [[0], [1, 0], []] if several else [0, 1, 0]
    rows = {"text": ["a", "b", "c"], "label": values}
    datasets.Dataset.from_dict(rows, features=datasets.Features(features)).to_parquet(
        str(tmp_path / "file.parquet")
    )
    table = read_labelled_texts(tmp_path / "file.parquet")
    assert table.label_names == ("zebra", "ant")
    expected = [[1, 0], [1, 1], [0, 0]] if several else [0, 1, 0]
    assert table.target.tolist() == expected


def test_a_declared_label_below_zero_is_none(tmp_path):
    features = datasets.Features(
        {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["a", "b"])}
    )
    rows = {"text": ["x", "y", "z"], "label": [0, -1, 1]}
    datasets.Dataset.from_dict(rows, features=features).to_parquet(str(tmp_path / "file.parquet"))
    with pytest.raises(DataError, match=r":2, column 'label': the label is missing"):
        read_labelled_texts(tmp_path / "file.parquet")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("text,label\na,x\nb,\n", r":3, column 'label': the label is missing"),
        ("text,label\na,x\n,y\n", r":3, column 'text': the text is empty"),
        ("text,label\na,x\nb,x\n", "all texts have the label 'x'"),
        ("text,label\na,x|y\nb,x||y\n", r":3, column 'label': an empty label stands in 'x||y'"),
        ("body,label\na,x\n", r"hold no text. Say which .*columns=\{\"text\": \"label\"\}"),
        ("text,kind\na,x\n", r"hold no label"),
        ("text,label,labels\na,x,y\n", "could each be the label"),
    ],
)
def test_what_cannot_be_used_is_named(text, message, tmp_path):
    with pytest.raises(DataError, match=message):
        read(tmp_path, text)


def test_bad_rows_can_be_skipped(tmp_path):
    table = read(tmp_path, "text,label\na,x\n ,y\nb,\nc,y\n", on_bad_row="skip")
    assert table.columns["text"] == ["a", "c"]
    assert [bad.line for bad in table.skipped] == [3, 4]


def test_columns_with_other_names(tmp_path):
    columns = {"text": "body", "label": "kind"}
    table = read(tmp_path, "body,kind,label\na,x,1\nb,y,2\n", columns=columns)
    assert table.label_names == ("x", "y")
    with pytest.raises(ConfigError, match="made of the roles text and label"):
        read(tmp_path, "text,label\na,x\n", columns={"anchor": "text"})


def test_known_labels_keep_their_numbers_and_others_are_named(tmp_path):
    known = ("spam", "ham", "other")
    table = read(tmp_path, "text,label\na,HAM\nb,spam\n", known=known)
    assert table.label_names == known and table.target.tolist() == [1, 0]
    with pytest.raises(DataError, match=r":3, .*'eggs' is none of those that the training data"):
        read(tmp_path, "text,label\na,ham\nb,eggs\n", known=known, owner="the training data")
    skipped = read(tmp_path, "text,label\na,ham\nb,eggs\n", known=known, on_bad_row="skip")
    assert len(skipped) == 1 and skipped.skipped[0].line == 3
    several = read(tmp_path, "text,label\na,ham|spam\n", known=known, multi_label=True)
    assert several.target.tolist() == [[1, 1, 0]]
    # A single label is enough where the labels are known.
    assert read(tmp_path, "text,label\na,ham\n", known=known).target.tolist() == [1]


def test_numbers_stand_for_named_labels_only_where_no_name_fits():
    assert match_labels(["1", "0"], ["no", "yes"]) == {"1": 1, "0": 0}
    assert match_labels(["1", "0"], ["no", "yes"], by_number=False) == {}
    assert match_labels(["1"], ["LABEL_0", "LABEL_1"], by_number=False) == {"1": 1}
    assert match_labels(["1", "no"], ["no", "yes"]) == {"no": 0}
    assert match_labels(["0", "1"], ["1", "0"]) == {"0": 1, "1": 0}
    assert match_labels(["7"], ["no", "yes"]) == {}
    assert match_labels(["A"], ["a", "A"]) == {"A": 1}


def test_repeated_texts_with_different_labels_are_told():
    table = label_table(["a", "b", "a", "b", "c"], [0, 1, 0, 0, 1], ["x", "y"])
    found = describe_repeats(table)
    assert found == (
        "2 texts stand there more than once, 1 of them with different labels; "
        "the first on lines 3 and 5: 'b'"
    )
    same = label_table(["a", "a"], [[1, 0], [1, 0]], ["x", "y"])
    found = describe_repeats(same)
    assert found == "1 text stands there more than once, always with the same label"
    assert describe_repeats(label_table(["a", "b"], [0, 1], ["x", "y"])) is None


def test_labels_are_counted_in_words():
    assert describe_labels(label_table("abc", [0, 1, 1], ["x", "y"])) == "2 labels: y 2, x 1"
    several = label_table("ab", [[1, 1], [0, 1]], ["x", "y"])
    assert describe_labels(several) == "2 labels, any number of them a text: y 2, x 1"


def test_lists_are_refused_where_each_text_has_one_label(tmp_path):
    path = write(tmp_path / "file.jsonl", '{"text": "a", "label": ["x", "y"]}\n')
    with pytest.raises(DataError, match="it is a list; only a classifier"):
        read_pairs(path)


def test_every_label_is_held_out_in_its_share():
    target = np.repeat([0, 1, 2, 3], [100, 20, 4, 1])
    texts = [f"text {row}" for row in range(len(target))]
    table = label_table(texts, target, "abcd")
    kept, held = hold_out_by_label(table, 0.25, seed=3)
    counts = np.bincount(held.target, minlength=4).tolist()
    assert counts[3] == 0 and abs(counts[0] - 25) <= 1 and abs(counts[1] - 5) <= 1
    assert counts[2] in (0, 1, 2)
    assert len(kept) + len(held) == len(table) and set(kept.target) == {0, 1, 2, 3}
    again, _ = hold_out_by_label(table, 0.25, seed=3)
    other, _ = hold_out_by_label(table, 0.25, seed=4)
    assert again.columns == kept.columns != other.columns


@pytest.mark.parametrize("share", [0.5, 0.9])
def test_no_label_is_held_out_whole(share):
    table = label_table([str(n) for n in range(40)], np.arange(40) % 10, "abcdefghij")
    kept, held = hold_out_by_label(table, share, seed=0)
    assert set(kept.target) == set(range(10)) and len(held) > 10


def test_rows_of_one_text_stay_together():
    texts = ["same"] * 20 + [str(n) for n in range(20)]
    table = label_table(texts, np.arange(40) % 2, "ab")
    kept, held = hold_out_by_label(table, 0.3, seed=1)
    assert not set(kept.columns["text"]) & set(held.columns["text"])
    folds = folds_by_label(table, 4, seed=0)
    assert len(set(folds[:20])) == 1 and set(folds) == {0, 1, 2, 3}


def test_several_labels_are_dealt_by_the_rarest():
    target = np.zeros((40, 2))
    target[:, 0] = 1
    target[:8, 1] = 1
    table = label_table([str(n) for n in range(40)], target, "ab")
    _, held = hold_out_by_label(table, 0.25, seed=0)
    assert held.target[:, 1].sum() == 2 and len(held) == 10
    folds = folds_by_label(table, 4, seed=0)
    assert np.bincount(folds[:8]).tolist() == [2, 2, 2, 2]


def test_too_few_texts_cannot_be_split():
    with pytest.raises(DataError, match="too few different texts"):
        hold_out_by_label(label_table(["a", "b"], [0, 1], "xy"), 0.1, seed=0)


@pytest.mark.data
@pytest.mark.parametrize(("name", "labels", "rows"), [("banking77", 77, 10003), ("trec", 6, 5452)])
def test_public_sets_are_read_whole(name, labels, rows, shared_data):
    train = read_labelled_texts(shared_data / name / "train.parquet")
    assert (len(train.label_names), len(train)) == (labels, rows)
    test = read_labelled_texts(shared_data / name / "test.parquet", known=train.label_names)
    assert test.label_names == train.label_names
    kept, held = hold_out_by_label(train, 0.1, seed=0)
    assert set(kept.target) == set(range(labels)) and len(held) / rows == pytest.approx(
        0.1, abs=0.01
    )
