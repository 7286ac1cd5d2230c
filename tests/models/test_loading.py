"""Where a model is asked to run, and how long its texts may be."""

import numpy as np
import pytest
import torch

from tenor.errors import ConfigError
from tenor.models.cross_encoder import CrossEncoder
from tenor.models.embedder import Embedder
from tenor.models.loading import best_device, resolve_device
from tenor.models.masked_lm import MaskedLM
from tenor.models.static import StaticEmbedder
from tenor.tokens.words import word_tokenizer
from tiny import tiny_model


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_model(tmp_path_factory.mktemp("loading") / "model")


def test_devices_have_names():
    assert resolve_device(None) == best_device()
    assert resolve_device("cpu") == resolve_device(torch.device("cpu")) == torch.device("cpu")


@pytest.mark.parametrize("device", ["gpu", "cuda:99", "", "auto"])
@pytest.mark.parametrize("load", [Embedder.load, CrossEncoder.load, MaskedLM.load])
def test_a_device_that_is_not_here_is_named(load, device, folder):
    with pytest.raises(ConfigError, match=r"device = .*it must be cpu.*on this machine"):
        load(folder, device=device)


def test_a_device_that_is_not_here_is_named_for_static_embedders(tmp_path):
    model = StaticEmbedder(np.ones((3, 4), dtype=np.float32), word_tokenizer(["a", "b"]))
    model.save(tmp_path / "model")
    with pytest.raises(ConfigError, match="device = 'gpu'"):
        Embedder.load(tmp_path / "model", device="gpu")


@pytest.mark.parametrize("limit", [0, -1, 1_000_000])
@pytest.mark.parametrize("load", [Embedder.load, CrossEncoder.load, MaskedLM.load])
def test_a_length_limit_that_cannot_be_is_named(load, limit, folder):
    with pytest.raises(ConfigError, match=f"max_seq_length = {limit}"):
        load(folder, device="cpu", max_seq_length=limit)
