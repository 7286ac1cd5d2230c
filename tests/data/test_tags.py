"""What tags mean, in every scheme."""

import pytest

from tenor.data.tags import (
    TagSpan,
    bio_labels,
    is_valid_bio,
    read_tag,
    recognise_scheme,
    span_tags,
    tag_spans,
)


def read(text):
    return [read_tag(tag) for tag in text.split()]


def spans(text, **options):
    return [tuple(span) for span in tag_spans(read(text), **options)]


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ("B-A I-A O B-A", [(0, 2, "A"), (3, 4, "A")]),
        ("B-A B-A I-A", [(0, 1, "A"), (1, 3, "A")]),
        ("I-A I-A O I-B", [(0, 2, "A"), (3, 4, "B")]),  # IOB1
        ("I-A B-A", [(0, 1, "A"), (1, 2, "A")]),
        ("B-A I-B", [(0, 1, "A"), (1, 2, "B")]),
        ("B-A I-A E-A S-B O", [(0, 3, "A"), (3, 4, "B")]),  # BIOES
        ("B-A L-A U-A", [(0, 2, "A"), (2, 3, "A")]),  # BILOU
        ("S-A I-A", [(0, 1, "A"), (1, 2, "A")]),
        ("B I O B", [(0, 2, "_"), (3, 4, "_")]),  # of one kind only
        ("B-A-B I-A-B", [(0, 2, "A-B")]),
        ("", []),
    ],
)
def test_spans_of_tags(tags, expected):
    assert spans(tags) == expected


def test_the_strict_reading_leaves_out_what_does_not_begin_with_b():
    assert spans("I-A I-A O B-B I-B I-A", strict=True) == [(3, 5, "B")]


def test_tags_of_spans_are_valid():
    tags = span_tags([TagSpan(0, 2, "A"), TagSpan(2, 3, "A")], 4)
    assert tags == ["B-A", "I-A", "B-A", "O"] and is_valid_bio(tags)
    assert span_tags([TagSpan(0, 2, "_")], 2) == ["B", "I"]


@pytest.mark.parametrize(
    ("texts", "scheme"),
    [
        (["B-A I-A O", "O B-A"], ("BIO", 0)),
        (["I-A I-A O I-B"], ("IOB1", 2)),
        (["I-A B-A", "O I-A"], ("IOB1", 2)),
        (["B-A I-A", "O I-A"], ("BIO", 1)),
        (["B-A E-A", "S-B"], ("BIOES", 0)),
        (["O O"], ("BIO", 0)),
    ],
)
def test_the_scheme_is_recognised(texts, scheme):
    assert tuple(recognise_scheme([read(text) for text in texts])) == scheme


@pytest.mark.parametrize("tag", ["PER", "b-PER", "B-", "X-PER", "", "I- "])
def test_what_is_no_tag_is_named(tag):
    with pytest.raises(ValueError, match="is no tag"):
        read_tag(tag)


def test_labels_of_types():
    assert bio_labels(["A"]) == ("O", "B-A", "I-A")
    assert not is_valid_bio(["B-A", "I-B"]) and not is_valid_bio(["S-A"])
