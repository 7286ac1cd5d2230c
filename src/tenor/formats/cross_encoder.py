"""A cross-encoder's folder as data: a plain `…ForSequenceClassification` of `transformers`.

sentence-transformers keeps an activation beside it: in `config.json` under `sentence_transformers`
(versions 4 and 5) or `sbert_ce_default_activation_function` (before), in
`config_sentence_transformers.json` (since 6, with a `modules.json` of one step). All are read; what
is written is the plain folder with the key of version 4, which every version reads.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from tenor.errors import ModelError
from tenor.formats.json_files import read_json, read_object, write_json
from tenor.formats.sentence_transformers import read_layout
from tenor.formats.weights import check_weights

__all__ = [
    "ACTIVATIONS",
    "CrossEncoderLayout",
    "is_cross_encoder",
    "read_cross_encoder",
    "write_activation",
]

log = logging.getLogger("tenor")

ACTIVATIONS = {
    "identity": "torch.nn.modules.linear.Identity",
    "sigmoid": "torch.nn.modules.activation.Sigmoid",
    "tanh": "torch.nn.modules.activation.Tanh",
    "relu": "torch.nn.modules.activation.ReLU",
    "softmax": "torch.nn.modules.activation.Softmax",
}
SETTINGS = "config_sentence_transformers.json"
HEAD = "ForSequenceClassification"


@dataclass(frozen=True, kw_only=True)
class CrossEncoderLayout:
    """What a folder says about a cross-encoder, or about an encoder to make one of.

    Args:
        transformer: folder with config.json, weights and tokenizer.
        has_head: whether it holds a classifier; else one must be made.
        activation: what turns logits into scores, a name from `ACTIVATIONS`; `None` if not stored.
        max_seq_length: tokens a pair may have; `None` if only the tokenizer says.
        do_lower_case: whether texts are lower-cased before the tokenizer.
    """

    transformer: Path
    has_head: bool
    activation: str | None = None
    max_seq_length: int | None = None
    do_lower_case: bool = False


def is_cross_encoder(folder: str | Path) -> bool:
    """Whether a folder holds a `…ForSequenceClassification`, in either layout."""
    root = Path(folder)
    if (root / "modules.json").is_file():
        settings = read_object(root / SETTINGS, optional=True)
        return bool(settings.get("model_type") == "CrossEncoder")
    return (root / "config.json").is_file() and _has_head(read_object(root / "config.json"))


def read_cross_encoder(folder: str | Path) -> CrossEncoderLayout:
    """Read what a folder says about a cross-encoder; no weights are loaded and no code is run.

    Args:
        folder: a cross-encoder, a plain `transformers` encoder, or an embedder in the layout of
            sentence-transformers, of which only the transformer counts.

    Raises:
        ModelError: a file is missing or damaged, a setting is not supported, or the weights are
            pickled.
    """
    root = Path(folder)
    if not (root / "modules.json").is_file():
        check_weights(root)
        return _plain(root)
    settings = read_object(root / SETTINGS, optional=True)
    kind = settings.get("model_type", "SentenceTransformer")
    if kind == "CrossEncoder":
        return _with_modules(root, settings)
    layout = read_layout(root)
    if layout.kind != "transformer":
        raise ModelError(
            f"{root} holds a {layout.kind} model; a cross-encoder needs a transformer."
        )
    return CrossEncoderLayout(
        transformer=layout.transformer, has_head=False, do_lower_case=layout.do_lower_case
    )


def write_activation(folder: str | Path, activation: str) -> None:
    """Add to a saved `…ForSequenceClassification` how its logits become scores.

    Args:
        folder: holds config.json.
        activation: a name from `ACTIVATIONS`.
    """
    path = Path(folder) / "config.json"
    config = read_object(path)
    config.pop("sbert_ce_default_activation_function", None)
    config["sentence_transformers"] = {
        "activation_fn": ACTIVATIONS[activation],
        "version": f"tenor {metadata.version('tenor')}",
    }
    write_json(path, config)


def _plain(root: Path) -> CrossEncoderLayout:
    path = root / "config.json"
    config = read_object(path)
    ours = config.get("sentence_transformers")
    stored = ours.get("activation_fn") if isinstance(ours, Mapping) else None
    return CrossEncoderLayout(
        transformer=root,
        has_head=_has_head(config),
        activation=_activation(stored or config.get("sbert_ce_default_activation_function"), path),
    )


def _with_modules(root: Path, settings: Mapping[str, Any]) -> CrossEncoderLayout:
    """Version 6 of sentence-transformers: modules.json names the one step there may be."""
    steps = read_json(root / "modules.json")
    names = [
        str(step.get("type")).rpartition(".")[2] if isinstance(step, Mapping) else step
        for step in (steps if isinstance(steps, list) else [steps])
    ]
    if names != ["Transformer"]:
        raise ModelError(
            f"{root / 'modules.json'} has the steps {', '.join(map(str, names))}; of "
            "cross-encoders only those that are a single sequence classifier can be read."
        )
    transformer = root / str(steps[0].get("path", ""))
    if not transformer.resolve().is_relative_to(root.resolve()):
        raise ModelError(f"{root / 'modules.json'} points out of its folder; refused.")
    default = settings.get("default_prompt_name")
    if default is not None and (settings.get("prompts") or {}).get(default):
        raise ModelError(
            f"{root / SETTINGS}: a default prompt ({default!r}) is not supported with "
            "cross-encoders; put it before the texts yourself and remove default_prompt_name."
        )
    check_weights(transformer)
    own = read_object(transformer / "sentence_bert_config.json", optional=True)
    limit = own.get("max_seq_length")
    return CrossEncoderLayout(
        transformer=transformer,
        has_head=_has_head(read_object(transformer / "config.json")),
        activation=_activation(settings.get("activation_fn"), root / SETTINGS),
        max_seq_length=int(limit) if isinstance(limit, int) and limit > 0 else None,
        do_lower_case=bool(own.get("do_lower_case", False)),
    )


def _has_head(config: Mapping[str, Any]) -> bool:
    names = config.get("architectures")
    return isinstance(names, list) and any(str(name).endswith(HEAD) for name in names)


def _activation(dotted: Any, path: Path) -> str | None:
    if dotted is None:
        return None
    short = str(dotted).rpartition(".")[2]
    name = next((n for n, known in ACTIVATIONS.items() if known.rpartition(".")[2] == short), None)
    if name is not None and str(dotted).startswith("torch.nn."):
        return name
    if str(dotted).startswith("torch."):
        raise ModelError(
            f"{path}: the activation {dotted!r} is not supported (it must be one of "
            f"{', '.join(ACTIVATIONS)}; nothing else is ever imported)."
        )
    log.warning("%s: the activation %s is code of its own, which is never run.", path, dotted)
    return None
