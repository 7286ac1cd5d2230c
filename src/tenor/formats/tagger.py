"""A tagger's folder as data: a plain `…ForTokenClassification` of `transformers`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tenor.errors import ModelError
from tenor.formats.json_files import read_object
from tenor.formats.sentence_transformers import read_layout
from tenor.formats.weights import check_weights

__all__ = ["TaggerLayout", "is_tagger", "read_tagger"]

HEAD = "ForTokenClassification"


@dataclass(frozen=True, kw_only=True)
class TaggerLayout:
    """What a folder says about a tagger, or about an encoder to make one of.

    Args:
        transformer: folder with config.json, weights and tokenizer.
        has_head: whether it holds a tagger; else one must be made.
        max_seq_length: tokens a text may have; `None` if only the tokenizer says.
        do_lower_case: whether texts are lower-cased before the tokenizer.
    """

    transformer: Path
    has_head: bool
    max_seq_length: int | None = None
    do_lower_case: bool = False


def is_tagger(folder: str | Path) -> bool:
    """Whether a folder holds a `…ForTokenClassification`."""
    root = Path(folder)
    if (root / "modules.json").is_file() or not (root / "config.json").is_file():
        return False
    return _has_head(root)


def read_tagger(folder: str | Path) -> TaggerLayout:
    """Read what a folder says about a tagger; no weights are loaded and no code is run.

    Args:
        folder: a tagger, any other plain `transformers` encoder, or an embedder in the layout of
            sentence-transformers, of which only the transformer counts.

    Raises:
        ModelError: a file is missing or damaged, or the weights are pickled.
    """
    root = Path(folder)
    if not (root / "modules.json").is_file():
        check_weights(root)
        return TaggerLayout(transformer=root, has_head=_has_head(root))
    layout = read_layout(root)
    if layout.kind != "transformer":
        raise ModelError(f"{root} holds a {layout.kind} model; a tagger needs a transformer.")
    return TaggerLayout(
        transformer=layout.transformer,
        has_head=False,
        max_seq_length=layout.max_seq_length,
        do_lower_case=layout.do_lower_case,
    )


def _has_head(root: Path) -> bool:
    names = read_object(root / "config.json").get("architectures")
    return isinstance(names, list) and any(str(name).endswith(HEAD) for name in names)
