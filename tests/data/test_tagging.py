"""Tagged words, CoNLL columns and spans in texts, as files hold them."""

import gzip
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tenor.data.tagging import hold_out_texts, read_tagged
from tenor.errors import ConfigError, DataError
from tiny_tags import write_jsonl

ROWS = [
    {"tokens": ["EU", "rejects", "German", "call"], "ner_tags": ["B-ORG", "O", "B-MISC", "O"]},
    {"tokens": ["Peter", "Blackburn"], "ner_tags": ["B-PER", "I-PER"]},
]
SPANS = [[(0, 2, "ORG"), (11, 17, "MISC")], [(0, 15, "PER")]]


def found(table):
    return [[tuple(span) for span in spans] for spans in table.spans]


def test_words_become_text_with_spans(tmp_path):
    table = read_tagged(write_jsonl(tmp_path / "a.jsonl", ROWS))
    assert table.texts == ["EU rejects German call", "Peter Blackburn"]
    assert found(table) == SPANS
    assert table.inputs == [row["tokens"] for row in ROWS]
    assert table.labels == ("O", "B-MISC", "I-MISC", "B-ORG", "I-ORG", "B-PER", "I-PER")
    assert table.counts == {"MISC": 1, "ORG": 1, "PER": 1}
    assert table.lines.tolist() == [1, 2] and len(table.sha256) == 64
    assert "2 texts with 3 spans (MISC 1, ORG 1, PER 1)" in table.describe()


def test_the_same_from_parquet_conll_and_offsets(tmp_path):
    pq.write_table(pa.Table.from_pylist(ROWS), tmp_path / "a.parquet")
    lines = ["-DOCSTART- -X- O O\n\n"]
    for row in ROWS:
        pairs = zip(row["tokens"], row["ner_tags"], strict=True)
        lines.append("".join(f"{word} NNP X {tag}\n" for word, tag in pairs) + "\n")
    (tmp_path / "eng.testa").write_text("".join(lines))
    with gzip.open(tmp_path / "a.conll.gz", "wt") as file:
        file.write("".join(lines).replace(" NNP X ", "\t"))
    texts = [" ".join(row["tokens"]) for row in ROWS]
    for name, make in {
        "dicts": lambda span: dict(zip(("start", "end", "label"), span, strict=True)),
        "lists": list,
    }.items():
        write_jsonl(
            tmp_path / f"{name}.jsonl",
            [
                {"text": text, "entities": [make(span) for span in spans]}
                for text, spans in zip(texts, SPANS, strict=True)
            ],
        )
    for name in ("a.parquet", "eng.testa", "a.conll.gz", "dicts.jsonl", "lists.jsonl"):
        table = read_tagged(tmp_path / name)
        assert table.texts == texts, name
        assert found(table) == SPANS, name
        assert (table.words is None) == (name in ("dicts.jsonl", "lists.jsonl"))


def test_lines_of_conll_sentences(tmp_path):
    (tmp_path / "a.txt").write_text("# id = 5\n# O\nA B-X\n\n\nB\tO\n")
    table = read_tagged(tmp_path / "a.txt")
    assert table.inputs == [["#", "A"], ["B"]]  # a comment has no tag
    assert table.lines.tolist() == [2, 6]


@pytest.mark.parametrize(
    ("content", "line", "reason"),
    [
        (b"A B-X\nB\n\nC O\n", 2, "'B' has no tag"),
        (b"A B-X\n\nC O\nD per\n", 3, "'per' is no tag"),
        (b"A B-X\n\nC\xff O\n", 3, "not UTF-8"),
    ],
)
def test_what_is_wrong_in_conll_columns_is_named(content, line, reason, tmp_path):
    path = tmp_path / "a.conll"
    path.write_bytes(content)
    with pytest.raises(DataError, match=reason) as error:
        read_tagged(path)
    assert error.value.line == line
    table = read_tagged(path, on_bad_row="skip")
    assert len(table) == 1 and [bad.line for bad in table.skipped] == [line]


def test_iob1_is_converted_and_told(tmp_path):
    (tmp_path / "a.conll").write_text("A I-X\nB I-X\nC B-X\nD O\nE I-Y\n")
    table = read_tagged(tmp_path / "a.conll")
    assert found(table) == [[(0, 3, "X"), (4, 5, "X"), (8, 9, "Y")]]
    assert table.notes == {"converted_to_BIO": "the tags are IOB1"}
    assert "the tags are IOB1" in table.describe()


def test_an_i_that_follows_nothing_is_read_as_b_and_counted(tmp_path):
    (tmp_path / "a.conll").write_text("A B-X\nB I-Y\nC O\nD I-X\n")
    table = read_tagged(tmp_path / "a.conll")
    assert found(table) == [[(0, 1, "X"), (2, 3, "Y"), (6, 7, "X")]]
    assert list(table.notes.values()) == [2]


NAMES = ["O", "B-PER", "I-PER", "B-ORG", "I-ORG"]


def numbered(path, metadata=None):
    table = pa.table({"tokens": [["Ann", "Lee", "of", "UN"]], "ner_tags": [[1, 2, 0, 3]]})
    pq.write_table(table.replace_schema_metadata(metadata), path)
    return path


@pytest.mark.parametrize(
    "feature",
    [
        {"feature": {"names": NAMES, "_type": "ClassLabel"}, "_type": "List"},
        [{"names": NAMES, "_type": "ClassLabel"}],
    ],
)
def test_numbers_have_the_names_that_parquet_keeps(feature, tmp_path):
    info = {"info": {"features": {"ner_tags": feature}}}
    path = numbered(tmp_path / "a.parquet", {"huggingface": json.dumps(info)})
    table = read_tagged(path)
    assert found(table) == [[(0, 7, "PER"), (11, 13, "ORG")]]
    assert table.labels == tuple(NAMES)  # in the file's own order


@pytest.mark.parametrize(
    "names",
    [
        "\n".join(NAMES),
        json.dumps(NAMES),
        json.dumps({str(n): name for n, name in enumerate(NAMES)}),
        json.dumps({"id2label": {str(n): name for n, name in enumerate(NAMES)}}),
    ],
)
def test_numbers_have_the_names_of_a_file(names, tmp_path):
    (tmp_path / "names").write_text(names)
    table = read_tagged(numbered(tmp_path / "a.parquet"), label_names=tmp_path / "names")
    assert found(table) == [[(0, 7, "PER"), (11, 13, "ORG")]]
    assert read_tagged(tmp_path / "a.parquet", label_names=NAMES).labels == tuple(NAMES)


def test_numbers_without_names_are_refused(tmp_path):
    with pytest.raises(DataError, match="the tags are numbers"):
        read_tagged(numbered(tmp_path / "a.parquet"))
    with pytest.raises(DataError, match="the tag 3 has no name"):
        read_tagged(tmp_path / "a.parquet", label_names=NAMES[:3])
    (tmp_path / "names").write_text('{"a": 1}')
    with pytest.raises(DataError, match="by their numbers"):
        read_tagged(tmp_path / "a.parquet", label_names=tmp_path / "names")


def test_data_sets_of_the_library_are_read(tmp_path):
    import datasets

    features = datasets.Features(
        {
            "tokens": datasets.List(datasets.Value("string")),
            "ner_tags": datasets.List(datasets.ClassLabel(names=NAMES)),
        }
    )
    data = datasets.Dataset.from_dict({"tokens": [["Ann"]], "ner_tags": [[1]]}, features=features)
    data.to_parquet(str(tmp_path / "a.parquet"))
    assert found(read_tagged(tmp_path / "a.parquet")) == [[(0, 3, "PER")]]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"tokens": ["A", "B"], "ner_tags": ["O"]}, "2 words and 1 tags"),
        ({"tokens": ["A", " "], "ner_tags": ["O", "O"]}, "word 2 is empty"),
        ({"tokens": ["A", 5], "ner_tags": ["O", "O"]}, "word 2 is 5"),
        ({"tokens": "A B", "ner_tags": ["O", "O"]}, "must be lists"),
        ({"tokens": ["A"], "ner_tags": ["PER"]}, "'PER' is no tag"),
        ({"tokens": ["A"], "ner_tags": [None]}, "neither a text nor a number"),
        ({"tokens": ["A"], "ner_tags": [["O"]]}, "neither a text nor a number"),
    ],
)
def test_a_bad_row_is_named_or_skipped(row, reason, tmp_path):
    path = write_jsonl(tmp_path / "a.jsonl", [ROWS[0], row, ROWS[1]])
    with pytest.raises(DataError, match=reason) as error:
        read_tagged(path)
    assert error.value.line == 2
    table = read_tagged(path, on_bad_row="skip")
    assert table.lines.tolist() == [1, 3] and found(table) == SPANS
    assert "1 bad rows skipped" in table.describe()


@pytest.mark.parametrize(
    ("span", "reason"),
    [
        ({"start": 0, "end": 40, "label": "X"}, "lies outside of its text"),
        ({"start": -1, "end": 2, "label": "X"}, "lies outside"),
        ({"start": 3, "end": 3, "label": "X"}, "is empty"),
        ({"start": 1, "end": 2, "label": "X"}, "holds no word"),
        ({"start": "0", "end": 2, "label": "X"}, "as numbers"),
        ({"start": 0, "end": 2}, "as numbers, and a label"),
        ([0, 2], "is no span"),
        ({"start": 2, "end": 5, "label": "X", "text": "dog"}, "says 'dog'.*'cat'"),
        ({"start": 4, "end": 9, "label": "X"}, "overlap"),
    ],
)
def test_a_bad_span_is_named(span, reason, tmp_path):
    good = {"start": 2, "end": 5, "label": "PET"}
    row = {"text": "A cat here", "spans": [good, span]}
    path = write_jsonl(tmp_path / "a.jsonl", [{"text": "Yes", "spans": []}, row])
    with pytest.raises(DataError, match=reason) as error:
        read_tagged(path)
    assert error.value.line == 2 and error.value.column == "spans"
    assert len(read_tagged(path, on_bad_row="skip")) == 1


def test_spans_are_trimmed_and_repeats_counted(tmp_path):
    spans = [[0, 2, "ART"], [2, 5, "PET"], [2, 5, "PET"]]
    table = read_tagged(write_jsonl(tmp_path / "a.jsonl", [{"text": "A cat", "spans": spans}]))
    assert found(table) == [[(0, 1, "ART"), (2, 5, "PET")]]
    assert list(table.notes.values()) == [1, 1]


def test_rows_without_a_word_are_counted(tmp_path):
    table = read_tagged(write_jsonl(tmp_path / "a.jsonl", [{"tokens": [], "ner_tags": []}, *ROWS]))
    assert len(table) == 2 and table.notes == {"rows_without_a_word_left_out": 1}


def test_columns_can_be_named(tmp_path):
    rows = [{"w": ["A"], "p": ["B-X"], "text": "no", "spans": [[0, 2, "Y"]]}]
    path = write_jsonl(tmp_path / "a.jsonl", rows)
    assert found(read_tagged(path, columns={"tokens": "w", "tags": "p"})) == [[(0, 1, "X")]]
    assert found(read_tagged(path)) == [[(0, 2, "Y")]]
    with pytest.raises(ConfigError, match="roles tokens, tags, text, spans"):
        read_tagged(path, columns={"words": "w"})
    with pytest.raises(DataError, match="no such column"):
        read_tagged(path, columns={"tokens": "x"})
    with pytest.raises(DataError, match="none of those needed"):
        read_tagged(write_jsonl(tmp_path / "b.jsonl", [{"text": "A", "label_": 1}]))


def test_files_that_cannot_be_read(tmp_path):
    (tmp_path / "a.csv").write_text("tokens,tags\n")
    with pytest.raises(DataError, match="csv file has no place"):
        read_tagged(tmp_path / "a.csv")
    (tmp_path / "a.conll").write_text("\n")
    with pytest.raises(DataError, match="holds no rows"):
        read_tagged(tmp_path / "a.conll")
    (tmp_path / "a.conll.gz").write_bytes(b"no gzip")
    with pytest.raises(DataError, match="cannot be read"):
        read_tagged(tmp_path / "a.conll.gz")
    with pytest.raises(DataError, match="no such file"):
        read_tagged(tmp_path / "b.conll")
    with pytest.raises(ConfigError, match="split"):
        read_tagged(tmp_path / "a.conll", split="train")


def test_the_same_texts_are_held_out_together(tmp_path):
    rows = [{"tokens": [word], "ner_tags": ["O"]} for word in "abcabcabc"]
    table = read_tagged(write_jsonl(tmp_path / "a.jsonl", rows))
    rest, held = hold_out_texts(table, 0.3, seed=0)
    assert len(rest) == 6 and len(held) == 3 and len(set(held.texts)) == 1
    assert not set(rest.texts) & set(held.texts)
    with pytest.raises(DataError, match="too few"):
        hold_out_texts(held, 0.3, seed=0)


@pytest.mark.data
def test_the_counts_of_conll_2003(shared_data):
    table = read_tagged(shared_data / "conll2003" / "validation.parquet")
    assert len(table) == 3250 and sum(table.counts.values()) == 5942
    assert table.notes == {} and np.all(table.lines == np.arange(1, 3251))
