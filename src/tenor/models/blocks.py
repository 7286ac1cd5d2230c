"""The blocks of an encoder in their order, found by trying, and running only some of them.

Nothing is known of any architecture: one text is run, and what was called in which order, and what
depends on which parameter, says where the blocks are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from tenor.errors import ModelError

__all__ = ["Blocks"]


class Blocks:
    """The blocks of a `transformers` encoder.

    Depth k is the place before block k, counted from 0: depth 0 is behind the embeddings, the last
    one behind the last block.

    Args:
        transformer: the encoder.
        run: runs it on one text.

    Attributes:
        modules: the blocks in their order; empty where one block is used again and again (ALBERT).
        prefix: what the names of the blocks' parameters begin with.
        levels: for the name of each parameter, the first depth whose vectors depend on it: 0 for
            the embeddings, k + 1 for block k, one more than there are blocks for what follows them.

    Raises:
        ModelError: the architecture has no row of blocks that run one after another.
    """

    def __init__(self, transformer: Any, run: Callable[[], Any]) -> None:
        self._transformer = (transformer,)  # in a tuple: whoever holds this is no parent of it
        name = type(transformer).__name__
        parameters = dict(transformer.named_parameters())
        wanted = {key: parameter.requires_grad for key, parameter in parameters.items()}
        for parameter in parameters.values():
            parameter.requires_grad_()
        try:
            with torch.inference_mode(False), torch.enable_grad():
                seen = _watch(transformer, run)
                self.prefix, called = _choose(name, seen)
                modules = transformer.get_submodule(self.prefix)
                is_row = [call.number for call in called] == list(range(len(modules)))
                self.modules: tuple[nn.Module, ...] = tuple(modules) if is_row else ()
                vectors = [call.given for call in called] + [called[-1].made]
                self.levels = _levels(parameters, vectors if is_row else vectors[:1])
        finally:
            for key, parameter in parameters.items():
                parameter.requires_grad_(wanted[key])
        self._forms = [call.form for call in called]
        self._embedding = _embedding_stub(transformer, self.modules, run) if is_row else None

    def __len__(self) -> int:
        return len(self.modules)

    def run(
        self,
        inputs: Mapping[str, Any],
        *,
        start: int | None = None,
        states: Tensor | None = None,
        stop: int | None = None,
    ) -> Tensor:
        """Run the encoder from one depth to another.

        Args:
            inputs: of the encoder's `forward`.
            start: depth at which to begin with `states`; at the tokens by default.
            states: the vectors there, (…, W).
            stop: depth at which to end; by default all is run that there is.

        Returns:
            The vectors at `stop`, or the encoder's output.
        """
        if start is not None and start == stop:
            assert states is not None
            return states
        first = 0 if start is None else start
        last = len(self) if stop is None else stop
        found: list[Tensor] = []
        with ExitStack() as stack:
            if start is not None and self._embedding is not None:
                assert states is not None
                part, width = self._embedding
                nothing = states.new_zeros(1).expand(*states.shape[:-1], width)
                stack.enter_context(_replaced(part[0], lambda *args, **kwargs: nothing))
            for number, block in enumerate(self.modules):
                is_end = number + 1 == len(self)
                given = states if number == start else None
                noted = found if number == stop or (is_end and stop == len(self)) else None
                if not first <= number < last:
                    given = states if is_end and start == len(self) else given
                    forward = self._skip(number, given, noted)
                elif given is None and noted is None:
                    continue
                else:
                    forward = _through(block.forward, given, noted)
                stack.enter_context(_replaced(block, forward))
            output: Tensor = self._transformer[0](**inputs).last_hidden_state
        return output if stop is None else found[0]

    def _skip(
        self, number: int, states: Tensor | None, found: list[Tensor] | None
    ) -> Callable[..., Any]:
        """A block's `forward` that hands on what it is given, or `states`."""
        members = self._forms[number]

        def forward(*args: Any, **kwargs: Any) -> Any:
            hidden = _hidden(args, kwargs) if states is None else states
            if found is not None:
                found.append(hidden)
            return hidden if members is None else (hidden, *[None] * (members - 1))

        return forward


class _Call(NamedTuple):
    """One call of a block: its number, what it was given and made, and members of its answer."""

    number: int
    given: Tensor
    made: Tensor
    form: int | None


def _watch(transformer: nn.Module, run: Callable[[], Any]) -> dict[str, list[_Call]]:
    """The calls of the members of every outermost list of modules, by the list's name."""
    lists = {
        name: module
        for name, module in transformer.named_modules()
        if isinstance(module, nn.ModuleList) and len(module)
    }
    outer = {
        name: module
        for name, module in lists.items()
        if not any(name.startswith(f"{other}.") for other in lists)
    }
    calls: dict[str, list[_Call]] = {name: [] for name in outer}
    hooks = []
    for name, modules in outer.items():
        for number, module in enumerate(modules):

            def note(
                _: Any, args: Any, kwargs: Any, made: Any, name: str = name, number: int = number
            ) -> None:
                first, given = (
                    (made if isinstance(made, Tensor) else made[0]),
                    _hidden(args, kwargs),
                )
                if not isinstance(first, Tensor) or not isinstance(given, Tensor):
                    raise TypeError(f"{name} is given something that is no row of vectors")
                form = None if isinstance(made, Tensor) else len(made)
                calls[name].append(_Call(number, given, first, form))

            hooks.append(module.register_forward_hook(note, with_kwargs=True))
    try:
        run()
    except (TypeError, KeyError, IndexError) as error:  # its members are no blocks
        raise _unlike(type(transformer).__name__) from error
    finally:
        for hook in hooks:
            hook.remove()
    return {name: found for name, found in calls.items() if found}


def _choose(name: str, seen: dict[str, list[_Call]]) -> tuple[str, list[_Call]]:
    """The list that is called most often, if it is the only one."""
    ranked = sorted(seen.items(), key=lambda item: -len(item[1]))
    if not ranked or (len(ranked) > 1 and len(ranked[0][1]) == len(ranked[1][1])):
        raise _unlike(name)
    return ranked[0]


def _unlike(name: str) -> ModelError:
    return ModelError(
        f"{name} is not made of blocks that run one after another, as far as can be told; freeze "
        "parts of it by their names, or all of it."
    )


def _levels(parameters: dict[str, nn.Parameter], vectors: Sequence[Tensor]) -> dict[str, int]:
    """The first of some vectors that depends on each parameter."""
    levels: dict[str, int] = {}
    left = dict(parameters)
    for depth, hidden in enumerate(vectors):
        if not left:
            break
        gradients = torch.autograd.grad(
            hidden.float().sum(), list(left.values()), retain_graph=True, allow_unused=True
        )
        for key, gradient in zip(list(left), gradients, strict=True):
            if gradient is not None:
                levels[key] = depth
                del left[key]
    return {**levels, **dict.fromkeys(left, len(vectors))}


def _embedding_stub(
    transformer: Any, blocks: Sequence[nn.Module], run: Callable[[], Any]
) -> tuple[tuple[nn.Module], int] | None:
    """The part that looks tokens up, with the width of what it gives, if it stands by itself.

    Where vectors of a later depth are given, nothing needs looking up.
    """
    table = transformer.get_input_embeddings()
    parts = [part for part in transformer.children() if table in part.modules()]
    if len(parts) != 1 or any(block in parts[0].modules() for block in blocks):
        return None
    made: list[Any] = []
    hook = parts[0].register_forward_hook(lambda _, args, output: made.append(output))
    try:
        with torch.no_grad():
            run()
    finally:
        hook.remove()
    if len(made) != 1 or not isinstance(made[0], Tensor):
        return None
    return (parts[0],), made[0].shape[-1]


def _hidden(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Tensor:
    hidden: Tensor = args[0] if args else kwargs["hidden_states"]
    return hidden


def _through(
    forward: Callable[..., Any], states: Tensor | None, found: list[Tensor] | None
) -> Callable[..., Any]:
    """A block's `forward` that is given `states`, and whose answer is noted in `found`."""

    def replaced(*args: Any, **kwargs: Any) -> Any:
        if states is not None and args:
            args = (states, *args[1:])
        elif states is not None:
            kwargs["hidden_states"] = states
        made = forward(*args, **kwargs)
        if found is not None:
            found.append(made if isinstance(made, Tensor) else made[0])
        return made

    return replaced


@contextmanager
def _replaced(module: nn.Module, forward: Callable[..., Any]) -> Iterator[None]:
    """Another `forward` for one module, for a while."""
    before = module.__dict__.get("forward")
    module.__dict__["forward"] = forward
    try:
        yield
    finally:
        if before is None:
            del module.__dict__["forward"]
        else:
            module.__dict__["forward"] = before
