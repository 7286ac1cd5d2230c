"""Folders that are damaged: named, instead of loaded with weights made up in silence."""

import json
import logging

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import RobertaTokenizerFast

from tenor.errors import ModelError
from tenor.models.cross_encoder import CrossEncoder
from tenor.models.embedder import Embedder
from tenor.models.masked_lm import MaskedLM
from tenor.models.pretrained import load_tokenizer, lower_casing
from tenor.models.tagger import Tagger
from tiny import tiny_encoder, tiny_hf_tokenizer, tiny_model
from tiny_tags import LABELS

KINDS = {
    "embedder": Embedder.load,
    "masked language model": MaskedLM.load,
    "cross-encoder": CrossEncoder.load,
    "tagger": lambda folder, **options: Tagger.load(folder, labels=LABELS, **options),
}


@pytest.fixture
def folder(tmp_path):
    tiny_model(tmp_path / "model")
    return tmp_path / "model"


def change_weights(folder, change):
    path = folder / "model.safetensors"
    weights = load_file(path)
    change(weights)
    save_file(weights, path, {"format": "pt"})


@pytest.mark.parametrize("load", KINDS.values(), ids=KINDS)
def test_half_a_download_is_named(load, folder):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:5_000])
    with pytest.raises(ModelError, match=r"model cannot be loaded as an? .*incomplete"):
        load(folder, device="cpu")


@pytest.mark.parametrize("load", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("lost", [True, False], ids=["missing", "of another shape"])
def test_a_weight_of_the_encoder_is_never_made_up(lost, load, folder):
    name = "encoder.layer.1.attention.self.query.weight"

    def change(weights):
        weights[name] = weights.pop(name)[:, :5].clone()
        if lost:
            del weights[name]

    change_weights(folder, change)
    with pytest.raises(ModelError, match=rf"lacks the weights (bert\.)?{name} of a Bert"):
        load(folder, device="cpu")


@pytest.mark.parametrize("name", ["bert", "roberta", "mpnet"])
def test_a_pooler_that_nothing_reads_may_be_missing(name, tmp_path):
    encoder = tiny_encoder(name)
    encoder.save(tmp_path / "model")
    tiny_hf_tokenizer().save_pretrained(tmp_path / "model")
    before = Embedder.load(tmp_path / "model", device="cpu", dtype="fp32").encode(["the cat"])

    def change(weights):
        for key in [key for key in weights if key.startswith("pooler.")]:
            del weights[key]

    change_weights(tmp_path / "model", change)
    for mode in (False, True):
        with torch.inference_mode(mode):
            model = Embedder.load(tmp_path / "model", device="cpu", dtype="fp32")
            assert (model.encode(["the cat"]) == before).all()


@pytest.mark.parametrize(("key", "value"), [("hidden_size", "32"), ("hidden_act", "nothing")])
@pytest.mark.parametrize("load", KINDS.values(), ids=KINDS)
def test_settings_that_cannot_be_are_named(load, key, value, folder):
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), key: value}))
    with pytest.raises(ModelError, match=r"model cannot be loaded as an? "):
        load(folder, device="cpu")


@pytest.mark.parametrize("text", ["{", '{"model": 1}', '"text"'])
@pytest.mark.parametrize("load", KINDS.values(), ids=KINDS)
def test_a_damaged_tokenizer_is_named(load, text, folder):
    (folder / "tokenizer.json").write_text(text)
    with pytest.raises(ModelError, match=r"the tokenizer in .*model cannot be read"):
        load(folder, device="cpu")


def test_loading_says_nothing_of_transformers_own(folder, capfd, caplog):
    caplog.set_level(logging.WARNING)
    Embedder.load(folder, device="cpu")
    assert capfd.readouterr() == ("", "") and not caplog.records


def test_a_tokenizer_that_keeps_case_is_made_to_lower_it_for_good(tmp_path):
    vocabulary = {token: number for number, token in enumerate(["<s>", "<pad>", "</s>", "<unk>"])}
    vocabulary |= {letter: len(vocabulary) + n for n, letter in enumerate("abcABC")}
    vocabulary["<mask>"] = len(vocabulary)
    before = RobertaTokenizerFast(vocab=vocabulary, merges=[], model_max_length=17)
    before.truncation_side = "left"
    expected = before("a b", "c<mask>"), before("a <mask>").input_ids
    made = lower_casing(before)
    made.save_pretrained(tmp_path)
    tiny_encoder("roberta").save(tmp_path)
    for each in (made, load_tokenizer(tmp_path)):
        assert (each("A B", "C<mask>"), each("A <mask>").input_ids) == expected
        assert each.model_max_length == 17 and each.truncation_side == "left"
        assert each.pad_token_id == 1 and each.mask_token_id == vocabulary["<mask>"]


def test_a_tokenizer_that_lower_cases_stays_what_it_is():
    tokenizer = tiny_hf_tokenizer()
    assert lower_casing(tokenizer) is tokenizer
