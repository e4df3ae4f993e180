"""A function of tensors, recorded once as a flat list of operations that can be carried out again.

`torch.func` composes a gradient of many networks out of layers of Python, which cost several times
what the operations on small tensors do. Underneath, the same operations come in the same order in
every step. So they are recorded once for each set of shapes, with `torch.fx` to hold them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, fx
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter, tree_map

_OF_SHAPES = {"ones_like", "zeros_like", "full_like", "new_zeros", "new_ones", "new_full"}
"""Operations whose result depends on the shape of a tensor, not on its values."""

_PRODUCTS = {torch.ops.aten.matmul.default, torch.ops.aten.bmm.default}

Function = Callable[..., Sequence[Tensor]]


def record(
    function: Function, weights: Tensor, inputs: Sequence[Tensor], *, compiled: bool = False
) -> tuple[Callable[..., list[Tensor]], int]:
    """Calls a function and returns one that carries out the same operations on other inputs.

    The function must do the same for all inputs of these shapes: no branch on their values, no
    draws from the global generator. What depends on neither weights nor inputs is computed once.

    Args:
        function: called as ``function(weights, *inputs)``; returns tensors.
        weights: a tensor whose storage stays, and whose values may change between two calls.
        inputs: like those of later calls in shape and type.
        compiled: whether the operations are compiled; the first call does it.

    Returns:
        A function of the inputs alone, which returns the list of tensors, and the bytes of all
        tensors that were made on the way.
    """
    tape = _Tape()
    with torch.no_grad(), tape:
        outputs = list(function(weights, *inputs))
    module = _module(tape, weights, inputs, outputs)
    # The module as a whole has hooks, which cost as much as a small operation.
    call = torch.compile(module, dynamic=False) if compiled else module.forward
    return call, tape.bytes


class _Tape(TorchDispatchMode):
    """Notes every operation that reaches a device; all tensors are kept, so that ids are unique."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.nodes: list[tuple[Any, tuple[Any, ...], dict[str, Any], Any]] = []
        self.bytes = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if func in _PRODUCTS and _has_shared_factor(*args):
            with self:
                return _product(*args)
        if func is torch.ops.aten.argmax.default and not args[0].is_contiguous():
            with self:  # across memory it takes six times as long
                args = (args[0].contiguous(), *args[1:])
        out = func(*args, **(kwargs or {}))
        self.nodes.append((func, args, kwargs or {}, out))
        self.bytes += sum(t.nbytes for t in _tensors(out) if t._base is None)
        return out


def _has_shared_factor(a: Tensor, b: Tensor) -> bool:
    """Whether one matrix is the same for all members, and the other is not."""
    return {a.ndim, b.ndim} <= {2, 3} and _is_shared(a) != _is_shared(b)


def _is_shared(x: Tensor) -> bool:
    return x.ndim == 2 or (len(x) > 1 and x.stride(0) == 0)


def _product(a: Tensor, b: Tensor) -> Tensor:
    """One product of large matrices in place of one small product for each member."""
    if not _is_shared(b):
        return _product(b.mT, a.mT).mT
    rows = a.flatten(0, 1) @ (b if b.ndim == 2 else b[0])
    return rows.view(*a.shape[:2], -1)


def _module(
    tape: _Tape, weights: Tensor, inputs: Sequence[Tensor], outputs: Sequence[Tensor]
) -> fx.GraphModule:
    """The recorded operations as a function of the inputs."""
    graph = fx.Graph()
    constants: dict[str, Tensor] = {}
    nodes: dict[int, fx.Node] = {
        id(x): graph.placeholder(f"input_{number}") for number, x in enumerate(inputs)
    }
    changing = _changing(tape, weights, inputs)

    def operand(x: Any) -> Any:
        if not isinstance(x, Tensor):
            return x
        if id(x) not in nodes:  # computed once and for all, or a view of the weights
            name = f"constant_{len(constants)}"
            constants[name] = x
            nodes[id(x)] = graph.get_attr(name)
        return nodes[id(x)]

    for func, args, kwargs, out in tape.nodes:
        if not any(id(x) in changing for x in _tensors(out)):
            continue
        node = graph.call_function(func, tree_map(operand, args), tree_map(operand, kwargs))
        if isinstance(out, Tensor):
            nodes[id(out)] = node
        else:
            for number, x in enumerate(out):
                if isinstance(x, Tensor):  # a gradient that nobody wants is None
                    nodes[id(x)] = graph.call_function(_item, (node, number))
    graph.output([operand(x) for x in outputs])
    graph.eliminate_dead_code()
    return fx.GraphModule(constants, graph)


def _item(values: Sequence[Tensor], number: int) -> Tensor:
    return values[number]


def _changing(tape: _Tape, weights: Tensor, inputs: Sequence[Tensor]) -> set[int]:
    """The ids of the tensors whose values are not the same in every call.

    A view of the weights is the same tensor in every call, whatever its values are.
    """
    home = weights.untyped_storage().data_ptr()
    written = {
        x.untyped_storage().data_ptr()
        for func, args, _, _ in tape.nodes
        if func._schema.is_mutable
        for x in _mutated(func, args)
    }
    if home in written:
        raise ValueError("the function changes the weights")
    changing = {id(x) for x in inputs}
    for func, args, kwargs, out in tape.nodes:
        used = list(_tensors((args, kwargs)))
        made = list(_tensors(out))
        if func._schema.name.removeprefix("aten::") in _OF_SHAPES:
            used = []
        fresh = torch.Tag.nondeterministic_seeded in func.tags
        if (
            fresh
            or any(id(x) in changing for x in used)
            or any(x.untyped_storage().data_ptr() in written for x in made)
            or (
                any(x.untyped_storage().data_ptr() == home for x in used)
                and not all(x.untyped_storage().data_ptr() == home for x in made)
            )
        ):
            changing |= {id(x) for x in made}
    return changing


def _mutated(func: Any, args: tuple[Any, ...]) -> Iterator[Tensor]:
    for argument, value in zip(func._schema.arguments, args, strict=False):
        if argument.alias_info is not None and argument.alias_info.is_write:
            yield from _tensors(value)


def _tensors(tree: Any) -> Iterator[Tensor]:
    return (x for x in tree_iter(tree) if isinstance(x, Tensor))
