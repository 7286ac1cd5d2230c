import json
import logging

import pytest
import torch
from transformers import AutoModel, T5Config, T5EncoderModel, T5Model

from tenor.errors import ModelError
from tenor.models.encoder import Encoder
from tenor.tokens.packed import PackedBatch
from tiny import PACKED, PADDED, POSITIONS, random_ids, tiny_encoder, tiny_transformer

BATCH = PackedBatch.of(random_ids([12, 7, 3]))
T5 = {"vocab_size": 128, "d_model": 16, "d_kv": 4, "d_ff": 16, "num_layers": 2}


@pytest.mark.parametrize("name", ["bert", "roberta", "modernbert", "mpnet", "fnet"])
def test_a_saved_encoder_loads_here_and_in_transformers(name, tmp_path):
    encoder = tiny_encoder(name, dtype="bf16")
    encoder.set_dtype("fp32")
    expected = encoder(BATCH)
    encoder.save(tmp_path)
    assert torch.equal(Encoder.load(tmp_path)(BATCH), expected)
    assert "tenor" not in (tmp_path / "config.json").read_text()
    plain = AutoModel.from_pretrained(tmp_path)
    text = plain(input_ids=BATCH.token_ids[None, :12]).last_hidden_state[0]
    torch.testing.assert_close(text, expected[:12], atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", [*PACKED, *PADDED])
def test_as_many_tokens_as_it_says_it_takes(name):
    encoder = tiny_encoder(name)
    family = name in ("roberta", "xlm-roberta", "mpnet")  # they count from the padding id, 1, on
    assert encoder.max_positions == POSITIONS - 2 * family
    longest = PackedBatch.of(random_ids([encoder.max_positions, 5]))
    assert encoder(longest).isfinite().all()


@pytest.mark.parametrize("training", [True, False])
def test_making_an_encoder_leaves_its_mode_and_the_random_numbers_alone(training):
    transformer = tiny_transformer("bert", dropout=0.1).train(training)
    before = torch.get_rng_state()
    encoder = Encoder(transformer, dtype="bf16")
    assert torch.equal(torch.get_rng_state(), before)
    assert encoder.packed
    assert all(module.training == training for module in transformer.modules())


def test_the_log_says_which_encoder_is_padded(caplog):
    caplog.set_level(logging.INFO, logger="tenor")
    tiny_encoder("bert")
    assert not caplog.text
    tiny_encoder("mpnet")
    assert "MPNetModel does not run packed" in caplog.text


def test_what_is_no_encoder_is_refused(tmp_path):
    sizes = {
        "vocab_size": 50,
        "d_model": 16,
        "d_kv": 4,
        "d_ff": 16,
        "num_layers": 1,
        "num_heads": 4,
    }
    config = T5Config(**sizes)
    with pytest.raises(ModelError, match="encoder-decoder"):
        Encoder(T5Model(config))
    with pytest.raises(ModelError, match="cannot be loaded"):
        Encoder.load(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "no-such-model"}))
    with pytest.raises(ModelError, match="cannot be loaded"):
        Encoder.load(tmp_path)


def test_weights_in_a_pickle_are_refused(tmp_path):
    transformer = tiny_transformer("bert")
    transformer.config.save_pretrained(tmp_path)
    torch.save(transformer.state_dict(), tmp_path / "pytorch_model.bin")
    with pytest.raises(ModelError, match="cannot be loaded"):
        Encoder.load(tmp_path)


def test_an_encoder_that_takes_no_positions_works():
    """T5's encoder has relative positions of its own making; the probe must find it out."""
    plain = T5EncoderModel(T5Config(**T5, num_heads=4)).eval()
    alone = plain(input_ids=BATCH.token_ids[None, 12:19]).last_hidden_state[0]
    found = Encoder(plain)(BATCH)[12:19]
    torch.testing.assert_close(found, alone, atol=1e-5, rtol=0)
