"""bf16 products from fp32 weights, on hardware that has them.

The encoder's parameters stay fp32 (so optimisers and files see nothing new) while its linear
layers multiply bf16 copies, made once for each version of the weights, and its activations stay
bf16 from layer to layer. Autocast would convert them back and forth around every product.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.optimizer import register_optimizer_step_post_hook

from tenor.errors import ConfigError
from tenor.models.dropout import FastDropout

__all__ = ["best_dtype", "has_bf16_products", "resolve_dtype", "set_precision"]

DTYPES = {"bf16": torch.bfloat16, "fp32": torch.float32}


def has_bf16_products(device: torch.device | str) -> bool:
    """Whether the device multiplies bf16 matrices faster than fp32 ones."""
    kind = torch.device(device).type
    if kind == "cpu":
        cpu: Any = torch.cpu
        return bool(cpu._is_amx_tile_supported() or cpu._is_avx512_bf16_supported())
    if kind == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return False


def best_dtype(device: torch.device | str) -> torch.dtype:
    """bf16 on CPUs with AMX or AVX512-BF16 and on GPUs that have it, fp32 elsewhere."""
    return torch.bfloat16 if has_bf16_products(device) else torch.float32


def resolve_dtype(dtype: str | torch.dtype, device: torch.device | str) -> torch.dtype:
    """The dtype of the products: `"auto"`, `"bf16"`, `"fp32"` or a torch dtype.

    Raises:
        ConfigError: for anything else.
    """
    if dtype == "auto":
        return best_dtype(device)
    found = DTYPES.get(dtype) if isinstance(dtype, str) else dtype
    if found is None or found not in DTYPES.values():
        raise ConfigError("dtype", dtype, "one of auto, bf16, fp32")
    return found


def _count_step(optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
    # Fused optimisers write to parameters behind autograd's back; a copy of a weight made before
    # the step would pass for the current one.
    for group in optimizer.param_groups:
        torch.autograd.graph.increment_version(group["params"])


register_optimizer_step_post_hook(_count_step)


def set_precision(module: nn.Module, dtype: torch.dtype) -> None:
    """Make the linear layers and norms inside `module` work in `dtype`; parameters stay fp32.

    Layers change their class in place, so names, parameters and saved files stay as they are.
    """
    for layer in module.modules():
        if type(layer) is nn.Linear:
            layer.__class__ = MixedLinear
            layer.__dict__["_products"] = None
        elif type(layer) is nn.LayerNorm:
            layer.__class__ = MixedLayerNorm
        elif type(layer) is nn.Dropout:
            layer.__class__ = FastDropout
        elif _is_gelu_intermediate(layer):
            layer.__class__ = GeluIntermediate
    for layer in module.modules():
        if isinstance(layer, MixedLinear | MixedLayerNorm):
            layer.product_dtype = dtype


class _MixedProduct(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, low: Tensor) -> Tensor:
        ctx.save_for_backward(x, low)
        return F.linear(x, low, None if bias is None else bias.to(low.dtype))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, low = ctx.saved_tensors
        grad = gradients[0]
        need_x, need_weight, need_bias, _ = ctx.needs_input_grad
        flat_grad = grad.reshape(-1, grad.shape[-1])
        grad_x = grad_weight = grad_bias = None
        if need_x:
            grad_x = grad @ low
        if need_weight:
            grad_weight = (flat_grad.t() @ x.reshape(-1, x.shape[-1])).float()
        if need_bias:
            grad_bias = flat_grad.sum(0).float()  # summed in fp32, rounded once
        return grad_x, grad_weight, grad_bias, None


class MixedLinear(nn.Linear):
    """A linear layer with fp32 parameters and products in `product_dtype`."""

    product_dtype: torch.dtype
    _products: tuple[tuple[int, int, torch.dtype, bool], Tensor] | None

    def forward(self, input: Tensor) -> Tensor:
        """(…, in) → (…, out), in the dtype of the products."""
        if self.product_dtype == torch.float32 or self.weight.dtype != torch.float32:
            return super().forward(input)
        x = input.to(self.product_dtype)
        train = torch.is_grad_enabled() and (
            x.requires_grad
            or self.weight.requires_grad
            or (self.bias is not None and self.bias.requires_grad)
        )
        low = self._low_weight(packed=not train and _packs(x))
        if train:
            result: Tensor = _MixedProduct.apply(x, self.weight, self.bias, low)  # type: ignore[no-untyped-call]
            return result
        bias = None if self.bias is None else self.bias.to(x.dtype)
        if low.is_mkldnn:
            return torch.ops.mkldnn._linear_pointwise(x, low, bias, "none", [], "")  # type: ignore[no-any-return]
        return F.linear(x, low, bias)

    def gelu(self, input: Tensor) -> Tensor:
        """GELU (erf) of the layer's output; without gradients, in one pass with the product."""
        x = input.to(self.product_dtype)
        low = None
        if self.product_dtype != torch.float32 and not torch.is_grad_enabled() and _packs(x):
            low = self._low_weight(packed=True)
        if low is None or not low.is_mkldnn:
            return F.gelu(self.forward(input))
        bias = None if self.bias is None else self.bias.to(x.dtype)
        return torch.ops.mkldnn._linear_pointwise(x, low, bias, "gelu", [], "none")  # type: ignore[no-any-return]

    def _low_weight(self, *, packed: bool) -> Tensor:
        """The weight in the products' dtype, made anew when the parameter has changed."""
        weight = self.weight
        count = -1 if weight.is_inference() else weight._version  # a model loaded in that mode
        version = (count, weight.data_ptr(), self.product_dtype, packed)
        if self._products is None or self._products[0] != version:
            with torch.inference_mode(False):  # a later training step may use the same copy
                low = self.weight.detach().to(self.product_dtype)
                if packed:
                    low = torch.ops.mkldnn._reorder_linear_weight(low, None)
            self._products = (version, low)
        return self._products[1]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_products": None}  # a cache: neither copied nor sent anywhere


class MixedLayerNorm(nn.LayerNorm):
    """A layer norm that keeps activations in `product_dtype` (statistics in fp32 inside)."""

    product_dtype: torch.dtype

    def forward(self, input: Tensor) -> Tensor:
        """(…, width) → (…, width)."""
        if self.product_dtype == torch.float32:
            return super().forward(input)
        if input.device.type != "cpu":  # only the CPU's kernel mixes bf16 input and fp32 weights
            input = input.float()
        return super().forward(input).to(self.product_dtype)


class GeluIntermediate(nn.Module):
    """BERT's up-projection and its GELU, fused into one pass where no gradient is needed."""

    dense: MixedLinear

    def forward(self, hidden_states: Tensor) -> Tensor:
        """(…, width) → (…, intermediate width)."""
        return self.dense.gelu(hidden_states)


def _is_gelu_intermediate(layer: nn.Module) -> bool:
    """Whether a layer is `act(dense(x))` with the exact GELU, as BERT and its family write it."""
    act = getattr(layer, "intermediate_act_fn", None)
    children = dict(layer.named_children())
    return (
        type(layer).__name__.endswith("Intermediate")
        and type(act).__name__ == "GELUActivation"
        and set(children) == {"dense", "intermediate_act_fn"}
        and type(children["dense"]) in (nn.Linear, MixedLinear)
    )


def _packs(x: Tensor) -> bool:
    return x.device.type == "cpu" and _onednn_has_bf16()


@cache
def _onednn_has_bf16() -> bool:
    available = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return bool(available and torch.ops.mkldnn._is_mkldnn_bf16_supported())
