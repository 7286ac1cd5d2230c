"""An embedder is what it was after saving, here and in sentence-transformers."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer import modules

from tenor.errors import ConfigError, ModelError
from tenor.formats import atomic
from tenor.models.dense import Dense
from tenor.models.embedder import Embedder
from tenor.models.pooling import POOLING_MODES
from tenor.tokens.tokenizer import Tokenizer
from tiny import (
    POSITIONS,
    WIDTH,
    random_texts,
    tiny_encoder,
    tiny_hf_tokenizer,
    tiny_transformer,
)

# What sentence-transformers 6 says about its own older layout, once for each path it maps.
pytestmark = pytest.mark.filterwarnings(
    "ignore:Importing from 'sentence_transformers.models:DeprecationWarning"
)

TEXTS = ["the cat sits on the mat", "a dog", "The BIG river falls far down near the old house", ""]
# Each is a model a user may have; every setting that decides a vector occurs.
SETTINGS = {
    "plain": {},
    "normalised": {"normalize": True, "similarity": "dot"},
    "several": {"pooling": ("cls", "mean", "last"), "normalize": True},
    "cut short": {"max_length": 6},
    "lower case": {"lower_case": True},
    "dense": {"dense": [(WIDTH, 24, True, "gelu"), (24, 12, False, "identity")], "normalize": True},
    "matryoshka": {"normalize": True, "truncate_dim": 8, "similarity": "euclidean"},
    "prompts": {
        "prompts": {"query": "cat dog: ", "document": ""},
        "default_prompt": "query",
        "include_prompt": False,
    },
}


def make(name="bert", *, max_length=24, lower_case=False, dense=(), seed=0, **options):
    torch.manual_seed(seed)
    layers = [Dense(a, b, bias=bias, activation=act) for a, b, bias, act in dense]
    tokenizer = Tokenizer(tiny_hf_tokenizer(), max_length, lower_case=lower_case)
    return Embedder(tiny_encoder(name, seed=seed), tokenizer, dense=layers, **options).eval()


def load(folder, **options):
    return Embedder.load(folder, device="cpu", dtype="fp32", **options)


def assert_the_same_everywhere(model, folder):
    """Bit-identical when loaded again; as sentence-transformers computes it, to rounding."""
    expected = model.encode(TEXTS)
    again = load(folder)
    assert np.array_equal(again.encode(TEXTS), expected)
    assert again.layout(Path()) == model.layout(Path())
    theirs = SentenceTransformer(str(folder), device="cpu")
    np.testing.assert_allclose(theirs.encode(TEXTS), expected, atol=3e-6 * scale(expected))
    assert theirs.max_seq_length == model.max_seq_length
    assert theirs.similarity_fn_name == model.similarity_name


def scale(vectors):
    return max(1.0, float(np.abs(vectors).max()))


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_a_saved_model_is_the_same_here_and_in_sentence_transformers(settings, tmp_path):
    model = make(**settings)
    model.save(tmp_path / "model")
    assert_the_same_everywhere(model, tmp_path / "model")


@pytest.mark.parametrize("pooling", POOLING_MODES)
def test_every_pooling_survives_saving(pooling, tmp_path):
    model = make(pooling=(pooling,))
    model.save(tmp_path / "model")
    assert_the_same_everywhere(model, tmp_path / "model")


@pytest.mark.parametrize("name", ["roberta", "distilbert", "modernbert", "mpnet"])
def test_every_family_survives_saving(name, tmp_path):
    model = make(name)
    model.save(tmp_path / "model")
    assert_the_same_everywhere(model, tmp_path / "model")


def test_prompts_reach_sentence_transformers(tmp_path):
    model = make(**SETTINGS["prompts"])
    model.save(tmp_path / "model")
    theirs = SentenceTransformer(str(tmp_path / "model"), device="cpu")
    for options in ({}, {"prompt_name": "document"}, {"prompt": "the bird: "}):
        np.testing.assert_allclose(
            theirs.encode(TEXTS, **options), model.encode(TEXTS, **options), atol=1e-5
        )


@pytest.mark.parametrize("prompt_seen", [True, False])
def test_a_folder_of_sentence_transformers_6_loads(prompt_seen, tmp_path):
    source = tmp_path / "encoder"
    tiny_transformer("bert").save_pretrained(source)
    tiny_hf_tokenizer().save_pretrained(source)
    theirs = SentenceTransformer(
        modules=[
            modules.Transformer(str(source), max_seq_length=12),
            modules.Pooling(WIDTH, pooling_mode=("mean", "lasttoken"), include_prompt=prompt_seen),
            modules.Dense(2 * WIDTH, 16, activation_function=torch.nn.GELU()),
            modules.Normalize(),
        ],
        prompts={"query": "cat dog: "},
        similarity_fn_name="dot",
        device="cpu",
    )
    theirs.save(str(tmp_path / "new"))
    model = load(tmp_path / "new")
    np.testing.assert_allclose(model.encode(TEXTS), theirs.encode(TEXTS), atol=1e-6)
    np.testing.assert_allclose(
        model.encode(TEXTS, prompt_name="query"),
        theirs.encode(TEXTS, prompt_name="query"),
        atol=1e-6,
    )
    assert (model.similarity_name, model.max_seq_length, model.dimensions) == ("dot", 12, 16)
    model.save(tmp_path / "old")  # and so on to an old reader
    assert_the_same_everywhere(model, tmp_path / "old")


def test_a_plain_encoder_gets_mean_pooling_or_what_is_asked_for(tmp_path):
    tiny_transformer("bert").save_pretrained(tmp_path)
    tiny_hf_tokenizer().save_pretrained(tmp_path)
    model = load(tmp_path)
    assert model.pooling.modes == ("mean",)
    assert model.max_seq_length == POSITIONS
    assert np.array_equal(model.encode(TEXTS), make(max_length=POSITIONS).encode(TEXTS))
    assert load(tmp_path, pooling="cls").pooling.modes == ("cls",)
    assert load(tmp_path, pooling=["max", "cls"]).dimensions == 2 * WIDTH
    assert load(tmp_path, max_seq_length=9).max_seq_length == 9
    assert load(tmp_path, truncate_dim=5).encode(TEXTS).shape == (len(TEXTS), 5)
    with pytest.raises(ConfigError, match=f"max_seq_length.*at most {POSITIONS}"):
        load(tmp_path, max_seq_length=POSITIONS + 1)


def test_the_tokenizers_own_limit_counts_where_no_other_is_stored(tmp_path):
    tiny_transformer("bert").save_pretrained(tmp_path)
    tokenizer = tiny_hf_tokenizer()
    tokenizer.model_max_length = 10
    tokenizer.save_pretrained(tmp_path)
    assert load(tmp_path).max_seq_length == 10


@pytest.mark.parametrize("files", [{"tokenizer.json", "tokenizer_config.json"}, {"config.json"}])
def test_a_folder_that_lacks_files_is_named(files, tmp_path):
    make().save(tmp_path / "model")
    for name in files:
        (tmp_path / "model" / name).write_text("{}")
    with pytest.raises(ModelError, match=r"model"):
        load(tmp_path / "model")


def test_a_saved_folder_holds_no_pickle_and_a_card(tmp_path):
    make(**SETTINGS["dense"]).save(tmp_path / "model")
    suffixes = {path.suffix for path in (tmp_path / "model").rglob("*") if path.is_file()}
    assert suffixes == {".json", ".md", ".safetensors"}
    assert "sentence-transformers" in (tmp_path / "model" / "README.md").read_text()
    make().save(tmp_path / "model", card="mine")
    assert (tmp_path / "model" / "README.md").read_text() == "mine"
    assert not list((tmp_path / "model").glob("*_Dense"))  # of the model that stood here before


def test_a_folder_that_is_no_model_is_not_overwritten(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    (tmp_path / "file").write_text("")
    for folder, problem in ((tmp_path, "holds no model"), (tmp_path / "file", "is a file")):
        with pytest.raises(ModelError, match=problem):
            make().save(folder)
    assert (tmp_path / "thesis.tex").read_text() == "years of work"
    assert {path.name for path in tmp_path.iterdir()} == {"thesis.tex", "file"}


def test_a_config_alone_does_not_make_a_folder_a_model(tmp_path):
    (tmp_path / "config.json").write_text('{"port": 8080}')
    (tmp_path / "server.py").write_text("")
    with pytest.raises(ModelError, match="holds no model"):
        make().save(tmp_path)
    assert (tmp_path / "server.py").exists()


@pytest.mark.parametrize("part", ["tokenizer", "encoder", "sync", "rename"])
def test_a_failing_save_leaves_the_old_model_whole(part, tmp_path, monkeypatch):
    old, new = make(seed=1), make(seed=2)
    old.save(tmp_path / "model")
    error = OSError("disk full")

    def fail(*args):
        raise error

    if part == "sync":
        monkeypatch.setattr(atomic, "sync", fail)
    elif part == "rename":
        rename = Path.rename

        def only_the_old(self, target):
            if Path(target).name == "model" and not self.name.endswith("-old"):
                raise error
            return rename(self, target)

        monkeypatch.setattr(Path, "rename", only_the_old)
    else:
        monkeypatch.setattr(getattr(new, part), "save", fail)
    with pytest.raises(OSError, match="disk full"):
        new.save(tmp_path / "model")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    assert np.array_equal(load(tmp_path / "model").encode(TEXTS), old.encode(TEXTS))


def test_the_hash_is_that_of_the_weights(tmp_path):
    for seed in (1, 2):
        make(seed=seed).save(tmp_path / str(seed))
    first, again, second = (load(tmp_path / name).sha256 for name in ("1", "1", "2"))
    assert first == again != second


def test_settings_that_cannot_be_are_refused():
    with pytest.raises(ConfigError, match="similarity"):
        make(similarity="cosin")
    with pytest.raises(ConfigError, match="pooling"):
        make(pooling=("average",))
    with pytest.raises(ConfigError, match="truncate_dim"):
        make(truncate_dim=0)
    with pytest.raises(ConfigError, match="activation = 'swish'"):
        Dense(WIDTH, 8, activation="swish")
    with pytest.raises(ConfigError, match=r"takes 9 dimensions.*takes 8, as many as it is given"):
        make(dense=[(WIDTH, 8, True, "tanh"), (9, 4, True, "tanh")])
    with pytest.raises(ConfigError, match="left out: this model has no prompts"):
        make().encode(TEXTS, prompt_name="query")
    with pytest.raises(ConfigError, match="truncate_dim"):
        make().encode(TEXTS, truncate_dim=-3)
    with pytest.raises(ConfigError, match="tokens_per_batch"):
        make().encode(TEXTS, tokens_per_batch=0)
    with pytest.raises(ConfigError, match="dtype"):
        make().encode(TEXTS, dtype="fp8")


@pytest.mark.parametrize("name", ["cosine", "dot", "euclidean", "manhattan"])
def test_similarity_is_that_of_sentence_transformers(name, tmp_path):
    model = make(similarity=name)
    model.save(tmp_path / "model")
    theirs = SentenceTransformer(str(tmp_path / "model"), device="cpu")
    left, right = model.encode(TEXTS[:3]), model.encode(random_texts(5))
    found = model.similarity(left, right)
    assert found.shape == (3, 5)
    np.testing.assert_allclose(found, theirs.similarity(left, right).numpy(), atol=1e-4)
    np.testing.assert_allclose(model.similarity(left[0], right), found[:1], atol=1e-5)


def test_a_static_folder_of_sentence_transformers_loads_with_its_vectors(tmp_path):
    static = modules.StaticEmbedding(tiny_hf_tokenizer(), embedding_dim=8)
    theirs = SentenceTransformer(modules=[static], device="cpu")
    theirs.save(str(tmp_path))
    texts = ["the cat sat", "on a mat"]
    ours = Embedder.load(tmp_path, device="cpu").encode(texts)
    np.testing.assert_allclose(ours, theirs.encode(texts), atol=1e-6)


def test_what_the_folder_says_is_what_old_readers_know(tmp_path):
    make(max_length=12).save(tmp_path / "model")
    stored = json.loads((tmp_path / "model" / "sentence_bert_config.json").read_text())
    assert stored == {"max_seq_length": 12, "do_lower_case": False}


@pytest.mark.minilm
def test_the_real_minilm_gives_the_vectors_of_sentence_transformers(minilm):
    texts = [
        "How do I invert a matrix?",
        "Ein Satz mit Umlauten: größer, schöner, weiter.",
        "",
        "word " * 400,
        *random_texts(20, words=(1, 60)),
    ]
    theirs = SentenceTransformer(str(minilm), device="cpu").encode(texts)
    vectors, truncated = load(minilm).encode_counted(texts)
    np.testing.assert_allclose(vectors, theirs, atol=1e-5)
    assert truncated == 1
