"""A classifier with scikit-learn's conventions: `fit` and `predict` on texts in memory.

Shape legend: N texts, C classes.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import check_is_fitted

from tenor.data.schema import PairTable
from tenor.errors import DataError
from tenor.models.classifier import TextClassifier
from tenor.recipes.classifier import ClassifierConfig, train_on_table

__all__ = ["TenorClassifier"]

MEMORY = "texts in memory"


class TenorClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Trains a text classifier as `tenor train classifier` does, for scikit-learn's tools.

    It takes texts, not features: `X` is a list, array or series of strings, and so it is the last
    step of a `Pipeline` whose other steps give texts. It can be cloned and pickled, and works in
    `cross_val_score` and `GridSearchCV`.

    Args:
        model: encoder, embedder or classifier to start from: a name, folder or hub id.
        head: linear, mlp or logistic; see `ClassifierConfig`, also for the following.
        freeze: what is not trained: none, all, a number of blocks from below, and what else the
            recipe takes.
        loss: auto, cross-entropy or bce.
        class_weights: none or balanced.
        label_smoothing: share of each label that is spread over all of them.
        inverse_regularization: with head logistic, C of the regression; chosen by default.
        max_seq_length: tokens of a text that count; the model's own limit by default.
        epochs: passes over the data.
        batch_size: texts a step.
        learning_rate: the highest, reached after warm-up; chosen by default.
        head_learning_rate: of the head and the pooler; chosen by default.
        warmup: share of all steps in which the learning rate rises.
        weight_decay: of AdamW.
        layer_decay: learning rate of a block, relative to that of the next one above it; 1 for the
            same everywhere.
        dtype: auto, bf16 or fp32.
        device: auto, cpu, cuda or mps.
        random_state: decides the batches, the dropout and new layers.

    Attributes:
        classes_: (C,) the classes, sorted; 0 to C - 1 for multi-label targets.
        model_: the trained `TextClassifier`.
        result_: what the run recorded.
    """

    def __init__(
        self,
        model: str = "all-MiniLM-L6-v2",
        *,
        head: str = "linear",
        freeze: str = "none",
        loss: str = "auto",
        class_weights: str = "none",
        label_smoothing: float = 0.0,
        inverse_regularization: float | None = None,
        max_seq_length: int | None = None,
        epochs: int = 3,
        batch_size: int = 32,
        learning_rate: float | None = None,
        head_learning_rate: float | None = None,
        warmup: float = 0.1,
        weight_decay: float = 0.0,
        layer_decay: float = 1.0,
        dtype: str = "auto",
        device: str = "auto",
        random_state: int = 0,
    ) -> None:
        self.model = model
        self.head = head
        self.freeze = freeze
        self.loss = loss
        self.class_weights = class_weights
        self.label_smoothing = label_smoothing
        self.inverse_regularization = inverse_regularization
        self.max_seq_length = max_seq_length
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.head_learning_rate = head_learning_rate
        self.warmup = warmup
        self.weight_decay = weight_decay
        self.layer_decay = layer_decay
        self.dtype = dtype
        self.device = device
        self.random_state = random_state

    def fit(self, X: Any, y: Any) -> Self:
        """Train on labelled texts.

        Args:
            X: N texts.
            y: (N,) classes, or (N, C) of 0 and 1 for any number of labels a text.

        Raises:
            DataError: a text is no string, there is not one target a text, or just one class.
            ConfigError: a setting has a value it cannot have.
        """
        texts = _texts(X)
        check_classification_targets(y)
        several = type_of_target(y) == "multilabel-indicator"
        target: npt.NDArray[Any]
        if several:
            target = np.asarray(y.toarray() if hasattr(y, "toarray") else y, dtype=np.float32)
            classes: npt.NDArray[Any] = np.arange(target.shape[1])
        else:
            classes, target = np.unique(np.asarray(y), return_inverse=True)
        if len(target) != len(texts):
            raise DataError(f"there are {len(texts)} texts and {len(target)} targets.")
        if len(classes) < 2:
            raise DataError("there is one class only; a classifier needs two to tell apart.")
        table = PairTable(
            kind="multi_labelled_texts" if several else "labelled_texts",
            columns={"text": texts},
            target=target if several else target.astype(np.int64),
            label_names=tuple(map(str, classes.tolist())),
            lines=np.arange(1, len(texts) + 1),
            path=MEMORY,
        )
        with tempfile.TemporaryDirectory(prefix="tenor-") as folder:
            config = self._config(str(Path(folder) / "run"))
            result, model = _trained(config, table)
        self.classes_, self.result_, self.model_ = classes, result, model
        return self

    def predict_proba(self, X: Any) -> npt.NDArray[np.float32]:
        """The probability of each class, (N, C), in the order of `classes_`."""
        return self._probabilities(X)

    def predict(self, X: Any) -> npt.NDArray[Any]:
        """The class of each text, (N,), or (N, C) of 0 and 1 for multi-label targets."""
        found = self._probabilities(X)
        if self.model_.multi_label:
            return (found >= 0.5).astype(np.int64)
        classes: npt.NDArray[Any] = self.classes_[found.argmax(axis=1)]
        return classes

    def __sklearn_tags__(self) -> Any:
        """What scikit-learn's tools may hand it: strings, not matrices."""
        tags = super().__sklearn_tags__()
        tags.input_tags.one_d_array = True
        tags.input_tags.two_d_array = False
        tags.input_tags.string = True
        tags.classifier_tags.multi_label = True
        return tags

    def _config(self, out: str) -> ClassifierConfig:
        given = self.get_params(deep=False)
        seed = int(given.pop("random_state"))
        return ClassifierConfig(train=MEMORY, out=out, seed=seed, **given)

    def _probabilities(self, X: Any) -> npt.NDArray[np.float32]:
        check_is_fitted(self, "model_")
        model: TextClassifier = self.model_
        found = model.predict_proba(_texts(X))
        names = [str(each) for each in self.classes_.tolist()]
        if names == list(model.labels):
            return found
        return found[:, [model.labels.index(name) for name in names]]


def _trained(config: ClassifierConfig, table: PairTable) -> tuple[dict[str, Any], TextClassifier]:
    from tenor.recipes.fit import Fit

    return train_on_table(Fit(config, config.out), config, table)


def _texts(X: Any) -> list[str]:
    """The texts of a list, an array, a series, or a table with one column."""
    values = X if isinstance(X, list | tuple) else np.asarray(X, dtype=object)
    if isinstance(values, np.ndarray):
        if values.ndim == 2 and values.shape[1] == 1:
            values = values[:, 0]
        if values.ndim != 1:
            raise DataError(f"X has the shape {values.shape}; it takes texts, one a row.")
        values = values.tolist()
    texts = list(values)
    for row, text in enumerate(texts):
        if not isinstance(text, str):
            raise DataError(f"X[{row}] is {text!r}; it must be a text.")
    if not texts:
        raise DataError("X holds no texts.")
    return texts
