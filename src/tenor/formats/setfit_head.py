"""SetFit's pickled head, read without running anything in it.

A pickle is a program that names classes and functions to call. Here every name that a head of
SetFit's may use stands for a plain record that only keeps what it is given; any other name ends
the reading. Arrays are taken as joblib writes them: a record of dtype and shape, then the bytes.
"""

from __future__ import annotations

import io
import math
import pickle
import warnings
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from tenor.errors import ModelError

__all__ = ["HeadPart", "PickledHead", "read_pickled_head"]

Floats = npt.NDArray[np.floating[Any]]

# The classes of a head; each becomes a record.
_RECORDS = {
    ("sklearn.linear_model._logistic", "LogisticRegression"),
    ("sklearn.linear_model.logistic", "LogisticRegression"),
    ("sklearn.multiclass", "OneVsRestClassifier"),
    ("sklearn.multiclass", "_ConstantPredictor"),
    ("sklearn.multioutput", "MultiOutputClassifier"),
    ("sklearn.preprocessing._label", "LabelBinarizer"),
    ("setfit.modeling", "SetFitHead"),
    ("torch.nn.modules.linear", "Linear"),
}
LINEAR_EPSILON = 1e-5  # SetFit adds it to the temperature


@dataclass(frozen=True, eq=False)
class HeadPart:
    """One linear model of a head.

    Attributes:
        weight: (C, D), or (1, D) for two classes.
        bias: (C,) or (1,).
        multinomial: whether one row for two classes was trained as a softmax over both.
        scaled: whether its probabilities were sigmoids scaled to a sum of 1, no softmax.
        always: of a label that all texts of the training had, or none: which of these.
    """

    weight: Floats
    bias: Floats
    multinomial: bool = False
    scaled: bool = False
    always: bool | None = None


@dataclass(frozen=True, eq=False)
class PickledHead:
    """What a head holds.

    Attributes:
        kind: logistic, one-vs-rest, multi-output, linear or linear-multi.
        parts: its linear models: one, or one a label.
        classes: names or numbers of the classes of a logistic head.
    """

    kind: str
    parts: list[HeadPart] = field(default_factory=list)
    classes: list[Any] | None = None


def read_pickled_head(path: str | Path) -> PickledHead:
    """Read model_head.pkl: only numbers and settings, nothing in it is run.

    Raises:
        ModelError: the file is damaged, or holds anything but a linear classifier.
    """
    target = Path(path)
    try:
        with open(target, "rb") as file:
            found = _Reader(_Plain(file)).load()
    except _RefusedError as error:
        raise ModelError(
            f"{target} holds {error}, which no linear classifier of SetFit's has; it is not "
            "opened. Train the head anew: tenor train few-shot --model FOLDER."
        ) from error
    except (
        pickle.UnpicklingError,
        EOFError,
        ValueError,
        TypeError,
        KeyError,
        IndexError,
        AttributeError,
        ImportError,
        RuntimeError,
        MemoryError,
        OverflowError,
        OSError,
    ) as error:
        raise ModelError(
            f"{target} is damaged, or compressed: {type(error).__name__}: {error}"
        ) from error
    try:
        return _head(found, target)
    except (KeyError, ValueError, TypeError, IndexError, AttributeError) as error:
        raise ModelError(f"{target} holds no whole classifier: {error!r} is missing.") from error


class _RefusedError(Exception):
    """A name, or a kind of array, that a head has no need of."""


class _Record:
    """Stands for an object: its class's name, and the state that was stored of it."""

    name = ""

    def __init__(self, *arguments: Any) -> None:
        self.state: dict[str, Any] = {}

    def __setstate__(self, state: Any) -> None:
        if not isinstance(state, dict):
            raise _RefusedError(f"a {self.name} without settings")
        self.state = state


class _DType:
    """A dtype, as a pickle makes it: from a name, then its byte order."""

    def __init__(self, name: str = "", *rest: Any) -> None:
        self.name, self.order = str(name), "="

    def __setstate__(self, state: Any) -> None:
        self.order = str(state[1])

    def real(self) -> np.dtype[Any]:
        found = np.dtype(self.name)
        if found.kind not in "biufUS":
            raise _RefusedError(f"an array of dtype {self.name}")
        if self.order not in ("<", ">"):
            return found
        return found.newbyteorder("<" if self.order == "<" else ">")


class _Array:
    """Placeholder before joblib's array of bytes, which follow at once in the file."""

    file: BinaryIO

    def __setstate__(self, state: dict[str, Any]) -> None:
        dtype = state["dtype"].real()
        shape = tuple(int(size) for size in state["shape"])
        if any(size < 0 for size in shape):
            raise _RefusedError(f"an array of the shape {shape}")
        if state.get("numpy_array_alignment_bytes") is not None:
            self.file.read(self.file.read(1)[0])
        size = math.prod(shape) * dtype.itemsize
        raw = self.file.read(size)
        if len(raw) != size:
            raise EOFError(f"the file ends within an array of {size:,} bytes")
        flat = np.frombuffer(raw, dtype=dtype)
        self.value = flat.reshape(shape, order="F" if state.get("order") == "F" else "C")


class _Reader(pickle.Unpickler):
    """An unpickler to which only the names that a head has mean anything."""

    def __init__(self, file: _Plain) -> None:
        super().__init__(file)
        self._file = file

    def find_class(self, module: str, name: str) -> Any:
        """What a name in the file stands for."""
        if (module, name) in _RECORDS:
            return type("_Record", (_Record,), {"name": name})
        if (module, name) == ("joblib.numpy_pickle", "NumpyArrayWrapper"):
            return type("_Array", (_Array,), {"file": self._file})
        known: dict[tuple[str, str], Any] = {
            ("numpy", "dtype"): _DType,
            ("numpy", "ndarray"): type("ndarray", (), {}),
            ("collections", "OrderedDict"): OrderedDict,
            ("builtins", "set"): set,
            ("builtins", "object"): object,
            ("copyreg", "_reconstructor"): _reconstructed,
            ("numpy.core.multiarray", "scalar"): _scalar,
            ("numpy._core.multiarray", "scalar"): _scalar,
            ("torch._utils", "_rebuild_parameter"): lambda tensor, *rest: tensor,
            ("torch._utils", "_rebuild_tensor_v2"): _tensor,
            ("torch.storage", "_load_from_bytes"): _storage,
        }
        if (module, name) not in known:
            raise _RefusedError(f"{module}.{name}")
        return known[module, name]

    def persistent_load(self, pid: Any) -> Any:
        """No head refers to anything outside of its file."""
        raise _RefusedError(f"a reference to {pid!r}")


class _Plain:
    """A file that can only be read on: an unpickler that could peek would read too far."""

    def __init__(self, file: BinaryIO) -> None:
        self.read: Callable[[int], bytes] = file.read
        self.readline: Callable[[], bytes] = file.readline


def _reconstructed(kind: Any, base: Any, state: Any) -> Any:
    if not (isinstance(kind, type) and issubclass(kind, _Record | _Array)):
        raise _RefusedError(f"an object of {kind!r}")
    return kind()


def _scalar(dtype: _DType, raw: bytes) -> Any:
    return np.frombuffer(raw, dtype=dtype.real())[0]


def _storage(raw: bytes) -> Any:
    import torch

    return torch.load(io.BytesIO(raw), weights_only=True)


def _tensor(storage: Any, offset: int, size: Any, stride: Any, *rest: Any) -> Any:
    import torch

    plain = torch.empty(0, dtype=storage.dtype)
    with warnings.catch_warnings():
        # Of typed storages, which are what such a file holds.
        warnings.simplefilter("ignore", UserWarning)
        whole = storage.untyped()
    return plain.set_(whole, int(offset), tuple(size), tuple(stride)).float().numpy()


def _head(found: Any, path: Path) -> PickledHead:
    name = getattr(found, "name", type(found).__name__)
    if not isinstance(found, _Record):
        raise ModelError(f"{path} holds a {name}, no classifier.")
    state = found.state
    if name == "LogisticRegression":
        return PickledHead("logistic", [_logistic(state)], _value(state["classes_"]).tolist())
    if name == "OneVsRestClassifier":
        if not _is_multi_label(state):
            raise ModelError(
                f"{path} holds one classifier a class whose shares are scaled to 1, which is no "
                "softmax of a linear layer. Train the head anew: tenor train few-shot --model "
                "FOLDER."
            )
        return PickledHead("one-vs-rest", [_part(each) for each in state["estimators_"]])
    if name == "MultiOutputClassifier":
        return PickledHead("multi-output", [_part(each) for each in state["estimators_"]])
    if name == "SetFitHead":
        layer = state["_modules"]["linear"].state["_parameters"]
        scale = 1.0 / (float(state["temperature"]) + float(state.get("eps", LINEAR_EPSILON)))
        weight = np.asarray(layer["weight"], dtype=np.float64) * scale
        bias = layer.get("bias")
        offsets = np.zeros(len(weight)) if bias is None else np.asarray(bias, np.float64) * scale
        kind = "linear-multi" if state.get("multitarget") else "linear"
        return PickledHead(kind, [HeadPart(weight, offsets)])
    raise ModelError(f"{path} holds a {name}, which is no linear classifier.")


def _is_multi_label(state: dict[str, Any]) -> bool:
    binarizer = state["label_binarizer_"].state
    return str(binarizer.get("y_type_", "")).startswith("multilabel")


def _part(record: _Record) -> HeadPart:
    """The model of one label."""
    nothing = np.zeros((0, 0)), np.zeros(0)
    if record.name == "_ConstantPredictor":
        return HeadPart(*nothing, always=bool(_value(record.state["y_"]).ravel()[0]))
    return _logistic(record.state)


def _logistic(state: dict[str, Any]) -> HeadPart:
    weight = _value(state["coef_"]).astype(np.float64)
    bias = np.broadcast_to(_value(state["intercept_"]).astype(np.float64), len(weight))
    apart = state.get("multi_class") == "ovr" or state.get("solver") == "liblinear"
    return HeadPart(
        weight,
        bias,
        multinomial=state.get("multi_class") == "multinomial",
        scaled=apart and len(weight) > 1,
    )


def _value(stored: Any) -> npt.NDArray[Any]:
    return np.asarray(stored.value if isinstance(stored, _Array) else stored)
