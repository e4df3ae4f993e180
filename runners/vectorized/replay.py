"""A function of tensors, recorded once as a flat list of operations that can be carried out again.

`torch.func` composes a gradient of many networks out of layers of Python, which cost several times
what the operations on small tensors do. Underneath, the same operations come in the same order in
every step. So they are recorded once for each set of shapes, with `torch.fx` to hold them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import Any

import torch
from torch import Tensor, fx
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map

_OF_SHAPES = {"ones_like", "zeros_like", "full_like", "new_zeros", "new_ones", "new_full"}
"""Operations whose result depends on the shape of a tensor, not on its values."""

_VECTOR = 16
"""Columns that the kernel for products handles at a time."""

_NOTICEABLE = 0.2
"""Another layout of the result pays where so much less of the kernel's work is for nothing."""

_FEW = 32
"""Members with fewer rows than this are copied below one another where one product needs that."""

_OVERWRITING = {
    torch.ops.aten.add.Tensor: 2, torch.ops.aten.mul.Tensor: 2, torch.ops.aten.sub.Tensor: 1,
    torch.ops.aten.div.Tensor: 1, torch.ops.aten.relu.default: 1, torch.ops.aten.tanh.default: 1,
    torch.ops.aten.sigmoid.default: 1, torch.ops.aten.neg.default: 1,
}  # fmt: skip
"""Operations that have a form in place -> how many of their operands it can overwrite."""

_PRODUCTS = {torch.ops.aten.matmul.default, torch.ops.aten.bmm.default}

Function = Callable[..., Sequence[Tensor]]

_Node = tuple[Any, tuple[Any, ...], dict[str, Any], Any]
"""An operation, its arguments, those with names, and its result."""


def record(
    function: Function, weights: Tensor, inputs: Sequence[Tensor], *, compiled: bool = False
) -> tuple[Callable[..., list[Tensor]], int]:
    """Calls a function and returns one that carries out the same operations on other inputs.

    The function must do the same for all inputs of these shapes: no branch on their values, no
    draws from the global generator. What depends on neither weights nor inputs is computed once.

    Args:
        function: called as ``function(weights, *inputs)``; returns tensors.
        weights: a tensor whose storage stays, and whose values may change between two calls.
        inputs: like those of later calls in shape, type and layout.
        compiled: whether the operations are compiled; the first call does it.

    Returns:
        A function of the inputs alone, which returns the list of tensors, and the bytes of all
        tensors that were made on the way.
    """
    with torch.no_grad():
        inputs = [x.view_as(x) for x in inputs]  # apart, where one is given twice
        try:
            with _Tape() as tape:
                outputs = list(function(weights, *inputs))
        except RuntimeError:  # a view of a product that is laid out in another way
            with _Tape(ordinary=True) as tape:
                outputs = list(function(weights, *inputs))
    tape.nodes = _joined(tape, outputs)
    module = _module(tape, weights, inputs, outputs, reuse=not compiled)
    # The module as a whole has hooks, which cost as much as a small operation.
    call = torch.compile(module, dynamic=False) if compiled else module.forward
    return call, tape.bytes


class _Tape(TorchDispatchMode):
    """Notes every operation that reaches a device; all tensors are kept, so that ids are unique.

    Args:
        ordinary: whether products of matrices are computed as the function does it, and not in a
            faster way, which may lay them out in another way.
    """

    def __init__(self, *, ordinary: bool = False) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.ordinary = ordinary
        self.nodes: list[_Node] = []
        self.bytes = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if func in _PRODUCTS and not self.ordinary:
            if faster := _faster(*args):
                with self:
                    return faster(*args)
            if args[0].ndim == args[1].ndim == 3 and len(args[0]) == len(args[1]):
                func = torch.ops.aten.bmm.default  # the other looks at shapes to find it
        if func is torch.ops.aten.argmax.default and not args[0].is_contiguous():
            with self:  # across memory it takes six times as long
                args = (args[0].contiguous(), *args[1:])
        out = func(*args, **(kwargs or {}))
        self.nodes.append((func, args, kwargs or {}, out))
        self.bytes += sum(t.nbytes for t in _tensors(out) if t._base is None)
        return out


def _faster(a: Tensor, b: Tensor) -> Callable[[Tensor, Tensor], Tensor] | None:
    """A faster way to the products of matrices, one for each member; None if there is none."""
    if a.dtype != b.dtype or not {a.ndim, b.ndim} <= {2, 3} or a.ndim == b.ndim == 2:
        return None
    both = a.ndim == b.ndim == 3
    if both and len(a) != len(b):
        return None
    if both and a.shape[2] == b.shape[1] == 1:
        return torch.mul
    if _is_shared(a) != _is_shared(b):
        stack = b.mT if _is_shared(a) else a
        if stack.shape[1] < _FEW or stack.stride(0) == stack.shape[1] * stack.stride(1):
            return _product_with_one
    if _unused(b.shape[-1]) > _unused(a.shape[-2]) + _NOTICEABLE:
        return _transposed_product
    return None if both else _product_of_stacks


def _unused(columns: int) -> float:
    """The kernel's work that is for nothing, as a share of the other."""
    return -columns % _VECTOR / columns if columns else 0.0


def _product_of_stacks(a: Tensor, b: Tensor) -> Tensor:
    members = len(a if a.ndim == 3 else b)
    return a.expand(members, -1, -1) @ b.expand(members, -1, -1)


def _is_shared(x: Tensor) -> bool:
    """Whether a matrix is the same for all members."""
    return x.ndim == 2 or (len(x) > 1 and x.stride(0) == 0)


def _product_with_one(a: Tensor, b: Tensor) -> Tensor:
    """One product of large matrices in place of one small product for each member."""
    if not _is_shared(b):
        return _product_with_one(b.mT, a.mT).mT
    rows = a.flatten(0, 1) @ (b if b.ndim == 2 else b[0])
    return rows.view(*a.shape[:2], -1)


def _transposed_product(a: Tensor, b: Tensor) -> Tensor:
    return _product_of_stacks(b.mT, a.mT).mT


def _joined(tape: _Tape, outputs: Sequence[Tensor]) -> list[_Node]:
    """The operations, where a sum of products is one product of their factors side by side.

    Such a sum is the gradient of weights that every time step uses. Its terms are as large as the
    weights, and there are few examples in each: memory is what they take time for.
    """
    uses = Counter(id(x) for _, args, kwargs, _ in tape.nodes for x in _tensors((args, kwargs)))
    uses.update(map(id, outputs))
    written = _written(tape)
    # For each sum its factors, and the operations that it is made of.
    sums: dict[int, tuple[list[tuple[Tensor, Tensor]], list[int]]] = {}
    for index, (func, args, kwargs, out) in enumerate(tape.nodes):
        if func in _PRODUCTS:
            if _is_large(*args) and written.isdisjoint(map(_home, args)):
                sums[id(out)] = [args], [index]
        elif _is_sum(func, args, kwargs, out) and all(
            id(x) in sums and uses[id(x)] == 1 for x in _tensors(args)
        ):
            factors, made = zip(*(sums.pop(id(x)) for x in _tensors(args)), strict=True)
            sums[id(out)] = list(chain(*factors)), [*chain(*made), index]
    sums = {key: of for key, of in sums.items() if len(of[0]) > 1}
    found = {made[-1]: factors for factors, made in sums.values()}
    dropped = {index for _, made in sums.values() for index in made}
    nodes: list[_Node] = []
    for index, node in enumerate(tape.nodes):
        if index in found:
            sides = []
            for side, dim in zip(zip(*found[index], strict=True), (2, 1), strict=True):
                args = list(side), dim
                sides.append(torch.ops.aten.cat.default(*args))
                nodes.append((torch.ops.aten.cat.default, args, {}, sides[-1]))
            nodes.append((torch.ops.aten.bmm.default, tuple(sides), {}, node[-1]))
        elif index not in dropped:
            nodes.append(node)
    return nodes


def _is_large(a: Tensor, b: Tensor) -> bool:
    """Whether the product of two stacks of matrices is larger than they are."""
    if not (a.ndim == b.ndim == 3 and len(a) == len(b)):
        return False
    return a.numel() + b.numel() <= len(a) * a.shape[1] * b.shape[2]


def _is_sum(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> bool:
    """Whether an operation adds tensors that are laid out alike, or shows one as it is."""
    terms = list(_tensors((args, kwargs)))
    if func is not torch.ops.aten.add.Tensor:  # another tensor may be given for its shape alone
        return len(terms) == 1 and not func._schema.is_mutable and _is_same(terms[0], out)
    return (
        not kwargs
        and len(terms) == 2
        and all(
            (x.dtype, x.shape, x.stride()) == (out.dtype, out.shape, out.stride()) for x in terms
        )
    )


def _module(
    tape: _Tape,
    weights: Tensor,
    inputs: Sequence[Tensor],
    outputs: Sequence[Tensor],
    *,
    reuse: bool,
) -> fx.GraphModule:
    """The recorded operations as a function of the inputs.

    Args:
        tape: the operations.
        weights: as in `record`.
        inputs: likewise.
        outputs: what the function returned.
        reuse: whether results overwrite operands that nobody needs any more.
    """
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

    overwrites = _overwrites(tape, changing, inputs, outputs) if reuse else {}
    for index, (func, args, kwargs, out) in enumerate(tape.nodes):
        results = *_tensors(out), *_mutated(func, args, kwargs)
        if not any(id(x) in changing for x in results):
            continue
        if index in overwrites:
            func, args = overwrites[index]
        same = next((x for x in _tensors(args) if _is_same(x, out)), None)
        if same is not None and not func._schema.is_mutable:
            nodes[id(out)] = operand(same)
            continue
        node = graph.call_function(func, tree_map(operand, args), tree_map(operand, kwargs))
        if isinstance(out, Tensor):
            nodes[id(out)] = node
        else:
            for number, x in enumerate(out or ()):
                if isinstance(x, Tensor):  # a gradient that nobody wants is None
                    nodes[id(x)] = graph.call_function(_item, (node, number))
    graph.output([operand(x) for x in outputs])
    graph.eliminate_dead_code()
    return fx.GraphModule(constants, graph)


def _overwrites(
    tape: _Tape, changing: set[int], inputs: Sequence[Tensor], outputs: Sequence[Tensor]
) -> dict[int, tuple[Any, tuple[Any, ...]]]:
    """Operations that may overwrite an operand: what to call in place of each, and with what.

    That saves memory that is new to the cache. The operand must have been made by an operation, and
    this must be its last use, in whatever view.
    """
    last: dict[int, int] = {}
    for index, (_, args, kwargs, out) in enumerate(tape.nodes):
        last.update((_home(x), index) for x in _tensors((args, kwargs, out)))
    last.update((_home(x), len(tape.nodes)) for x in (*inputs, *outputs))
    made: set[int] = set()  # storages of tensors that are made anew in each call
    found: dict[int, tuple[Any, tuple[Any, ...]]] = {}
    for index, (func, args, kwargs, out) in enumerate(tape.nodes):
        if not isinstance(out, Tensor) or id(out) not in changing:
            continue
        operands = [_home(x) for x in _tensors((args, kwargs))]
        # With a factor (alpha) the operands cannot change places.
        for number in range(min(_OVERWRITING.get(func, 0), 1 if kwargs else 2)):
            x = args[number]
            if (
                isinstance(x, Tensor)
                and _home(x) in made
                and operands.count(_home(x)) == 1
                and last[_home(x)] == index
                and (x.dtype, x.shape, x.stride()) == (out.dtype, out.shape, out.stride())
                and not (x.is_conj() or x.is_neg())
            ):
                # From here on the result is where the operand was.
                found[index] = _in_place(func), (x, *args[:number], *args[number + 1 :])
                break
        if _home(out) not in operands:
            made.add(_home(out))
    return found


def _in_place(func: Any) -> Any:
    packet = getattr(torch.ops.aten, f"{func._schema.name.removeprefix('aten::')}_")
    return getattr(packet, func._overloadname)


def _home(x: Tensor) -> int:
    return x.untyped_storage().data_ptr()


def _is_same(x: Tensor, y: Any) -> bool:
    """Whether a view shows what its tensor does."""
    return (
        isinstance(y, Tensor)
        and x.data_ptr() == y.data_ptr()
        and (x.dtype, x.shape, x.stride()) == (y.dtype, y.shape, y.stride())
        and (x.is_conj(), x.is_neg()) == (y.is_conj(), y.is_neg())
        and _home(x) == _home(y)
    )


def _item(values: Sequence[Tensor], number: int) -> Tensor:
    return values[number]


def _changing(tape: _Tape, weights: Tensor, inputs: Sequence[Tensor]) -> set[int]:
    """The ids of the tensors whose values are not the same in every call.

    A view of the weights is the same tensor in every call, whatever its values are.
    """
    home = _home(weights)
    written = _written(tape)
    if home in written:
        raise ValueError("the function changes the weights")
    if any(_home(x) in written for x in inputs if x.numel()):
        raise ValueError("the function changes its inputs in place")
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
            or any(_home(x) in written for x in made)
            or (any(_home(x) == home for x in used) and not all(_home(x) == home for x in made))
        ):
            changing |= {id(x) for x in made}
    return changing


def _written(tape: _Tape) -> set[int]:
    """The storages that an operation changes in place."""
    return {
        _home(x)
        for func, args, kwargs, _ in tape.nodes
        if func._schema.is_mutable
        for x in _mutated(func, args, kwargs)
    }


def _mutated(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[Tensor]:
    for number, argument in enumerate(func._schema.arguments):
        if argument.alias_info is not None and argument.alias_info.is_write:
            value = args[number] if number < len(args) else kwargs.get(argument.name)
            yield from _tensors(value)


def _tensors(tree: Any) -> Iterator[Tensor]:
    """The tensors in arguments and results; `torch.utils._pytree` takes longer to find them."""
    if isinstance(tree, Tensor):
        yield tree
    elif isinstance(tree, tuple | list | dict):
        for part in tree.values() if isinstance(tree, dict) else tree:
            yield from _tensors(part)
