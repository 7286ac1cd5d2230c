"""Run by torchrun: a masked language model from scratch, whose vocabulary one process makes."""

import json
import os
import sys
import time
from pathlib import Path

from tokenizers import BertWordPieceTokenizer

from tenor.models.masked_lm import MaskedLM
from tenor.recipes.mlm import MlmConfig, train_mlm

made, of = BertWordPieceTokenizer.train_from_iterator, MaskedLM.of
seen = []


def made_once(self, *given, **options):
    """The first process takes its time, so that one that does not wait is found out."""
    assert os.environ["RANK"] == "0", "another process makes a vocabulary, too"
    time.sleep(2)
    return made(self, *given, **options)


def watched(whole, tokenizer):
    seen.append(tokenizer.tokenizer.get_vocab())
    return of(whole, tokenizer)


def main(train, out):
    BertWordPieceTokenizer.train_from_iterator = made_once
    MaskedLM.of = watched
    config = MlmConfig(
        train=train, out=out, from_scratch=True, layers=1, hidden=32, heads=4, vocab_size=300,
        batch_size=8, learning_rate=3e-3, device="cpu", dtype="fp32", hold_out=0.2, epochs=2,
    )  # fmt: skip
    result = train_mlm(config)
    stored = json.loads(Path(out, "vocabulary.json").read_text())
    assert seen == [{token: place for place, token in enumerate(stored)}]
    assert result["after"]["metrics"]["perplexity"] < result["before"]["metrics"]["perplexity"]
    print("done", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
