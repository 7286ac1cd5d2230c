"""Tenor: from raw domain text to the best embedding model you can ship."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tenor import errors
from tenor.errors import TenorError

if TYPE_CHECKING:
    from tenor.models.classifier import TextClassifier
    from tenor.models.cross_encoder import CrossEncoder
    from tenor.models.embedder import Embedder
    from tenor.models.tagger import Tagger
    from tenor.recipes.classifier import ClassifierConfig, train_classifier
    from tenor.recipes.contrastive import ContrastiveConfig, train_contrastive
    from tenor.recipes.cross_encoder import CrossEncoderConfig, train_cross_encoder
    from tenor.recipes.estimator import TenorClassifier
    from tenor.recipes.few_shot import FewShotConfig, train_few_shot
    from tenor.recipes.tagger import TaggerConfig, train_tagger
    from tenor.search.index import SearchIndex

__all__ = [
    "ClassifierConfig",
    "ContrastiveConfig",
    "CrossEncoder",
    "CrossEncoderConfig",
    "Embedder",
    "FewShotConfig",
    "SearchIndex",
    "Tagger",
    "TaggerConfig",
    "TenorClassifier",
    "TenorError",
    "TextClassifier",
    "__version__",
    "errors",
    "train_classifier",
    "train_contrastive",
    "train_cross_encoder",
    "train_few_shot",
    "train_tagger",
]

__version__ = "0.1.0"

# Public names and where they live: imported when first used, so that `import tenor` stays quick.
_HOMES = {
    "ClassifierConfig": "tenor.recipes.classifier",
    "ContrastiveConfig": "tenor.recipes.contrastive",
    "CrossEncoder": "tenor.models.cross_encoder",
    "CrossEncoderConfig": "tenor.recipes.cross_encoder",
    "Embedder": "tenor.models.embedder",
    "FewShotConfig": "tenor.recipes.few_shot",
    "SearchIndex": "tenor.search.index",
    "Tagger": "tenor.models.tagger",
    "TaggerConfig": "tenor.recipes.tagger",
    "TenorClassifier": "tenor.recipes.estimator",
    "TextClassifier": "tenor.models.classifier",
    "train_classifier": "tenor.recipes.classifier",
    "train_contrastive": "tenor.recipes.contrastive",
    "train_cross_encoder": "tenor.recipes.cross_encoder",
    "train_few_shot": "tenor.recipes.few_shot",
    "train_tagger": "tenor.recipes.tagger",
}


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'tenor' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
