"""Masked language models: the fast path gives `transformers`' logits, folders go both ways."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F
from transformers import AutoConfig, AutoModelForMaskedLM, pipeline

from tenor.errors import ModelError
from tenor.models.embedder import Embedder
from tenor.models.language_head import language_head
from tenor.models.masked_lm import MaskedLM
from tenor.tokens.packed import PackedBatch
from tiny import (
    CONFIGS,
    FIRST,
    SIZE,
    random_ids,
    random_texts,
    tiny_lower_casing_model,
    tiny_model,
    tiny_tokenizer,
)

NAMES = [name for name in CONFIGS if name != "fnet"]


def whole_model(name="bert", **overrides):
    config = AutoConfig.for_model(name, **{**CONFIGS[name], **overrides})
    model = AutoModelForMaskedLM.from_config(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return model


@pytest.mark.parametrize("name", NAMES)
def test_loss_is_that_of_transformers_on_the_masked_places(name):
    whole = whole_model(name)
    ids = random_ids([9, 7, 7, 4])
    batch = PackedBatch.of(ids)
    places, targets = torch.tensor([2, 5, 10, 26, 0]), torch.tensor([9, 8, 7, 11, -1])
    rows = [torch.from_numpy(ids[i]).long()[None] for i in range(len(ids))]
    with torch.no_grad():
        logits = torch.cat([whole(input_ids=row).logits[0] for row in rows])
    expected = F.cross_entropy(logits[places], targets, ignore_index=-1)
    model = MaskedLM.of(whole, tiny_tokenizer())
    assert model(batch, places, targets, 4).item() == pytest.approx(expected.item(), rel=1e-5)
    each = model.losses(batch, places, targets)
    assert each.sum().item() / 4 == pytest.approx(expected.item(), rel=1e-5)
    assert each[-1] == 0


def test_gradients_are_those_of_the_plain_model():
    whole = whole_model(hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    ids = random_ids([8])
    row = torch.from_numpy(ids[0]).long()[None]
    places, targets = torch.tensor([1, 4]), torch.tensor([9, 8])
    F.cross_entropy(whole(input_ids=row).logits[0][places], targets).backward()
    expected = {n: p.grad.clone() for n, p in whole.named_parameters() if p.grad is not None}
    whole.zero_grad()
    MaskedLM.of(whole, tiny_tokenizer())(PackedBatch.of(ids), places, targets, 2).backward()
    for name, parameter in whole.named_parameters():
        if name in expected:
            assert not parameter.grad.is_sparse
            torch.testing.assert_close(parameter.grad, expected[name], atol=1e-5, rtol=1e-4)


def test_a_saved_folder_is_transformers_own(tmp_path):
    model = MaskedLM.of(whole_model(), tiny_tokenizer())
    row = torch.arange(FIRST, FIRST + 9)[None]
    model.save(tmp_path / "model")
    again = AutoModelForMaskedLM.from_pretrained(tmp_path / "model").eval()
    plain = whole_model()
    plain.load_state_dict(model.whole.state_dict())
    with torch.no_grad():
        assert torch.equal(again(input_ids=row).logits, plain.eval()(input_ids=row).logits)
    fill = pipeline("fill-mask", str(tmp_path / "model"))
    assert len(fill("the cat [MASK] on the tree")) == 5
    assert "fill-mask" in (tmp_path / "model" / "README.md").read_text()


def test_a_saved_folder_is_an_encoder_for_embedders(tmp_path):
    MaskedLM.of(whole_model(), tiny_tokenizer(max_length=24)).save(tmp_path / "model")
    embedder = Embedder.load(tmp_path / "model", device="cpu", pooling="cls")
    assert embedder.max_seq_length == 24
    assert embedder.encode(random_texts(3)).shape == (3, 32)


def test_loads_back_with_the_same_losses(tmp_path):
    model = MaskedLM.of(whole_model(), tiny_tokenizer())
    model.save(tmp_path / "model")
    again = MaskedLM.load(tmp_path / "model", device="cpu", dtype="fp32")
    batch, places = PackedBatch.of(random_ids([9, 4])), torch.tensor([3, 11])
    targets = torch.tensor([10, 20])
    assert torch.equal(model.losses(batch, places, targets), again.losses(batch, places, targets))
    assert again.sha256 is not None


def test_an_embedder_that_lower_cases_stays_so(tmp_path):
    model = MaskedLM.load(tiny_lower_casing_model(tmp_path / "embedder"), device="cpu")
    model.save(tmp_path / "model")
    expected = model.tokenizer(["the cat"]).ids
    for each in (model, MaskedLM.load(tmp_path / "model"), Embedder.load(tmp_path / "model")):
        assert np.array_equal(each.tokenizer(["THE Cat"]).ids, expected)


def test_an_embedder_gets_a_new_head_tied_to_its_embeddings(tmp_path, caplog):
    folder = tiny_model(tmp_path / "embedder")
    with caplog.at_level("INFO", "tenor"):
        model = MaskedLM.load(folder, device="cpu", dtype="fp32")
    assert "a new one is made" in caplog.text
    words = model.encoder.transformer.get_input_embeddings().weight
    assert model.output_weight is words
    stored = Embedder.load(folder, device="cpu").encoder.transformer.get_input_embeddings().weight
    assert torch.equal(words, stored)


def test_an_unknown_head_is_refused_by_name():
    whole = whole_model()
    whole.cls.predictions.transform.extra = torch.nn.Linear(32, 32)
    assert language_head(whole) is None
    with pytest.raises(ModelError, match="BertForMaskedLM"):
        MaskedLM.of(whole, tiny_tokenizer())


def test_the_head_has_every_token():
    model = MaskedLM.of(whole_model(), tiny_tokenizer())
    assert model.output_weight.shape[0] == SIZE
    assert model.whole_vocabulary
