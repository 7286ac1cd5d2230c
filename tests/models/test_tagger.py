"""Taggers: what they find, in words and in texts, short and long, and what they keep on disk."""

import json
import logging

import numpy as np
import pytest
import torch

from tenor.data.tags import is_valid_bio
from tenor.errors import ConfigError, DataError, ModelError
from tenor.formats.locate import hash_model
from tenor.models.probe import one_length_at_a_time
from tenor.models.tagger import Tagger
from tenor.tokens.packed import PackedBatch
from tiny import PACKED, PADDED, random_ids, random_texts, tiny_hf_tokenizer, tiny_model
from tiny_tags import LABELS, TYPES, tiny_tagger, tiny_token_classifier

TEXTS = ["the cat (red) sits.", "a", "", "dog near the river, big fish", "the cat (red) sits."]


@pytest.mark.parametrize("family", [*PACKED, *PADDED, "fnet"])
def test_packed_logits_are_those_of_each_text_alone(family):
    overrides = {"type_vocab_size": 2} if family == "roberta" else {}
    classifier = tiny_token_classifier(family, **overrides)
    ids = random_ids([3, 11, 7, 30])
    batch = PackedBatch.of(ids)
    with torch.no_grad():
        expected = one_length_at_a_time(classifier, batch)
        model = Tagger(classifier, tiny_tagger().tokenizer)
        found = model(batch)
        some = model(batch, torch.tensor([5, 2]))
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(some, expected[[5, 2]], atol=1e-4, rtol=1e-4)
    assert model.encoder.packed == (family in PACKED)


def test_spans_stand_where_they_say():
    found = tiny_tagger(seed=3).predict(TEXTS)
    assert len(found) == len(TEXTS) and found[2] == [] and found[0] == found[4]
    assert any(found)
    for text, spans in zip(TEXTS, found, strict=True):
        for span in spans:
            assert text[span.start : span.end] == span.text and span.text.strip() == span.text
            assert span.label in TYPES and 0 < span.score <= 1
        ends = [span.end for span in spans]
        assert all(a <= b for a, b in zip(ends, [span.start for span in spans][1:], strict=False))


def test_one_text_gives_one_list():
    model = tiny_tagger(seed=3)
    assert model.predict(TEXTS[0]) == model.predict([TEXTS[0]])[0]
    assert model.predict(iter(TEXTS)) == model.predict(TEXTS)
    assert model.predict([]) == []


def test_words_are_tagged_as_the_text_that_they_make():
    model = tiny_tagger(seed=3)
    texts = random_texts(30, words=(1, 15))
    words = [text.split() for text in texts]
    assert model.predict(words) == model.predict(texts)
    tags = model.tag(words)
    assert [len(own) for own in tags] == [len(own) for own in words]
    assert all(is_valid_bio(own) for own in tags)
    mixed = model.predict([texts[0], words[1]])
    assert mixed == model.predict(texts[:2])


def test_words_without_a_token_are_within_a_span_or_outside():
    model = tiny_tagger(seed=3)
    words = ["cat", "\u200e", "dog", "\u200e"]
    tags = model.tag([words])[0]
    assert len(tags) == 4 and is_valid_bio(tags)
    assert model.tag([["\u200e"]]) == [["O"]]


def test_scores_are_mean_probabilities():
    model = tiny_tagger(seed=3)
    text = TEXTS[3]
    ids = model.tokenizer([text])
    with torch.no_grad():
        probabilities = model(PackedBatch.of(ids)).softmax(-1)[1:-1].numpy()
    tags = model.tag([text.replace(",", " ,").split()])[0]
    for span in model.predict(text):
        words = range(*span.words)
        sure = [probabilities[word, LABELS.index(tags[word])] for word in words]
        assert span.score == pytest.approx(np.mean(sure), abs=1e-5)


def test_a_long_text_is_read_whole():
    model = tiny_tagger(max_length=12, seed=3)
    text = " ".join(random_texts(12, words=(6, 9)))
    (tagged,) = next(iter(model.tag_blocks([[text]])))
    assert tagged.windows > 3
    assert max(span.end for span in tagged.spans) > len(text) - 30
    whole = tiny_tagger(max_length=80, seed=3)
    short = text[:60].rsplit(" ", 1)[0]
    assert model.predict(short, overlap=0) != [] and whole.predict(short) != []


def test_the_batch_does_not_matter():
    model = tiny_tagger(seed=3)
    texts = random_texts(50, words=(1, 20))
    one = model.predict(texts, tokens_per_batch=1)
    many = model.predict(texts, tokens_per_batch=4096)
    for a, b in zip(one, many, strict=True):
        assert [span[:3] for span in a] == [span[:3] for span in b]
        assert [span.score for span in a] == pytest.approx([span.score for span in b], abs=1e-4)


@pytest.mark.parametrize("text", [5, ["a", 5], ["a", " "], None, "a \ud800", ["a", "\ud800"]])
def test_what_is_no_text_is_named(text):
    with pytest.raises(DataError, match=r"^row 2: "):
        tiny_tagger().predict(["a", text])


def test_words_of_one_sentence_are_not_taken_for_sentences():
    with pytest.raises(ConfigError, match=r"sentences\[0\] = 'the'.*a list of words"):
        tiny_tagger().tag(["the", "cat", "sits"])


@pytest.mark.parametrize("labels", [[], ["O", "B-PER", "O"]])
def test_labels_that_cannot_be_are_named(labels, tmp_path):
    with pytest.raises(ConfigError, match=r"labels = .* different tags, at least one"):
        Tagger.load(tiny_model(tmp_path / "embedder"), labels=labels)


@pytest.mark.parametrize("family", ["bert", "roberta", "modernbert", "mpnet"])
def test_a_saved_tagger_is_the_same(family, tmp_path):
    overrides = {"type_vocab_size": 2} if family == "roberta" else {}
    model = tiny_tagger(family, max_length=20, seed=3, **overrides)
    model.save(tmp_path / "model")
    again = Tagger.load(tmp_path / "model", device="cpu", dtype="fp32")
    assert again.labels == LABELS and again.types == TYPES and again.max_seq_length == 20
    assert again.predict(TEXTS) == model.predict(TEXTS)
    assert again.sha256 == hash_model(tmp_path / "model")
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    assert config["architectures"][0].endswith("ForTokenClassification")
    assert config["id2label"]["1"] == "B-ANIMAL"
    card = (tmp_path / "model" / "README.md").read_text()
    assert "pipeline_tag: token-classification" in card and "B-ANIMAL" in card


def test_the_labels_of_a_folder_are_kept_in_their_order(tmp_path, caplog):
    order = ("B-PLACE", "I-PLACE", "O", "B-ANIMAL", "I-ANIMAL", "B-COLOUR", "I-COLOUR")
    model = tiny_tagger(labels=order)
    model.save(tmp_path / "model")
    same = Tagger.load(tmp_path / "model", labels=LABELS, device="cpu", dtype="fp32")
    assert same.labels == order and same.predict(TEXTS) == model.predict(TEXTS)
    assert "new" not in caplog.text
    caplog.set_level(logging.WARNING, logger="tenor")
    other = Tagger.load(tmp_path / "model", labels=("O", "B-X", "I-X"), device="cpu")
    assert other.labels == ("O", "B-X", "I-X") and other.types == ("X",)
    assert "the head is new (its own gives other tags)" in caplog.text


def test_an_embedder_gets_a_new_head(tmp_path):
    folder = tiny_model(tmp_path / "embedder")
    one, again, other = (
        Tagger.load(folder, labels=LABELS, seed=seed, device="cpu", dtype="fp32")
        for seed in (0, 0, 1)
    )
    weights = [model.head.layers.classifier.weight for model in (one, again, other)]
    assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])
    assert one.max_seq_length == 24
    with pytest.raises(ModelError, match="holds no tagger; train one"):
        Tagger.load(folder)


def test_models_of_other_label_schemes_are_read(tmp_path):
    for labels in (
        ("O", "I-A", "I-B"),
        ("O", "A", "B-C", "I-C"),
        ("O", "B-A", "I-A", "E-A", "S-A"),
    ):
        tiny_token_classifier(labels=labels, seed=3).save_pretrained(tmp_path / "model")
        tiny_hf_tokenizer().save_pretrained(tmp_path / "model")
        model = Tagger.load(tmp_path / "model", device="cpu", dtype="fp32")
        found = model.predict(random_texts(20))
        assert {span.label for spans in found for span in spans} <= set(model.types)


def test_damaged_weights_are_named():
    model = tiny_tagger()
    with torch.no_grad():
        model.head.layers.classifier.weight.fill_(float("nan"))
    with pytest.raises(ModelError, match="NaN or infinite"):
        model.predict("a cat")


def test_a_folder_that_lacks_weights_is_refused(tmp_path):
    from safetensors.torch import load_file, save_file

    tiny_tagger().save(tmp_path / "model")
    path = tmp_path / "model" / "model.safetensors"
    weights = load_file(path)
    del weights["classifier.weight"]
    save_file(weights, path, {"format": "pt"})
    with pytest.raises(ModelError, match=r"lacks the weights classifier\.weight"):
        Tagger.load(tmp_path / "model")


def test_every_parameter_is_used():
    assert tiny_tagger().unused_parameters() == []
