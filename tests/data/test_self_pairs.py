"""Pairs made of documents: each way, what is left out, and that it is the same every time."""

import json
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest

from tenor.data.bounded import PairSample, TextFrequencies
from tenor.data.documents import Document
from tenor.data.pair_makers import title_and_body
from tenor.data.pair_making import HOWS, PairMaking
from tenor.data.self_pairs import documents_of, hold_out_documents, make_pairs
from tenor.data.sentences import split_sentences
from tenor.data.spans import count_words
from tenor.errors import ConfigError, DataError

THINGS = ["fox", "owl", "vole", "hare", "lynx", "newt", "toad", "crow", "swan", "moth"]


def sentence(thing, number):
    return f"The {thing} number {number} runs far over hill {number} today."


def text(thing, sentences=8):
    return " ".join(sentence(thing, number) for number in range(sentences))


def rows(sentences=8):
    return [
        {
            "title": f"All about the {thing}",
            "summary": f"In short the {thing} runs far away",
            "text": text(thing, sentences),
        }
        for thing in THINGS
    ]


def write(folder, rows, name="documents.jsonl"):
    path = folder / name
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


@pytest.fixture
def make(tmp_path):
    def make(how, documents=None, tokens=64, **options):
        documents = documents_of(write(tmp_path, documents or rows()), how)
        return make_pairs(documents, PairMaking(how=how, **options), tokens=tokens)

    return make


def pairs_of(table):
    return list(zip(*table.columns.values(), table.lines.tolist(), strict=True))


@pytest.mark.parametrize("how", HOWS)
def test_the_same_pairs_every_time_of_one_document_each(how, make):
    table = make(how)
    assert pairs_of(make(how)) == pairs_of(table)
    assert table.kind == "pairs"
    assert table.notes["documents"] == len(THINGS)
    for anchor, positive, line in pairs_of(table):
        assert how == "crop" or THINGS[line - 1] in anchor
        assert not any(
            THINGS[other] in anchor + positive for other in range(10) if other != line - 1
        )
    if how in ("consecutive", "cloze", "crop"):
        assert pairs_of(make(how, seed=1)) != pairs_of(table)
        assert set(np.bincount(table.lines)[1:]) == {4}


def test_simcse_pairs_a_text_with_itself(make):
    table = make("simcse")
    assert table.columns["anchor"] == table.columns["positive"] == [text(t) for t in THINGS]


def test_titles_go_with_the_beginning_of_their_text_and_further_passages(make):
    table = make("title", max_words=30)
    assert [anchor for anchor, _, _ in pairs_of(table)] == [row["title"] for row in rows()]
    assert all(positive.endswith("hill 2 today.") for positive in table.columns["positive"])
    assert all(count_words(positive) == 30 for positive in table.columns["positive"])
    more = make("title", max_words=30, per_document=3)
    assert np.bincount(more.lines)[1:].tolist() == [3] * 10
    assert set(table.columns["positive"]) < set(more.columns["positive"])
    assert "beyond_per_document" not in more.notes


@pytest.mark.parametrize(
    ("title", "text", "expected"),
    [
        ("Foxes", "Foxes hunt mice.", ("Foxes", "Foxes hunt mice.")),
        ("Foxes", "Foxes\nThey hunt.", ("Foxes", "They hunt.")),
        ("Foxes", "foxes: They hunt.", ("Foxes", "They hunt.")),
        ("Do foxes hunt?", "Do foxes hunt? They do.", ("Do foxes hunt?", "They do.")),
        ("How do foxes hunt", "How do foxes hunt They run.", ("How do foxes hunt", "They run.")),
        ("Foxes", "Foxes", ("Foxes", "")),
        (None, "Foxes\n\nThey hunt. And eat.", ("Foxes", "They hunt. And eat.")),
        (None, "Foxes hunt in the\nwoods. They eat.", ("Foxes hunt in the woods.", "They eat.")),
        (None, "Foxes hunt. They eat. Mice.", ("Foxes hunt.", "They eat. Mice.")),
        (None, "Foxes", ("Foxes", "")),
    ],
)  # fmt: skip
def test_a_text_does_not_repeat_its_title(title, text, expected):
    assert title_and_body(Document(1, text, title)) == expected


def test_summaries_go_with_their_text(make):
    table = make("summary")
    assert table.columns["anchor"] == [row["summary"] for row in rows()]
    beginnings = [split_sentences(positive)[0] for positive in table.columns["positive"]]
    assert beginnings == [sentence(thing, 0) for thing in THINGS]


@pytest.mark.parametrize("window", [None, 2])
def test_consecutive_spans_are_neighbours_in_either_order(window, make):
    table = make("consecutive", window=window)
    size, orders = window or 1, set()
    for anchor, positive, line in pairs_of(table):
        sentences = split_sentences(text(THINGS[line - 1]))
        one, other = (sentences.index(split_sentences(side)[0]) for side in (anchor, positive))
        assert abs(one - other) == size
        assert one % size == other % size == 0
        assert len(split_sentences(anchor)) == size
        orders.add(one < other)
    assert orders == {True, False}


def test_a_cloze_passage_seldom_holds_its_sentence(make):
    many = [{"text": text(f"animal{n}", 6)} for n in range(200)]
    table = make("cloze", many, per_document=3, max_words=30)
    stays = 0
    for anchor, positive, line in pairs_of(table):
        thing = f"animal{line - 1}"
        number = [sentence(thing, n) for n in range(6)].index(anchor)
        assert count_words(positive) <= 30
        passage = range(3) if number < 3 else range(3, 6)
        assert all(sentence(thing, n) in positive for n in passage if n != number)
        stays += anchor in positive
    assert len(table) == 600
    assert 0.06 < stays / 600 < 0.15  # 0.1, as the paper has it


def test_crops_are_two_different_spans_of_one_passage(make):
    table = make("crop", max_words=40)
    for anchor, positive, line in pairs_of(table):
        assert anchor != positive
        assert anchor in text(THINGS[line - 1]) and positive in text(THINGS[line - 1])
        assert 5 <= count_words(anchor) <= 20
    short = [{"text": f"The {t} runs over the hill and far away today."} for t in THINGS]
    assert np.bincount(make("crop", short).lines)[1:].max() == 1  # room for one


def test_a_long_document_makes_no_more_pairs_than_a_short_one(make):
    table = make("cloze", [*rows(), {"text": text("whale", 500)}], per_document=2)
    assert np.bincount(table.lines)[1:].tolist() == [2] * 11
    assert table.notes["beyond_per_document"] == 10 * 6 + 498


def test_boilerplate_makes_no_anchor_and_is_counted(make):
    footer = "Please ask your doctor before you do so."
    footed = [{"text": f"{row['text']} {footer}", "title": "Untitled"} for row in rows()]
    for how in ("cloze", "consecutive", "crop"):
        table = make(how, footed, per_document=50)
        assert table.notes["boilerplate"] == 10
        assert footer not in table.columns["anchor"]
        positives = " ".join(table.columns["positive"])
        assert (footer in positives) == (how == "cloze")  # there it is a part of the passage
    with pytest.raises(DataError, match=r"boilerplate 10"):
        make("title", footed)
    assert len(make("title", footed, common_share=1)) == 10
    assert "boilerplate" not in make("cloze", footed, common_share=1).notes
    # In few documents a sentence may well stand twice.
    assert "boilerplate" not in make("cloze", footed[:4]).notes


def test_short_spans_and_documents_are_left_out_and_counted(make):
    table = make(
        "consecutive", [*rows(2), {"text": "Yes. No. " + text("whale", 2)}, {"text": "Hm."}]
    )
    assert table.notes["too_short"] == 3
    assert table.notes["documents_without_pairs"] == 1
    assert len(table) == 11
    assert len(make("consecutive", [{"text": "Yes. No."}, {"text": "Ah. Oh."}], min_words=1)) == 2
    with pytest.raises(DataError, match=r"too few pairs of it, 0 \(documents 1.*--min-words"):
        make("cloze", [{"text": "Hm."}])


def test_pairs_that_repeat_another_are_left_out_and_counted(make):
    twice = [{"title": t, "text": "They hunt mice all night long."} for t in ("Foxes", "foxes ")]
    other = {"title": "Foxes", "text": "They hunt mice ALL night  long. Yes."}
    table = make("title", [*twice, other, *rows()], max_words=6)
    assert table.notes["repeated_documents"] == 1
    assert table.notes["repeated_pairs"] == 1
    assert len(table) == 11


def test_of_too_many_pairs_a_random_sample_is_kept(make):
    whole = make("cloze")
    table = make("cloze", max_pairs=15)
    assert len(table) == 15
    assert table.notes["beyond_max_pairs"] == len(whole) - 15
    assert set(pairs_of(table)) < set(pairs_of(whole))
    assert sorted(table.lines) == table.lines.tolist()
    assert set(table.lines.tolist()) - {1, 2, 3, 4}


def test_a_sample_is_uniform_and_its_pairs_distinct():
    counts = np.zeros(20)
    for seed in range(300):
        sample = PairSample(5, seed)
        for number in [*range(20), *range(20)]:
            sample.add(f"a{number}", f"b{number}", number)
        kept = [row[0] for row in sample.kept]
        assert len(set(kept)) == 5
        counts[kept] += 1
    assert counts.min() > 40
    assert counts.max() < 115


def test_frequencies_count_documents_not_mentions():
    frequencies = TextFrequencies()
    frequencies.add(["A cat.", "a CAT.", "A dog."])
    frequencies.add(["A cat."])
    frequencies.add([])
    assert frequencies.documents == 3
    assert [frequencies.of(t) for t in ("A cat.", "A dog.", "An owl.")] == [2, 1, 0]


def test_no_document_is_on_both_sides_of_a_hold_out(make):
    table = make("cloze")
    train, held = hold_out_documents(table, 0.3, seed=0)
    assert len(train) + len(held) == len(table)
    assert set(held.lines) & set(train.lines) == set()
    assert len(set(held.lines)) == 3
    assert hold_out_documents(table, 0.3, seed=0)[1].columns == held.columns
    with pytest.raises(DataError, match="too few"):
        hold_out_documents(make("title", rows()[:2]), 0.3, seed=0)


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"how": "simsce"}, "how"),
        ({"how": "simcse", "per_document": 2}, "per_document"),
        ({"how": "cloze", "window": 2}, "window"),
        ({"how": "cloze", "per_document": 0}, "per_document"),
        ({"how": "cloze", "max_words": 4}, "max_words"),
        ({"how": "cloze", "max_pairs": 1}, "max_pairs"),
        ({"how": "cloze", "common_share": 0.0}, "common_share"),
        ({"how": "cloze", "min_words": 0}, "min_words"),
    ],
)
def test_settings_that_cannot_be_are_named(options, field):
    with pytest.raises(ConfigError) as error:
        PairMaking(**options)
    assert error.value.field == field


def test_spans_hold_about_what_the_model_reads():
    making = PairMaking(how="cloze")
    assert making.most_words(256) == 192
    assert replace(making, max_words=50).most_words(256) == 50


@pytest.mark.data
def test_real_documents_make_sensible_pairs(shared_data):
    source = str(shared_data / "travel_se" / "corpus.parquet")
    titles = make_pairs(documents_of(source, "title"), PairMaking(how="title"), tokens=128)
    stored = pq.read_table(source).to_pylist()
    assert len(titles) > 0.95 * len(stored)
    assert titles.columns["anchor"][0] == " ".join(stored[titles.lines[0] - 1]["title"].split())
    cloze = make_pairs(documents_of(source, "cloze"), PairMaking(how="cloze"), tokens=128)
    words = [count_words(anchor) for anchor in cloze.columns["anchor"]]
    assert 8 < np.median(words) < 25
    assert max(count_words(p) for p in cloze.columns["positive"]) <= 96
