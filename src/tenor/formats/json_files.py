"""JSON files of a model's folder: what is missing or damaged becomes a `ModelError`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tenor.errors import ModelError

__all__ = ["read_json", "read_object", "write_json"]


def read_object(path: Path, *, optional: bool = False) -> dict[str, Any]:
    """Read a JSON object; an empty one where the file is missing and `optional`.

    Raises:
        ModelError: the file is missing or damaged, or holds something else.
    """
    if optional and not path.is_file():
        return {}
    config = read_json(path)
    if not isinstance(config, dict):
        raise ModelError(f"{path} must hold a JSON object; the folder is damaged.")
    return config


def read_json(path: Path) -> Any:
    """Read any JSON value.

    Raises:
        ModelError: the file cannot be read, or is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise ModelError(f"{path} is not JSON: {error}.") from error


def write_json(path: Path, value: Any) -> None:
    """Write a JSON value, indented, in UTF-8."""
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
