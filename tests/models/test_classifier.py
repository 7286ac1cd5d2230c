"""A classifier gives the probabilities of `transformers`, each text once, from either folder."""

import json

import numpy as np
import pytest
import torch

from tenor.errors import ConfigError, DataError, ModelError
from tenor.formats.classifier import LinearClassifier
from tenor.formats.locate import hash_model
from tenor.models import classifier as module
from tenor.models.classifier import TextClassifier
from tenor.models.cross_encoder import CrossEncoder
from tenor.models.embedder import Embedder
from tenor.models.embedding_classifier import EmbeddingClassifier
from tenor.models.encoder_classifier import EncoderClassifier
from tenor.models.static import StaticEmbedder
from tenor.tokens.packed import PackedBatch
from tenor.training.arguments import TrainingArguments
from tenor.training.freezing import Freezing
from tenor.training.frozen_model import FrozenModel
from tenor.training.optimizer import make_optimizer
from tiny import WIDTH, random_texts, tiny_hf_tokenizer, tiny_model
from tiny_labels import tiny_encoder_classifier
from tiny_pairs import tiny_classifier, tiny_cross_encoder

TEXTS = random_texts(25, words=(1, 14))
LABELS = ("animal", "colour", "weather")
FAMILIES = {
    "bert": {},
    "roberta": {},
    "distilbert": {},
    "electra": {},
    "albert": {},
    "modernbert": {"classifier_pooling": "mean"},
    "mpnet": {},
    "deberta-v2": {},
    "fnet": {},
}


def load(folder, **options):
    return TextClassifier.load(folder, device="cpu", dtype="fp32", **options)


def linear_model(folder, *, multi_label=False, seed=0):
    embedder = Embedder.load(folder, device="cpu", dtype="fp32")
    generator = np.random.default_rng(seed)
    weight = generator.normal(size=(3, embedder.dimensions)).astype(np.float32) * 5
    linear = LinearClassifier(
        labels=LABELS,
        multi_label=multi_label,
        weight=weight,
        bias=-weight @ embedder.encode(TEXTS).mean(axis=0),  # so that no label gets all texts
        facts={"method": "by hand"},
    )
    return EmbeddingClassifier(embedder, linear)


@pytest.fixture(params=["encoder", "embedder", "static"])
def model(request, tmp_path):
    """One of each kind."""
    if request.param == "encoder":
        found = tiny_encoder_classifier()
        bias = found.whole.classifier.bias
        middle = np.log(found.predict_proba(TEXTS)).mean(axis=0)
        bias.data -= torch.from_numpy(middle)  # so that no label gets all texts
        return found
    if request.param == "embedder":
        return linear_model(tiny_model(tmp_path / "embedder"))
    vectors = np.random.default_rng(0).normal(size=(128, 8)).astype(np.float32)
    static = StaticEmbedder(vectors, tiny_hf_tokenizer().backend_tokenizer)
    static.save(tmp_path / "static")
    return linear_model(tmp_path / "static")


@pytest.mark.parametrize("multi_label", [False, True])
@pytest.mark.parametrize("family", FAMILIES)
def test_probabilities_are_those_of_transformers(family, multi_label):
    model = tiny_encoder_classifier(family, multi_label=multi_label, **FAMILIES[family])
    classifier = model.whole
    attention = classifier.config._attn_implementation
    found = model.predict_proba(TEXTS)
    classifier.base_model.set_attn_implementation("eager")
    expected = []
    with torch.no_grad():
        for text in TEXTS:
            ids = tiny_hf_tokenizer()(text, return_tensors="pt")["input_ids"]
            logits = classifier(input_ids=ids).logits[0]
            expected.append(torch.sigmoid(logits) if multi_label else torch.softmax(logits, 0))
    classifier.base_model.set_attn_implementation(attention)
    np.testing.assert_allclose(found, torch.stack(expected).numpy(), atol=1e-5)


def test_what_one_text_gets_many_get(model):
    found = model.predict_proba(TEXTS)
    assert found.shape == (25, 3) and found.dtype == np.float32
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-6)
    names = model.predict(TEXTS)
    assert names == [LABELS[place] for place in found.argmax(axis=1)] and len(set(names)) > 1
    assert model.predict(TEXTS[3]) == names[3]
    np.testing.assert_allclose(model.predict_proba(TEXTS[3]), found[3], atol=1e-5)
    assert model.predict([]) == [] and model.predict_proba([]).shape == (0, 3)


def test_an_iterator_gives_what_a_list_gives(model, monkeypatch):
    expected = model.predict_proba(TEXTS)
    monkeypatch.setattr(module, "BLOCK", 7)
    np.testing.assert_allclose(model.predict_proba(iter(TEXTS)), expected, atol=1e-5)


def test_what_is_no_text_is_named(model):
    with pytest.raises(DataError, match=r"^row 2: 3 is not a text"):
        model.predict(["a", 3])
    with pytest.raises(DataError, match=r"^row 3: .*half a surrogate pair"):
        model.predict_proba(["a", "a", "a \udc00"])


def test_a_saved_model_is_the_same(model, tmp_path):
    model.save(tmp_path / "model")
    again = load(tmp_path / "model")
    assert type(again) is type(model) and again.labels == LABELS
    assert np.array_equal(again.predict_proba(TEXTS), model.predict_proba(TEXTS))
    assert again.sha256 == hash_model(tmp_path / "model")
    card = (tmp_path / "model" / "README.md").read_text()
    assert "animal, colour, weather" in card and "text-classification" in card
    again.save(tmp_path / "model")  # a model is replaced
    assert np.array_equal(load(tmp_path / "model").predict_proba(TEXTS), again.predict_proba(TEXTS))
    assert not list(tmp_path.rglob("*.pkl")) and not list(tmp_path.rglob("*.bin"))


def test_several_labels_a_text():
    model = tiny_encoder_classifier(multi_label=True)
    found = model.predict_proba(TEXTS)
    assert np.ptp(found.sum(axis=1)) > 0.1
    names = model.predict(TEXTS)
    assert names == [tuple(np.array(LABELS)[row >= 0.5]) for row in found]
    assert model.predict(TEXTS, threshold=0.0) == [LABELS] * 25
    assert model.predict(TEXTS, threshold=1.0) == [()] * 25
    with pytest.raises(ConfigError, match=r"threshold = 1\.5"):
        model.predict(TEXTS, threshold=1.5)


def test_score_is_the_share_that_is_right(model):
    names = model.predict(TEXTS)
    assert model.score(TEXTS, names) == 1.0
    wrong = ["animal" if name != "animal" else "colour" for name in names]
    assert model.score(TEXTS, [*wrong[:5], *names[5:]]) == pytest.approx(0.8)
    assert model.score(TEXTS, [name.upper() for name in names]) == 1.0
    with pytest.raises(ModelError, match="does not have the labels 'plant'"):
        model.score(["a"], ["plant"])
    with pytest.raises(ConfigError, match="labels"):
        model.score(["a", "b"], ["animal"])
    with pytest.raises(ConfigError, match="a list of texts, not one text"):
        model.score("cat", ["animal"] * 3)


def test_score_of_several_labels_needs_all_of_them():
    model = tiny_encoder_classifier(multi_label=True)
    names = model.predict(TEXTS)
    assert model.score(TEXTS, names) == 1.0
    assert model.score(TEXTS, [tuple(reversed(each)) for each in names]) == 1.0
    less = [each[:-1] if each else ("animal",) for each in names]
    assert model.score(TEXTS, less) == 0.0


def test_distinct_texts_are_read_once_and_cut_ones_counted():
    model = tiny_encoder_classifier()
    model.tokenizer.max_length = 8
    read = []
    model.register_forward_hook(lambda _, args, out: read.append(len(out)))
    long = "the cat sits near the old house far"
    found, truncated = model.predict_proba_counted([long, "a", long, "a", long])
    assert sum(read) == 2 and truncated == 3
    assert np.array_equal(found[0], found[2]) and np.array_equal(found[1], found[3])


def test_classifying_leaves_the_mode_of_the_model():
    model = tiny_encoder_classifier(dropout=0.5)
    model.train()
    first = model.predict_proba(TEXTS)
    assert model.training and model.whole.training
    np.testing.assert_array_equal(first, model.predict_proba(TEXTS))


def test_an_embedder_with_a_classifier_still_is_an_embedder(tmp_path):
    model = linear_model(tiny_model(tmp_path / "embedder"))
    model.save(tmp_path / "model")
    embedder = Embedder.load(tmp_path / "model", device="cpu", dtype="fp32")
    np.testing.assert_array_equal(embedder.encode(TEXTS), model.embedder.encode(TEXTS))
    stored = json.loads((tmp_path / "model" / "classifier.json").read_text())
    assert stored == {"labels": list(LABELS), "multi_label": False, "method": "by hand"}
    assert load(tmp_path / "model").linear.facts == {"method": "by hand"}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("classifier.json", "{}", "does not give labels"),
        ("classifier.json", "[", "is not JSON"),
        ("classifier.json", '{"labels": ["a"], "multi_label": false}', "should hold"),
        ("classifier.safetensors", "nonsense", "cannot be read"),
    ],
)
def test_a_damaged_classifier_is_refused(name, content, message, tmp_path):
    linear_model(tiny_model(tmp_path / "embedder")).save(tmp_path / "model")
    (tmp_path / "model" / name).write_text(content)
    with pytest.raises(ModelError, match=message):
        load(tmp_path / "model")


def test_folders_that_hold_no_classifier_are_refused(tmp_path):
    folder = tiny_model(tmp_path / "embedder")
    with pytest.raises(ModelError, match="without a classifier; train one"):
        load(folder)
    tiny_cross_encoder().save(tmp_path / "cross")
    with pytest.raises(ModelError, match="one number a text"):
        load(tmp_path / "cross")


def test_one_label_that_may_or_may_not_apply(tmp_path):
    model = tiny_encoder_classifier(labels=("spam",), multi_label=True)
    model.save(tmp_path / "model")
    again = load(tmp_path / "model")
    assert again.multi_label and set(again.predict(TEXTS)) == {("spam",), ()}


def start(folder, labels=LABELS, **options):
    return EncoderClassifier.start(folder, labels, device="cpu", dtype="fp32", **options)


def weights(model):
    state = model.whole.state_dict()
    return {name: value.clone() for name, value in state.items()}


def changed(model, other):
    """Names of the weights that differ, but for those of the output layer."""
    left, right = weights(model), weights(other)
    return {
        name
        for name in left
        if not name.startswith("classifier") and not torch.equal(left[name], right[name])
    }


def test_a_new_head_is_made_from_the_seed(tmp_path):
    folder = tiny_model(tmp_path / "embedder")
    first, again, other = (start(folder, seed=seed) for seed in (1, 1, 2))
    assert first.labels == LABELS and not first.multi_label
    assert np.array_equal(first.predict_proba(TEXTS), again.predict_proba(TEXTS))
    assert not np.array_equal(first.predict_proba(TEXTS), other.predict_proba(TEXTS))
    assert changed(first, other) == set()  # the pooler came with the folder
    mlp = start(folder, seed=1, head="mlp")
    assert changed(first, mlp) == {"bert.pooler.dense.weight", "bert.pooler.dense.bias"}


def test_a_head_with_these_labels_goes_on_in_its_own_order(tmp_path):
    first = tiny_encoder_classifier()
    first.save(tmp_path / "model")
    model = start(tmp_path / "model", ("Weather", "animal", "colour"))
    assert model.labels == ("animal", "colour", "Weather")
    np.testing.assert_array_equal(model.predict_proba(TEXTS), first.predict_proba(TEXTS))
    several = start(tmp_path / "model", LABELS, multi_label=True)
    assert several.multi_label and several.labels == LABELS


@pytest.mark.parametrize("labels", [("a", "b", "c"), ("0", "1", "2"), ("animal", "colour")])
def test_a_head_with_other_labels_is_replaced(labels, tmp_path):
    first = tiny_encoder_classifier()
    first.save(tmp_path / "model")
    model = start(tmp_path / "model", labels)
    assert model.labels == labels and changed(first, model) == set()
    output = model.whole.classifier.weight
    old = first.whole.classifier.weight
    assert output.shape[0] == len(labels) and not torch.equal(output[:2], old[:2])


def test_a_cross_encoder_can_be_the_start(tmp_path):
    tiny_cross_encoder(classes=3).save(tmp_path / "cross")
    start(tmp_path / "cross").save(tmp_path / "model")
    assert "sentence_transformers" not in (tmp_path / "model" / "config.json").read_text()
    assert CrossEncoder.load(tmp_path / "model").activation == "identity"


def trained_names(model):
    named = model.whole.named_parameters()
    return {name.rpartition(".")[0] for name, each in named if each.requires_grad}


@pytest.mark.parametrize(
    ("head", "expected"), [("linear", {"classifier"}), ("mlp", {"classifier", "bert.pooler.dense"})]
)
def test_a_frozen_encoder_leaves_the_head(head, expected, tmp_path):
    model = start(tiny_model(tmp_path / "embedder", dropout=0.5), head=head)
    FrozenModel(model, Freezing(kind="all"))
    assert trained_names(model) == expected and model.unused_parameters() == []
    model.train()
    batch = PackedBatch.of(model.tokenizer(TEXTS))
    # No dropout in the encoder; that of the head stays.
    assert torch.equal(model.encoder(batch), model.encoder(batch))
    assert not torch.equal(model(batch), model(batch))
    model(batch).pow(2).sum().backward()
    assert all((p.grad is not None) == p.requires_grad for p in model.parameters())


def test_the_head_and_the_pooler_have_a_learning_rate_of_their_own(tmp_path):
    model = start(tiny_model(tmp_path / "embedder"))
    frozen = FrozenModel(model, head_rate=10.0)
    arguments = TrainingArguments(learning_rate=1e-4)
    groups = make_optimizer([model], arguments, frozen).param_groups
    names = {id(each): name for name, each in model.whole.named_parameters()}
    fast = {names[id(each)] for group in groups if group["lr"] == 1e-3 for each in group["params"]}
    heads = ("bert.pooler.dense", "classifier")
    assert fast == {f"{name}.{part}" for name in heads for part in ("weight", "bias")}
    assert groups[0]["lr"] == 1e-4, "logs show the rate of the first group"
    decaying = FrozenModel(model, layer_decay=0.5, head_rate=10.0)
    assert {decaying.rate(each) for each in model.top_parameters()} == {10.0}


def test_a_pooler_that_the_folder_lacks_is_trained_with_the_head(tmp_path):
    from transformers import BertForMaskedLM

    source = tiny_classifier()
    BertForMaskedLM(source.config).save_pretrained(tmp_path)
    tiny_hf_tokenizer().save_pretrained(tmp_path)
    model = start(tmp_path)
    FrozenModel(model, Freezing(kind="all"))
    assert trained_names(model) == {"classifier", "bert.pooler.dense"}


@pytest.mark.parametrize("family", ["roberta", "electra", "modernbert", "deberta-v2"])
def test_hidden_layers_of_other_architectures(family, tmp_path):
    first = tiny_encoder_classifier(family, **FAMILIES[family])
    first.save(tmp_path / "model")
    kept, renewed = (start(tmp_path / "model", "abc", head=head) for head in ("linear", "mlp"))
    before, after, fresh = (weights(model) for model in (first, kept, renewed))
    hidden = {"deberta-v2": "pooler.dense", "modernbert": "head.dense"}
    name = f"{hidden.get(family, 'classifier.dense')}.weight"
    assert torch.equal(before[name], after[name]) and not torch.equal(before[name], fresh[name])
    FrozenModel(renewed, Freezing(kind="all"))
    assert name.removesuffix(".weight") in trained_names(renewed)


def test_wrong_settings_are_named(tmp_path):
    folder = tiny_model(tmp_path / "embedder")
    with pytest.raises(ConfigError, match="head = 'deep'"):
        start(folder, head="deep")
    with pytest.raises(ModelError, match="must fit these"):
        EmbeddingClassifier(
            Embedder.load(folder, device="cpu"),
            LinearClassifier(
                labels=LABELS,
                multi_label=False,
                weight=np.zeros((3, WIDTH + 1), np.float32),
                bias=np.zeros(3, np.float32),
            ),
        )


def test_the_length_limit_of_an_embedder_is_kept(tmp_path):
    folder = tmp_path / "embedder"
    tiny_model(folder)
    path = folder / "sentence_bert_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "max_seq_length": 20}))
    model = start(folder)
    assert model.max_seq_length == 20
    assert start(folder, max_seq_length=30).max_seq_length == 30
    model.save(tmp_path / "model")
    assert load(tmp_path / "model").max_seq_length == 20
