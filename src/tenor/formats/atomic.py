"""Folders and files that are written whole or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tenor.errors import ModelError

__all__ = ["replaced_folder", "sync", "write_text"]


@contextmanager
def replaced_folder(folder: str | Path) -> Iterator[Path]:
    """A new folder to write into, which takes the place of `folder` when all went well.

    If the body raises, or the process dies, `folder` is as it was.

    Raises:
        ModelError: when `folder` exists and is neither empty nor a model.
    """
    target = Path(folder)
    if target.exists():
        if not target.is_dir():
            raise ModelError(f"{target} is a file; name a folder to save the model in.")
        inside = {entry.name for entry in target.iterdir()}
        if inside and not _is_model(target):
            raise ModelError(
                f"{target} exists and holds no model ({', '.join(sorted(inside)[:5])}); "
                "it is not overwritten. Name a new folder."
            )
    target.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        yield scratch
        os.chmod(scratch, 0o755)
        for path in scratch.rglob("*"):
            if path.is_file():
                sync(path)
        if target.exists():
            # Two renames: whoever dies between them leaves the old folder beside, complete.
            old = target.with_name(f".{target.name}-old")
            shutil.rmtree(old, ignore_errors=True)
            target.rename(old)
            try:
                scratch.rename(target)
            except BaseException:
                old.rename(target)
                raise
            shutil.rmtree(old)
        else:
            scratch.rename(target)
        sync(target.parent)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _is_model(folder: Path) -> bool:
    """Whether a folder is one we may replace: a config.json alone belongs to many programs."""
    weights = any(folder.glob("*.safetensors"))
    return (folder / "modules.json").is_file() or (weights and (folder / "config.json").is_file())


def write_text(path: str | Path, text: str) -> None:
    """Write a file whole or not at all."""
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    scratch = target.with_name(f".{target.name}.part")
    scratch.write_text(text, encoding="utf-8")
    sync(scratch)
    scratch.replace(target)


def sync(path: Path) -> None:
    """Make sure a file's contents, or a folder's names, are on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
