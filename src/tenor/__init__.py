"""Tenor: from raw domain text to the best embedding model you can ship."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tenor import errors
from tenor.errors import TenorError

if TYPE_CHECKING:
    from tenor.models.embedder import Embedder
    from tenor.recipes.contrastive import ContrastiveConfig, train_contrastive

__all__ = [
    "ContrastiveConfig",
    "Embedder",
    "TenorError",
    "__version__",
    "errors",
    "train_contrastive",
]

__version__ = "0.1.0"

# Public names and where they live: imported when first used, so that `import tenor` stays quick.
_HOMES = {
    "ContrastiveConfig": "tenor.recipes.contrastive",
    "Embedder": "tenor.models.embedder",
    "train_contrastive": "tenor.recipes.contrastive",
}


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'tenor' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
