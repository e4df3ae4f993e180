"""A function that was recorded computes what the function does, and harms nothing."""

from __future__ import annotations

import functools
import operator

import pytest
import torch

from alig_deepobs.runners.vectorized.replay import record


def test_a_recorded_function_repeats_its_operations():
    weights = torch.arange(6.0).reshape(2, 3)

    def function(w, x):
        scratch = torch.zeros(3)
        scratch.add_(x)
        return [w[1] * scratch + torch.ones(3).mul(2.0), w.t()]

    x = torch.tensor([1.0, 2.0, 3.0])
    repeat, size = record(function, weights, [x])
    assert size > 0
    for _ in range(2):
        weights.mul_(2.0)
        x = x + 1.0
        product, transposed = repeat(x)
        assert torch.equal(product, weights[1] * x + 2.0)
        assert torch.equal(transposed, weights.t())


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda w, x: [w.add_(x)], "changes the weights"),
        (lambda w, x: [torch.add(x, x, out=w)], "changes the weights"),
        (lambda w, x: [x.add_(w)], "changes its inputs in place"),
    ],
)
def test_a_recorded_function_must_not_change_what_it_is_given(function, message):
    with pytest.raises(ValueError, match=message):
        record(function, torch.zeros(2), [torch.ones(2)])


def test_a_recorded_function_notices_what_is_written_by_name():
    def function(w, x):
        room = torch.zeros(2)
        seen = room.view(2)
        torch.add(x, w, out=room)
        return [seen + 1.0, room]

    repeat, _ = record(function, torch.ones(2), [torch.ones(2)])
    first = repeat(torch.tensor([1.0, 2.0]))
    repeat(torch.tensor([5.0, 5.0]))
    assert [x.tolist() for x in first] == [[3.0, 4.0], [2.0, 3.0]]


def test_operations_that_return_nothing_are_recorded():
    def function(w, x):
        doubled, room = x * 2.0, torch.zeros(2)
        torch._foreach_add_([doubled, room], [w, x])
        return [doubled, room]

    weights = torch.ones(2)
    repeat, _ = record(function, weights, [torch.ones(2)])
    for x in (torch.tensor([1.0, 2.0]), torch.tensor([5.0, 7.0])):
        assert [y.tolist() for y in repeat(x)] == [(2.0 * x + 1.0).tolist(), x.tolist()]


def test_a_tensor_may_be_recorded_as_two_inputs():
    x = torch.ones(2)
    repeat, _ = record(lambda w, a, b: [a - b], torch.ones(2), [x, x])
    assert repeat(torch.tensor([1.0, 2.0]), torch.tensor([3.0, 5.0]))[0].tolist() == [-2.0, -3.0]


@pytest.mark.parametrize("view", [torch.conj, torch._neg_view])
def test_a_view_that_shows_other_numbers_is_recorded(view):
    z, w = torch.randn(3, dtype=torch.cfloat), torch.randn(3)
    repeat, _ = record(lambda w, z: [view(z) * w], w, [z])
    other = torch.randn(3, dtype=torch.cfloat)
    assert torch.equal(repeat(other)[0], view(other) * w)


@pytest.mark.parametrize("size", [(5, 40, 12), (40, 12)])
def test_products_may_be_viewed_in_another_shape(size):
    weights, x = torch.randn(5, 12, 3), torch.randn(size)
    repeat, _ = record(lambda w, x: [(x @ w).view(-1)], weights, [x])
    torch.testing.assert_close(repeat(x)[0], (x @ weights).view(-1))


@pytest.mark.parametrize("side", ["shared on the left", "shared on the right"])
@pytest.mark.parametrize("expanded", [False, True])
def test_members_that_share_a_matrix_have_one_product(side, expanded):
    """Wide products are several times as fast as many narrow ones."""
    weights, x = torch.randn(5, 4, 3), torch.randn(4, 4) if "left" in side else torch.randn(3, 6)

    def function(w, x):
        factor = x.expand(5, *x.shape) if expanded else x
        return [factor @ w if "left" in side else w @ factor]

    repeat, _ = record(function, weights, [x])
    other = torch.randn_like(x)
    torch.testing.assert_close(repeat(other)[0], function(weights, other)[0])
    with torch.profiler.profile() as profile:
        repeat(other)
    assert "aten::bmm" not in {event.key for event in profile.key_averages()}


@pytest.mark.parametrize(("rows", "products"), [(4, "aten::mm"), (40, "aten::bmm")])
@pytest.mark.parametrize("expanded", [False, True])
def test_large_weights_are_not_copied_for_one_product(rows, products, expanded):
    """They lie in rows of all weights of a member, so not below those of the other members."""
    weights, x = torch.randn(5, rows * 16 + 7), torch.randn(32, 16)

    def function(w, x):
        return [w[:, 7:].unflatten(1, (rows, 16)) @ (x.expand(5, 32, 16).mT if expanded else x.t())]

    repeat, _ = record(function, weights, [x])
    other = torch.randn_like(x)
    torch.testing.assert_close(repeat(other)[0], function(weights, other)[0])
    assert _count(repeat, other, products) == 1
    assert _count(repeat, other, "aten::copy_") == (products == "aten::mm")


@pytest.mark.parametrize("columns", [3, 50])  # 50 cost as much as 64
def test_narrow_products_are_computed_as_wide_ones(columns):
    weights, x = torch.randn(5, 12, columns), torch.randn(5, 48, 12)
    repeat, _ = record(lambda w, x: [x @ w], weights, [x])
    torch.testing.assert_close(repeat(x)[0], x @ weights)
    with torch.profiler.profile(record_shapes=True) as profile:
        repeat(x)
    (product,) = (event for event in profile.events() if event.name == "aten::bmm")
    assert product.input_shapes[:2] == [[5, columns, 12], [5, 12, 48]]


def test_outer_products_are_computed_without_a_product_of_matrices():
    a, x = torch.randn(5, 7, 1), torch.randn(5, 1, 6)
    repeat, _ = record(lambda w, x: [w @ x], a, [x])
    torch.testing.assert_close(repeat(x)[0], a @ x)
    with torch.profiler.profile() as profile:
        repeat(x)
    assert "aten::bmm" not in {event.key for event in profile.key_averages()}


def _count(repeat, x, name):
    with torch.profiler.profile() as profile:
        repeat(x)
    return sum(event.name == name for event in profile.events())


@torch.inference_mode()
def test_products_of_stacks_are_called_by_their_name():
    weights, x = torch.randn(5, 20, 30), torch.randn(5, 40, 20)
    repeat, _ = record(lambda w, x: [x @ w], weights, [x])
    torch.testing.assert_close(repeat(x)[0], x @ weights)
    assert _count(repeat, x, "aten::matmul") == 0
    assert _count(repeat, x, "aten::bmm") == 1


total = functools.partial(functools.reduce, operator.add)

STEPS = {
    "one after the other": lambda w, x: total(x[t].mT @ (x[t] @ w) for t in range(4)),
    "in pairs": lambda w, x: (x[0].mT @ x[0] + x[1].mT @ x[1]) + (x[2].mT @ x[2] + x[3].mT @ x[3]),
    "as views": lambda w, x: total((x[t].mT @ x[t]).view(5, 9, 9) for t in range(4)),
    "of several sizes": lambda w, x: x[0].mT @ x[0] + x[1, :, :2].mT @ x[1, :, :2],
    "with the weights": lambda w, x: w[:, :3].mT @ x[0] + x[1].mT @ w[:, 3:6],
}
OTHER_SUMS = {
    "a term used twice": lambda w, x: (y := x[0].mT @ x[0]) + x[1].mT @ x[1] - y,
    "a term added twice": lambda w, x: (y := x[0].mT @ x[0]) + y,
    "a term that is a result": lambda w, x: [y := x[0].mT @ x[0], y + x[1].mT @ x[1]],
    "a view of a term": lambda w, x: (y := x[0].mT @ x[0]) + x[1].mT @ x[1] + y.mT,
    "with a factor": lambda w, x: torch.add(x[0].mT @ x[0], x[1].mT @ x[1], alpha=2.0),
    "of other terms": lambda w, x: x[0].mT @ x[0] + w,
    "laid out in another way": lambda w, x: x[0].mT @ x[0] + (x[1].mT @ w[:, :3]).mT,
    "of small products": lambda w, x: x[0] @ x[1].mT + x[2] @ x[3].mT,
    "of a changed factor": lambda w, x: (y := x[0] * 2.0).mT @ x[1] + y.mul_(3.0).mT @ x[2],
    "expanded": lambda w, x: x[0].mT @ x[0] + x[1, :1].mT @ x[1],
    "in the shape of a term": lambda w, x: (x[0].mT @ x[0]).view_as(x[1].mT @ x[1]),
    "of empty factors": lambda w, x: x[0, :, :0].mT @ x[0, :, :0] + x[1].mT @ x[1],
    "one for all": lambda w, x: x[0, :1] @ w[:1].expand(5, 9, 9),
}


@pytest.mark.parametrize("mode", [torch.inference_mode, torch.no_grad])
@pytest.mark.parametrize("source", STEPS | OTHER_SUMS)
def test_sums_of_products_are_what_they_were(source, mode):
    function = (STEPS | OTHER_SUMS)[source]

    def listed(w, x):
        found = function(w, x)
        return found if isinstance(found, list) else [found]

    weights, x = torch.randn(5, 9, 9), torch.randn(4, 5, 3, 9)
    with mode():
        repeat, _ = record(listed, weights, [x])
        other = torch.randn_like(x)
        torch.testing.assert_close(repeat(other), listed(weights, other))


@pytest.mark.parametrize("source", STEPS)
def test_the_gradient_of_weights_of_many_time_steps_is_one_product(source):
    """The terms of the sum are as large as the weights, and take longer than the products."""
    weights, x = torch.randn(5, 9, 9), torch.randn(4, 5, 3, 9)
    repeat, _ = record(lambda w, x: [STEPS[source](w, x)], weights, [x])
    with torch.profiler.profile(record_shapes=True) as profile:
        repeat(x)
    events = profile.events()
    assert not any(event.name.startswith("aten::add") for event in events)
    assert sum(e.name == "aten::bmm" and e.input_shapes[0][1] == 9 for e in events) == 1


CONSTANT = torch.tensor([-1.0, 2.0, -3.0, 4.0])

SOURCES = {
    "used once": lambda w, x: (x * 2.0 + 1.0).relu() * 3.0,
    "the input": lambda w, x: x.relu(),
    "the weights": lambda w, x: w.relu() + x,
    "used later": lambda w, x: (y := x * 2.0) + 1.0 - y,
    "used later as a view": lambda w, x: (y := x * 2.0).relu() - y.flip(0) * y.t().sum(),
    "a view of it": lambda w, x: (x * 2.0).t().relu().t() + 1.0,
    "a part of it": lambda w, x: (x * 2.0)[:1] + x,
    "both operands": lambda w, x: (y := x * 2.0) + y,
    "the right operand": lambda w, x: x + (x * 2.0),
    "its own transpose": lambda w, x: (y := x * 2.0) + y.t(),
    "a constant in the input's shape": lambda w, x: CONSTANT.view_as(x).relu() + x,
    "returned too": lambda w, x: [y := x * 2.0, y.relu()],
    "a factor": lambda w, x: torch.add(x, x * 2.0, alpha=3.0),
    "a difference": lambda w, x: w - (x * 2.0),
    "expanded": lambda w, x: (x * 2.0).sum(0, keepdim=True).expand(2, 2) + x,
    "a chain": lambda w, x: torch.tanh(torch.sigmoid(-(x * w)) + w) / 2.0,
    "never changing": lambda w, x: torch.ones(2, 2).mul(2.0) + x,
    "of another type": lambda w, x: (x > 0) * x + (x * 2.0).double(),
}


@pytest.mark.parametrize("source", SOURCES)
def test_a_recorded_function_overwrites_only_what_nobody_needs(source):
    weights, function = torch.tensor([[1.0, -2.0], [3.0, 0.5]]), SOURCES[source]

    def listed(w, x):
        found = function(w, x)
        return found if isinstance(found, list) else [found]

    repeat, _ = record(listed, weights, [torch.ones(2, 2)])
    for _ in range(2):
        x = torch.randn(2, 2)
        before = [t.clone() for t in (x, weights, CONSTANT)]
        found = repeat(x)
        assert all(map(torch.equal, (x, weights, CONSTANT), before))
        assert all(map(torch.equal, found, listed(weights, x)))


def test_a_recorded_function_overwrites_operands():
    repeat, _ = record(lambda w, x: [(x * 2.0 + 1.0).relu()], torch.ones(2), [torch.ones(2)])
    with torch.profiler.profile() as profile:
        repeat(torch.ones(2))
    assert {"aten::add_", "aten::relu_"} <= {event.key for event in profile.key_averages()}
