"""A cross-encoder scores as `transformers` does, each pair once, whatever stands beside it."""

import inspect
import json

import numpy as np
import pytest
import torch

from tenor.errors import ConfigError, DataError, ModelError
from tenor.models import score
from tenor.models.cross_encoder import CrossEncoder
from tenor.models.heads import SequenceHead
from tenor.tokens.packed import PackedBatch
from tiny import POSITIONS, tiny_hf_tokenizer, tiny_lower_casing_model, tiny_model
from tiny_pairs import random_pairs, tiny_classifier, tiny_cross_encoder

PAIRS = random_pairs(30)
FAMILIES = {
    "bert": {},
    "roberta": {"type_vocab_size": 2},
    "distilbert": {},
    "electra": {},
    "albert": {},
    "modernbert": {"classifier_pooling": "cls"},
    "modernbert mean": {"classifier_pooling": "mean"},
    "xlm-roberta": {"type_vocab_size": 1},
    "mpnet": {},
    "deberta-v2": {"type_vocab_size": 0},
    "fnet": {},
}


def make(family, **options):
    name = family.split()[0]
    return tiny_cross_encoder(name, **{**FAMILIES[family], **options})


def plain_scores(model, pairs):
    """The logits as `transformers` gives them, one pair at a time."""
    classifier = model.whole
    attention = classifier.config._attn_implementation
    classifier.base_model.set_attn_implementation("eager")
    found = []
    with torch.no_grad():
        for left, right in pairs:
            inputs = tiny_hf_tokenizer()(
                left, right, truncation=True, max_length=model.max_seq_length, return_tensors="pt"
            )
            types = "token_type_ids" in inspect.signature(classifier.forward).parameters
            if not types or getattr(classifier.config, "type_vocab_size", 0) < 2:
                inputs.pop("token_type_ids")
            found.append(classifier(**inputs).logits[0])
    classifier.base_model.set_attn_implementation(attention)
    return torch.stack(found).numpy()


@pytest.mark.parametrize("classes", [1, 3])
@pytest.mark.parametrize("family", FAMILIES)
def test_logits_are_those_of_transformers(family, classes):
    model = make(family, classes=classes, activation="identity")
    found = model.score(PAIRS).reshape(len(PAIRS), classes)
    np.testing.assert_allclose(found, plain_scores(model, PAIRS), atol=1e-5, rtol=1e-4)
    assert model.head.reads == ("all" if family == "modernbert mean" else "first")


def test_an_unusual_head_runs_without_packing(monkeypatch):
    expected = make("bert", classes=2, activation="identity").score(PAIRS)
    monkeypatch.setattr(SequenceHead, "forward", lambda *_: torch.zeros(4, 2))
    model = make("bert", classes=2, activation="identity")
    assert model.head.reads == "nothing" and not model.encoder.packed
    np.testing.assert_allclose(model.score(PAIRS), expected, atol=1e-5)
    assert {id(p) for p in model.parameters()} == {id(p) for p in model.whole.parameters()}


@pytest.mark.parametrize("family", ["bert", "modernbert mean", "mpnet"])
def test_a_score_does_not_depend_on_neighbours_or_budget(family):
    model = make(family)
    alone = np.concatenate([model.score([pair]) for pair in PAIRS])
    for budget in (1, 100, 100_000):
        np.testing.assert_allclose(model.score(PAIRS, tokens_per_batch=budget), alone, atol=1e-5)


@pytest.mark.parametrize("family", ["bert", "modernbert mean"])
def test_bf16_products_change_scores_little(family):
    model = make(family, std=0.1)
    expected = model.score(PAIRS)
    model.encoder.set_dtype("bf16")
    found = model.score(PAIRS)
    assert not np.array_equal(found, expected)
    np.testing.assert_allclose(found, expected, atol=0.02)


def test_distinct_pairs_are_scored_once_and_cut_ones_counted():
    model = tiny_cross_encoder(max_length=10)
    scored = []
    model.register_forward_hook(lambda _, args, out: scored.append(len(out)))
    long = ("the cat", "dog " * 30)
    pairs = [long, ("a", "b"), long, ("b", "a"), ["a", "b"], long]
    scores, truncated = model.score_counted(pairs)
    assert sum(scored) == 3
    assert truncated == 3
    assert scores[0] == scores[2] == scores[5] and scores[1] == scores[4]
    assert scores[1] != scores[3]  # the order of a pair matters


def test_an_iterator_gives_what_a_list_gives(monkeypatch):
    model = tiny_cross_encoder()
    expected = model.score(PAIRS)
    monkeypatch.setattr(score, "BLOCK", 7)
    np.testing.assert_allclose(model.score(iter(PAIRS)), expected, atol=1e-6)


def test_activations():
    logits = make("bert", activation="identity").score(PAIRS)
    np.testing.assert_allclose(
        make("bert").score(PAIRS), 1 / (1 + np.exp(-logits)), atol=1e-6
    )  # sigmoid, by default
    several = make("bert", classes=3).score(PAIRS)  # identity, by default
    shares = make("bert", classes=3, activation="softmax").score(PAIRS)
    np.testing.assert_allclose(
        shares, np.exp(several) / np.exp(several).sum(1, keepdims=True), atol=1e-5
    )
    with pytest.raises(ConfigError, match="activation = 'cosine'"):
        make("bert", activation="cosine")


def test_ranking_is_by_score_and_then_by_place():
    model = tiny_cross_encoder()
    texts = ["a dog", "the cat sits", "red sky", "a dog", "far"]
    scores = model.score([("the cat", text) for text in texts])
    found = model.rank("the cat", texts)
    assert [place for place, _ in found] == np.argsort(-scores, kind="stable").tolist()
    assert [score for _, score in found] == sorted(scores.tolist(), reverse=True)
    assert model.rank("the cat", texts, 2) == found[:2]
    assert model.rank("the cat", []) == []
    with pytest.raises(ModelError, match="gives 3 labels"):
        tiny_cross_encoder(classes=3).rank("the cat", texts)
    with pytest.raises(ConfigError, match="a list of texts, not one text"):
        model.rank("the cat", "a dog")


@pytest.mark.parametrize("pair", ["ab", ("a",), ("a", "b", "c"), ("a", 1), None, ("a", "\ud800")])
def test_what_is_no_pair_is_named(pair):
    with pytest.raises(DataError, match=r"^row 2: "):
        tiny_cross_encoder().score([("a", "b"), pair])


def test_no_pairs_give_no_scores():
    assert tiny_cross_encoder().score([]).shape == (0,)
    assert tiny_cross_encoder(classes=3).score([]).shape == (0, 3)


def test_scoring_leaves_the_mode_of_the_model():
    model = tiny_cross_encoder(dropout=0.5)
    model.train()
    first = model.score(PAIRS)
    assert model.training and model.whole.training
    np.testing.assert_array_equal(first, model.score(PAIRS))  # no dropout


@pytest.mark.parametrize("family", ["bert", "roberta", "albert", "deberta-v2", "modernbert mean"])
def test_every_parameter_is_trained(family):
    model = make(family, classes=3)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    assert [names[id(p)] for p in model.unused_parameters()] == []
    assert len(names) == len(list(model.whole.parameters()))
    model.train()
    ids = model.tokenizer.pairs(*zip(*PAIRS, strict=True))
    model(PackedBatch.of(ids)).pow(2).sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_parameters_that_no_logit_needs_are_named():
    model = make("bert")
    model.encoder.transformer.extra = torch.nn.Linear(2, 2)
    assert len(model.unused_parameters()) == 2
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize("family", FAMILIES)
def test_a_saved_model_is_the_same(family, tmp_path):
    model = make(family, classes=3, activation="softmax")
    model.labels = ("yes", "no", "maybe")
    model.save(tmp_path / "model")
    again = CrossEncoder.load(tmp_path / "model", device="cpu", dtype="fp32")
    assert np.array_equal(again.score(PAIRS), model.score(PAIRS))
    assert again.labels == ("yes", "no", "maybe")
    assert (again.activation, again.max_seq_length) == ("softmax", 40)
    assert len(again.sha256) == 64
    assert "tenor_packed" not in (tmp_path / "model" / "config.json").read_text()


def test_a_folder_that_is_no_model_is_not_overwritten(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ModelError, match=r"notes\.txt"):
        tiny_cross_encoder().save(tmp_path)


def test_an_embedder_gets_a_new_classifier(tmp_path, caplog):
    folder = tiny_model(tmp_path / "embedder")
    first = CrossEncoder.load(folder, device="cpu", seed=1)
    assert "the classifier is new" in caplog.text
    assert first.labels == ("LABEL_0",) and first.activation == "sigmoid"
    again = CrossEncoder.load(folder, device="cpu", seed=1)
    other = CrossEncoder.load(folder, device="cpu", seed=2)
    assert np.array_equal(first.score(PAIRS), again.score(PAIRS))
    assert not np.array_equal(first.score(PAIRS), other.score(PAIRS))
    assert CrossEncoder.load(folder, device="cpu", classes=3).score(PAIRS).shape == (30, 3)


def test_a_new_classifier_does_not_disturb_random_numbers(tmp_path):
    folder = tiny_model(tmp_path / "embedder")
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    CrossEncoder.load(folder, device="cpu")
    assert torch.equal(torch.rand(3), expected)


def test_another_number_of_labels_replaces_the_classifier(tmp_path, caplog):
    tiny_cross_encoder(classes=3).save(tmp_path / "model")
    assert CrossEncoder.load(tmp_path / "model", classes=3).classes == 3
    assert "new" not in caplog.text
    model = CrossEncoder.load(tmp_path / "model", classes=1)
    assert model.classes == 1 and model.activation == "sigmoid"
    assert "the classifier is new" in caplog.text


def test_a_folder_that_lacks_weights_is_refused(tmp_path):
    tiny_classifier().base_model.save_pretrained(tmp_path)
    tiny_hf_tokenizer().save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    config["architectures"] = ["BertForSequenceClassification"]
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match="lacks the weights classifier"):
        CrossEncoder.load(tmp_path)
    config["num_hidden_layers"] = 3
    config["architectures"] = ["BertModel"]
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match=r"lacks the weights bert.encoder.layer.2"):
        CrossEncoder.load(tmp_path)


def test_the_length_limit_is_kept_and_checked(tmp_path):
    tiny_cross_encoder(max_length=24).save(tmp_path / "model")
    assert CrossEncoder.load(tmp_path / "model").max_seq_length == 24
    assert CrossEncoder.load(tmp_path / "model", max_seq_length=12).max_seq_length == 12
    with pytest.raises(ConfigError, match=f"at most {POSITIONS}"):
        CrossEncoder.load(tmp_path / "model", max_seq_length=POSITIONS + 1)


def test_an_embedder_that_lower_cases_stays_so(tmp_path):
    model = CrossEncoder.load(tiny_lower_casing_model(tmp_path / "embedder"), device="cpu")
    assert np.array_equal(model.score([("THE cat", "A Dog")]), model.score([("the cat", "a dog")]))
    model.save(tmp_path / "model")
    again = CrossEncoder.load(tmp_path / "model", device="cpu")
    assert np.array_equal(again.score([("THE cat", "A")]), again.score([("the cat", "a")]))


def test_wrong_label_names():
    with pytest.raises(ConfigError, match="3 different names"):
        tiny_cross_encoder(classes=3).labels = ("a", "b", "b")
