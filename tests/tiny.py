"""Tiny random encoders, a tiny tokenizer and tiny data: what the tests run on."""

import numpy as np
import torch
from torch import nn
from transformers import AutoConfig, AutoModel, BertTokenizerFast

from tenor.models.encoder import Encoder
from tenor.models.pooling import Pooling
from tenor.tokens.token_ids import TokenIds
from tenor.tokens.tokenizer import Tokenizer
from tenor.training.batch import TrainingData

LETTERS = "abcdefghijklmnopqrstuvwxyz"
_WORDS = """
the a of in on and to is was it cat dog bird fish tree house river stone road sky sun moon star
rain wind snow fire day night red blue green old new big small good bad runs sits sleeps eats sings
swims flies falls grows burns shines near far up down left right one two three four five
"""
WORDS = _WORDS.split()
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
VOCABULARY = list(dict.fromkeys([*SPECIAL, *LETTERS, *(f"##{c}" for c in LETTERS), *WORDS]))
SIZE = 128  # of the encoders' vocabulary
WIDTH = 32
POSITIONS = 80
FIRST = len(SPECIAL)  # ids from here on are ordinary tokens

_SPECIAL_IDS = {"bos_token_id": 2, "eos_token_id": 3, "cls_token_id": 2, "sep_token_id": 3}
_COMMON = {
    "vocab_size": SIZE,
    "hidden_size": WIDTH,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": POSITIONS,
}
_DISTILBERT = {
    "vocab_size": SIZE,
    "dim": WIDTH,
    "n_layers": 2,
    "n_heads": 4,
    "hidden_dim": 64,
    "max_position_embeddings": POSITIONS,
}
# Every third layer of ModernBERT sees everything, the others 4 tokens to each side.
_MODERNBERT = {"num_hidden_layers": 3, "global_attn_every_n_layers": 3, "local_attention": 8}
_DEBERTA = {
    "relative_attention": True,
    "pos_att_type": ["p2c", "c2p"],
    "position_buckets": 8,
    "norm_rel_ebd": "layer_norm",
    "share_att_key": True,
}
CONFIGS = {
    "bert": _COMMON,
    "roberta": {**_COMMON, "pad_token_id": 1},
    "xlm-roberta": {**_COMMON, "pad_token_id": 1},
    "distilbert": _DISTILBERT,
    "electra": {**_COMMON, "embedding_size": 16},
    "albert": {**_COMMON, "embedding_size": 16},
    "modernbert": {**_COMMON, **_MODERNBERT, **_SPECIAL_IDS, "pad_token_id": 0},
    "mpnet": {**_COMMON, "pad_token_id": 1},
    "deberta-v2": {**_COMMON, **_DEBERTA},
    "fnet": {**_COMMON, "pad_token_id": 0},
}
PACKED = ("bert", "roberta", "xlm-roberta", "distilbert", "electra", "albert", "modernbert")
PADDED = ("mpnet", "deberta-v2")


def tiny_transformer(name, *, seed=0, std=0.3, dropout=0.0, **overrides):
    """A random encoder of an architecture; large weights, so that mistakes show."""
    config = AutoConfig.for_model(name, **{**CONFIGS[name], **overrides})
    for key in vars(config):
        if "dropout" in key and isinstance(getattr(config, key), float):
            setattr(config, key, dropout)
    model = AutoModel.from_config(config)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            if parameter.dim() > 1:
                parameter.copy_(noise * std)
            else:  # norms stay near 1, biases near 0, but none is neutral
                parameter.add_(noise * 0.1)
    return model.eval()


def tiny_encoder(name="bert", *, packed=None, dtype="fp32", **options):
    return Encoder(tiny_transformer(name, **options), packed=packed, dtype=dtype)


def random_ids(lengths, *, seed=0, types=False):
    """Random texts of some lengths; with `types`, the second half of each is of type 1."""
    generator = np.random.default_rng(seed)
    ids = TokenIds.of([generator.integers(FIRST, SIZE, length).tolist() for length in lengths])
    if not types:
        return ids
    halves = [np.arange(length) >= length // 2 for length in lengths]
    return TokenIds(ids.ids, ids.offsets, np.concatenate(halves).astype(np.int8))


def tiny_hf_tokenizer():
    return BertTokenizerFast(vocab={token: i for i, token in enumerate(VOCABULARY)})


def tiny_tokenizer(max_length=24, **options):
    return Tokenizer(tiny_hf_tokenizer(), max_length, **options)


def random_texts(count, *, seed=0, words=(1, 12)):
    generator = np.random.default_rng(seed)
    return [" ".join(generator.choice(WORDS, generator.integers(*words))) for _ in range(count)]


class TinyEmbedder(nn.Module):
    """The least that a training step needs: encoder and pooling."""

    def __init__(self, encoder=None, pooling="mean"):
        super().__init__()
        self.encoder = tiny_encoder() if encoder is None else encoder
        self.pooling = Pooling((pooling,), self.encoder.width)

    def forward(self, batch):
        return self.pooling(self.encoder(batch), batch)


def tiny_data(kind="pairs", rows=16, *, seed=0, tokenizer=None):
    """Random rows of a kind of training data."""
    names, target = {
        "pairs": (("anchor", "positive"), None),
        "triplets": (("anchor", "positive", "negative"), None),
        "scored": (("sentence1", "sentence2"), np.linspace(0, 1, rows, dtype=np.float32)),
        "labelled": (("sentence1", "sentence2"), np.arange(rows) % 2),
        "classes": (("text",), np.arange(rows) % 4),
    }[kind]
    columns = {name: random_texts(rows, seed=seed + 100 * i) for i, name in enumerate(names)}
    return TrainingData.of(columns, target, tokenizer or tiny_tokenizer())


def tiny_model(folder, *, dropout=0.1, seed=0):
    """The path of a saved embedder that can be trained on the data sets below."""
    from tenor.models.embedder import Embedder

    encoder = tiny_encoder(dropout=dropout, std=0.1, seed=seed)
    Embedder(encoder, tiny_tokenizer(), normalize=True).save(folder, card="A tiny model.")
    return str(folder)


def tiny_lower_casing_model(folder):
    """The path of a saved embedder whose tokenizer leaves it to its reader to lower-case."""
    from tenor.models.embedder import Embedder

    vocabulary = {token: i for i, token in enumerate(VOCABULARY)}
    cased = BertTokenizerFast(vocab=vocabulary, do_lower_case=False)
    Embedder(tiny_encoder(), Tokenizer(cased, 24, lower_case=True)).save(folder)
    return str(folder)


def write_csv(path, columns):
    """The path of a csv file with some columns."""
    lines = [
        ",".join(columns),
        *(",".join(map(str, row)) for row in zip(*columns.values(), strict=True)),
    ]
    path.write_text("\n".join(lines) + "\n")
    return str(path)
