"""A masked language model from scratch: random weights, and a vocabulary made of the texts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tokenizers import BertWordPieceTokenizer
from transformers import BertConfig, BertForMaskedLM, BertTokenizerFast

from tenor.errors import TrainingError
from tenor.formats.atomic import write_text
from tenor.models.loading import best_device
from tenor.models.masked_lm import MaskedLM
from tenor.recipes.mlm import MlmConfig
from tenor.recipes.settings import device_of
from tenor.recipes.tell import tell
from tenor.tokens.tokenizer import Tokenizer
from tenor.training.processes import first_process_first, is_first_process

__all__ = ["VOCABULARY", "new_masked_lm"]

VOCABULARY = "vocabulary.json"  # in the run's folder
LONGEST = 256  # tokens of a text, where nothing was asked for


def new_masked_lm(config: MlmConfig, texts: Sequence[str]) -> MaskedLM:
    """A random BERT with a WordPiece vocabulary made of the texts.

    Of several processes that train together the first makes the vocabulary, and the others read it
    from the run's folder.

    Args:
        config: the settings.
        texts: to train on.

    Raises:
        TrainingError: a process does not see the run's folder.
    """
    length = config.max_seq_length or LONGEST
    device = device_of(config) or str(best_device())
    with first_process_first(device):
        raw = _tokenizer(config, texts, length)
    tell(f"made a vocabulary of {len(raw):,} tokens out of {len(texts):,} texts")
    whole = BertForMaskedLM(
        BertConfig(
            vocab_size=len(raw),
            hidden_size=config.hidden,
            num_hidden_layers=config.layers,
            num_attention_heads=config.heads,
            intermediate_size=4 * config.hidden,
            max_position_embeddings=max(length, 512),
            pad_token_id=raw.pad_token_id,
        )
    )
    model = MaskedLM.of(whole, Tokenizer(raw, length))
    model.name = "from scratch"
    return model.ready(device, config.dtype)


def _tokenizer(config: MlmConfig, texts: Sequence[str], length: int) -> Any:
    """BERT's lower-casing WordPiece tokenizer, its vocabulary trained on the texts.

    The library numbers tokens, and breaks ties, differently each time. So they are numbered anew,
    and the vocabulary is kept in the run's folder, for a resumed run and other processes to read.
    """
    stored = Path(config.out) / VOCABULARY
    if not is_first_process() and not stored.exists():
        raise TrainingError(
            f"{stored} is not there, though the first process has just written it: --out must be a "
            "folder that all processes see."
        )
    if stored.exists() and (config.resume or not is_first_process()):
        tokens = json.loads(stored.read_text(encoding="utf-8"))
    else:
        made = BertWordPieceTokenizer(lowercase=True)
        made.train_from_iterator(
            iter(texts), vocab_size=config.vocab_size, show_progress=False, length=len(texts)
        )
        number = made.get_vocab()
        special = [t for t in ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]") if t in number]
        tokens = special + sorted(number.keys() - set(special))
        write_text(stored, json.dumps(tokens, ensure_ascii=False))
    vocabulary = {token: place for place, token in enumerate(tokens)}
    return BertTokenizerFast(vocab=vocabulary, do_lower_case=True, model_max_length=length)
