"""What `transformers` loads from a folder: never remote code, nothing pickled, and quietly."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from tenor.errors import ModelError

__all__ = [
    "check_complete",
    "load_config",
    "load_pretrained",
    "load_tokenizer",
    "lower_casing",
    "own_limit",
    "quiet",
]

SAFELY: dict[str, Any] = {"trust_remote_code": False, "local_files_only": True}
NO_LIMIT = 1 << 20  # tokenizers without a length limit store a huge number


@contextmanager
def quiet() -> Iterator[None]:
    """Silence what `transformers` says of attention implementations and of heads."""
    from transformers.utils import logging as transformers_logging

    verbosity = transformers_logging.get_verbosity()
    bars = transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(verbosity)
        if bars:
            transformers_logging.enable_progress_bar()


def load_config(folder: str | Path, kind: str) -> Any:
    """The configuration of an encoder, with whatever head.

    Args:
        folder: of `transformers`.
        kind: what it is loaded as, for the messages: "an encoder".

    Raises:
        ModelError: when the folder is of nothing that `transformers` knows, or of an
            encoder-decoder.
    """
    from transformers import AutoConfig

    try:
        config = AutoConfig.from_pretrained(str(folder), **SAFELY)
    except Exception as error:  # a damaged folder may fail in any way
        raise ModelError(f"{folder} cannot be loaded as {kind}: {error}") from error
    if getattr(config, "is_encoder_decoder", False):
        raise ModelError(f"{folder} holds an encoder-decoder; {kind} needs an encoder.")
    return config


def load_pretrained(
    auto: Any, folder: str | Path, kind: str, **settings: Any
) -> tuple[Any, frozenset[str]]:
    """Load a model in fp32: safetensors only.

    Args:
        auto: the class of `transformers` that knows the architectures: `AutoModel…`.
        folder: of `transformers`.
        kind: what it is loaded as, for the messages: "an encoder".
        **settings: of `from_pretrained`, such as another configuration.

    Returns:
        The model in evaluation mode, and the names of the weights that the folder lacks, or has in
        another shape: these are random, from torch's generator.

    Raises:
        ModelError: when the folder holds nothing that can be loaded so.
    """
    try:
        # Parameters that are made in inference mode could never be trained, nor tried.
        with quiet(), torch.inference_mode(False):
            model, loading = auto.from_pretrained(
                str(folder),
                dtype=torch.float32,
                use_safetensors=True,
                ignore_mismatched_sizes=True,
                output_loading_info=True,
                **SAFELY,
                **settings,
            )
    except Exception as error:  # a damaged folder may fail in any way
        raise ModelError(f"{folder} cannot be loaded as {kind}: {error}") from error
    missing = {*loading["missing_keys"], *(str(key[0]) for key in loading["mismatched_keys"])}
    return model.eval(), frozenset(missing)


def check_complete(
    folder: str | Path, model: Any, missing: Iterable[str], *, new_head: bool
) -> None:
    """Refuse weights that are missing where they would be made up in silence.

    Args:
        folder: where the model is from.
        model: the `transformers` model.
        missing: names of the weights that the folder lacks.
        new_head: whether the head is new, so that only the encoder's weights must be there. BERT's
            family begins its head with the pooler, which counts as the head's.

    Raises:
        ModelError: naming the weights and the folder.
    """
    if new_head:
        prefix = "" if model.base_model is model else f"{model.base_model_prefix}."
        missing = [n for n in missing if n.startswith(prefix) and "pooler" not in n.split(".")]
    names = sorted(missing)
    if names:
        raise ModelError(
            f"{folder} lacks the weights {', '.join(names[:4])}{' ...' if len(names) > 4 else ''} "
            f"of a {type(model).__name__}; the folder is damaged, or config.json is of another "
            "model."
        )


def load_tokenizer(folder: Path, *, lower_case: bool = False) -> Any:
    """The `transformers` tokenizer of a folder.

    Args:
        folder: of `transformers`.
        lower_case: let it lower-case its texts, wherever it is read again: an embedder says beside
            its tokenizer that this is to be done, and a plain `transformers` folder, which is made
            of it, has no other place for that.

    Raises:
        ModelError: when there is none, or none that can be read or made to lower-case.
    """
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(str(folder), **SAFELY)
    except Exception as error:  # the tokenizers' library raises bare exceptions
        raise ModelError(f"the tokenizer in {folder} cannot be read: {error}") from error
    return lower_casing(tokenizer) if lower_case else tokenizer


def own_limit(tokenizer: Any) -> int:
    """Tokens of a text that a `transformers` tokenizer itself allows; a million where it has none.

    >>> from types import SimpleNamespace
    >>> own_limit(SimpleNamespace(model_max_length=512))
    512
    """
    return min(int(tokenizer.model_max_length), NO_LIMIT)


def lower_casing(tokenizer: Any) -> Any:
    """A `transformers` tokenizer that lower-cases its texts, and still does when read from disk.

    Classes such as `BertTokenizer` make their normalizer anew when they are read. So where the
    given one keeps the case, the result is of the class that takes tokenizer.json as it is.

    Args:
        tokenizer: a fast tokenizer; changed.

    Raises:
        ModelError: for a slow tokenizer, which has no place for that.
    """
    if not tokenizer.is_fast:
        raise ModelError(
            f"{type(tokenizer).__name__} is a slow tokenizer, and the embedder lower-cases its "
            "texts before it; start from a model with a fast tokenizer."
        )
    from tokenizers.normalizers import Lowercase, Sequence
    from transformers import PreTrainedTokenizerFast

    backend = tokenizer.backend_tokenizer
    before = backend.normalizer
    if before is not None and before.normalize_str("AZ").islower():
        return tokenizer
    backend.normalizer = Lowercase() if before is None else Sequence([Lowercase(), before])
    added = {token.content: token for token in tokenizer.added_tokens_decoder.values()}
    special = {
        role: added.get(token, token) if isinstance(token, str) else token
        for role, token in tokenizer.special_tokens_map.items()
    }
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        model_max_length=tokenizer.model_max_length,
        model_input_names=tokenizer.model_input_names,
        truncation_side=tokenizer.truncation_side,
        padding_side=tokenizer.padding_side,
        **special,
    )
