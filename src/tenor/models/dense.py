"""A dense layer between pooling and the embedding."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from torch import Tensor, nn

from tenor.errors import ConfigError, ModelError
from tenor.formats.layout import DenseSpec

__all__ = ["ACTIVATIONS", "Dense"]

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "identity": nn.Identity,
    "tanh": nn.Tanh,
    "relu": nn.ReLU,
    "gelu": nn.GELU,
    "sigmoid": nn.Sigmoid,
    "silu": nn.SiLU,
}


class Dense(nn.Module):
    """activation(W · x + b).

    Args:
        in_features: width of the input.
        out_features: width of the output.
        bias: whether there is a b.
        activation: one of `ACTIVATIONS`.

    Raises:
        ConfigError: for another activation.
    """

    def __init__(
        self, in_features: int, out_features: int, *, bias: bool = True, activation: str = "tanh"
    ) -> None:
        super().__init__()
        if activation not in ACTIVATIONS:
            raise ConfigError("activation", activation, f"one of {', '.join(ACTIVATIONS)}")
        self.linear = nn.Linear(in_features, out_features, bias=bias)
        self.activation_name = activation
        self.activation = ACTIVATIONS[activation]()
        self.in_features, self.out_features = in_features, out_features

    @classmethod
    def load(cls, spec: DenseSpec) -> Dense:
        """Make the layer that a folder describes, with its weights.

        Raises:
            ModelError: when it has an activation that is not known.
        """
        from safetensors.torch import load_file

        if spec.activation not in ACTIVATIONS:
            raise ModelError(
                f"a dense layer has the activation {spec.activation!r}; "
                f"supported: {', '.join(ACTIVATIONS)}."
            )
        layer = cls(spec.in_features, spec.out_features, bias=spec.bias, activation=spec.activation)
        if spec.weights is not None:
            layer.load_state_dict(load_file(spec.weights))
        return layer

    @property
    def spec(self) -> DenseSpec:
        """The layer as data."""
        return DenseSpec(
            in_features=self.in_features,
            out_features=self.out_features,
            bias=self.linear.bias is not None,
            activation=self.activation_name,
            weights=None,
        )

    def tensors(self) -> dict[str, npt.NDArray[np.float32]]:
        """The weights, under the names that sentence-transformers gives them."""
        return {name: value.detach().cpu().numpy() for name, value in self.state_dict().items()}

    def forward(self, x: Tensor) -> Tensor:
        """(N, in) → (N, out)."""
        out: Tensor = self.activation(self.linear(x.to(self.linear.weight.dtype)))
        return out
