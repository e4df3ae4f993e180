"""The short step on the CPU: the same numbers as the plain loop, whatever happens in between."""

from __future__ import annotations

import copy
import math
import pickle

import pytest
import torch

from alig_deepobs import AliG, L2Ball

SHAPES = ((200, 100), (200,), (3, 200), (), (2, 3, 4))


def make(dtype=torch.float64, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [
        torch.nn.Parameter(torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype))
        for shape in SHAPES
    ]


def fill(params, generator, factor=1.0):
    for p in params:
        noise = torch.randn(p.shape, generator=generator, dtype=torch.float64)
        p.grad = (noise * factor).to(p.dtype)


class Pair:
    """AliG as it is by default, and one parameter after the other, side by side."""

    def __init__(self, dtype=torch.float64, **options):
        self.dtype = dtype
        self.params = make(dtype), make(dtype)
        self.optimizers = [
            AliG(params, foreach=flag, **options)
            for params, flag in zip(self.params, (None, False), strict=True)
        ]
        self.generators = [torch.Generator().manual_seed(1) for _ in range(2)]

    @property
    def quick(self):
        return self.optimizers[0]._plan is not None

    def step(self, loss, factor=1.0, without=()):
        for params, optimizer, generator in zip(
            self.params, self.optimizers, self.generators, strict=True
        ):
            fill(params, generator, factor)
            for number in without:
                params[number].grad = None
            optimizer.step(loss=loss)

    def check(self):
        tight = 1e-11 if self.dtype == torch.float64 else 2e-5
        for ours, plain in zip(*self.params, strict=True):
            torch.testing.assert_close(ours, plain, rtol=tight, atol=tight)


@pytest.mark.parametrize("adjusted", [False, True])
@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.99])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_it_is_the_plain_loop(dtype, momentum, adjusted):
    pair = Pair(dtype, max_lr=0.1, momentum=momentum, adjusted_momentum=adjusted)
    for number in range(30):
        pair.step(loss=100.0 * 1.3 ** -(number % 17))
        pair.check()
    assert pair.quick


def test_steps_of_size_zero_and_steps_that_are_skipped_keep_the_momentum():
    pair = Pair(max_lr=0.1, momentum=0.9)
    for loss in (50.0, 0.0, -1.0, math.nan, 0.0, 30.0, math.inf, 20.0, *[0.0] * 60, 10.0, 10.0):
        pair.step(loss)
        pair.check()
    assert pair.quick


@pytest.mark.parametrize("losses", [(1e2, 1e-12, 1e2, 1e-300, 1.0), (1e-200, 1e3, 1e-30, 1e3)])
def test_step_sizes_of_very_different_magnitude(losses):
    pair = Pair(momentum=0.9)
    for loss in losses * 4:
        pair.step(loss)
        pair.check()
        assert all(torch.isfinite(p).all() for p in pair.params[0])


def test_parameters_without_a_gradient_stay_with_their_momentum():
    pair = Pair(max_lr=0.1, momentum=0.9)
    for without in ((), (), (1,), (1, 3), (), (0,), (), ()):
        pair.step(40.0, without=without)
        pair.check()
    assert pair.quick
    late = Pair(max_lr=0.1, momentum=0.9)
    for without in ((2,), (2,), (), (2,), ()):  # one joins later
        late.step(40.0, without=without)
        late.check()


def test_options_of_groups_may_change_at_any_time():
    pair = Pair(max_lr=0.1, momentum=0.9)
    changes = [{}, {"momentum": 0.5}, {"adjusted_momentum": True}, {"adjusted_momentum": False},
               {"lr": 0.01}, {"max_lr": 0.05}, {"momentum": 0.0}, {"momentum": 0.9}]  # fmt: skip
    for change in changes:
        for optimizer in pair.optimizers:
            optimizer.param_groups[0].update(change)
        for _ in range(2):
            pair.step(40.0)
            pair.check()


@pytest.mark.parametrize("flags", [{"foreach": True}, {"fused": False}, {"capturable": True}])
def test_another_way_goes_on_where_this_one_was(flags):
    pair = Pair(max_lr=0.1, momentum=0.9)
    for before in (True, False, True):
        for _ in range(3):
            pair.step(torch.tensor(40.0, dtype=torch.float64))
            pair.check()
        normal = {"foreach": None, "fused": None, "capturable": False}
        pair.optimizers[0].param_groups[0].update(normal | (flags if before else {}))


def test_two_groups_have_one_step_size_and_each_its_cap_and_scale():
    both = []
    for flag in (None, False):
        params, generator = make(), torch.Generator().manual_seed(3)
        groups = [
            {"params": params[:2], "max_lr": 0.01},
            {"params": params[2:], "max_lr": 1.0, "momentum": 0.5},
        ]
        optimizer = AliG(groups, momentum=0.9, foreach=flag)
        for loss in (1.0, 400.0, 3.0, 0.0, 20.0):
            fill(params, generator)
            optimizer.step(loss=loss)
        both.append(params)
    for ours, plain in zip(*both, strict=True):
        torch.testing.assert_close(ours, plain, rtol=1e-11, atol=1e-11)


def test_the_state_says_what_the_buffer_holds_and_older_states_load():
    pair = Pair(max_lr=0.1, momentum=0.9)
    for loss in (40.0, 3.0, 0.0, 7.0):
        pair.step(loss)
    state, plain = (copy.deepcopy(optimizer.state_dict()) for optimizer in pair.optimizers)
    scale = state["param_groups"][0]["velocity_scale"]
    assert scale != 1.0
    for number, entry in plain["state"].items():
        torch.testing.assert_close(
            scale * state["state"][number]["momentum_buffer"], entry["momentum_buffer"]
        )
    del plain["param_groups"][0]["velocity_scale"]  # as states were before there was a scale
    pair.optimizers[0].load_state_dict(plain)
    for loss in (40.0, 3.0):
        pair.step(loss)
        pair.check()


def test_parameters_that_change_their_kind_are_noticed():
    pair = Pair(torch.float32, max_lr=0.1, momentum=0.9)
    pair.step(40.0)
    for params in pair.params:  # another layout in memory
        params[0].data = params[0].data.t().contiguous().t()
    pair.step(40.0)
    pair.check()
    for params in pair.params:
        for p in params:
            p.grad = None
            p.data = p.data.double()
    pair.step(40.0)
    pair.check()


@pytest.mark.parametrize("shape", [(1, 6), (5, 6), (6, 10), (6,), (60,), (20, 6)])
def test_weights_may_be_exchanged_for_others(shape):
    both = []
    for flag in (None, False):
        params = [torch.nn.Parameter(torch.ones(size)) for size in ((10, 6), (10,))]
        optimizer, generator = AliG(params, foreach=flag), torch.Generator().manual_seed(4)
        for step in range(4):
            if step == 2:
                params[0].grad = None
                params[0].data = torch.ones(shape)
            fill(params, generator)
            optimizer.step(loss=10.0)
        both.append((params, optimizer.step_size))
    (ours, size), (plain, expected) = both
    assert size == pytest.approx(expected)
    torch.testing.assert_close(ours, plain)


@pytest.mark.parametrize("flag", [None, False])
@pytest.mark.parametrize("shapes", [((5,), (10,)), ((4_000_000,), (10,)), ((10,), (4,))])
def test_a_momentum_of_another_shape_is_an_error_before_anything_moves(flag, shapes):
    params = [torch.nn.Parameter(torch.ones(size)) for size in ((4,), (10,))]
    optimizer, generator = (
        AliG(params, momentum=0.9, foreach=flag),
        torch.Generator().manual_seed(4),
    )
    fill(params, generator)
    optimizer.step(loss=10.0)
    for p, shape in zip(params, shapes, strict=True):
        p.grad = None
        p.data = torch.ones(shape)
    fill(params, generator)
    with pytest.raises(RuntimeError, match=r"data was exchanged. Delete its state"):
        optimizer.step(loss=10.0)
    assert all(bool((p == 1.0).all()) for p in params)


@pytest.mark.parametrize("flag", [None, False])
def test_weights_exchanged_after_the_backward_pass_are_an_error(flag):
    p = torch.nn.Parameter(torch.ones(4))
    optimizer = AliG([p], foreach=flag)
    for _ in range(2):
        p.grad = torch.ones(4)
        optimizer.step(loss=1.0)
    p.data = torch.ones(4_000_000)
    with pytest.raises(RuntimeError, match="size"):
        optimizer.step(loss=1.0)


@pytest.mark.parametrize("change", ["deleted", "emptied", "zeroed"])
def test_the_momentum_of_one_layer_may_be_reset(change):
    pair = Pair(max_lr=0.1, momentum=0.9)
    for _ in range(3):
        pair.step(40.0)
    for params, optimizer in zip(pair.params, pair.optimizers, strict=True):
        p = params[1]
        if change == "deleted":
            del optimizer.state[p]
        elif change == "emptied":
            optimizer.state[p].clear()
        else:
            optimizer.state[p]["momentum_buffer"] = torch.zeros_like(p)
    for _ in range(2):
        pair.step(40.0)
        pair.check()
    assert pair.optimizers[0].state[pair.params[0][1]]["momentum_buffer"].any()


def test_another_default_device_changes_nothing():
    p = torch.nn.Parameter(torch.ones(3))
    p.grad = torch.ones(3)
    with torch.device("meta"):
        optimizer = AliG([p], momentum=0.9)
        optimizer.step(loss=3.0)
    assert optimizer.step_size == pytest.approx(1.0, rel=1e-4)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_a_copy_goes_on_from_a_state(copied):
    optimizer = AliG(make(), max_lr=0.1)
    other = copied(optimizer)
    other.load_state_dict(other.state_dict())
    other.load_state_dict(optimizer.state_dict())
    optimizer.load_state_dict(other.state_dict())


def test_a_sparse_gradient_is_noticed_in_the_middle_of_training():
    table = torch.nn.Embedding(6, 3)
    optimizer = AliG(table.parameters())
    for sparse in (False, True):
        table.sparse = sparse
        optimizer.zero_grad()
        loss = table(torch.tensor([1, 2])).square().sum()
        loss.backward()
        if not sparse:
            optimizer.step(loss=loss)
    with pytest.raises(RuntimeError, match="sparse"):
        optimizer.step(loss=loss)


def test_hooks_and_the_profiler_are_served():
    (params, _), seen = Pair().params, []
    optimizer = AliG(params, max_lr=0.1, projection_fn=L2Ball(params, 1e6))
    fill(params, torch.Generator().manual_seed(0))
    optimizer.step(loss=1.0)
    handles = [
        optimizer.register_step_pre_hook(lambda *_: seen.append("before")),
        optimizer.register_step_post_hook(lambda *_: seen.append("after")),
    ]
    optimizer.step(loss=1.0)
    for handle in handles:
        handle.remove()
    optimizer.step(loss=1.0)
    assert seen == ["before", "after"]
    with torch.profiler.profile() as profile:
        optimizer.step(loss=1.0)
    assert "Optimizer.step#AliG.step" in {event.key for event in profile.key_averages()}


def test_no_temporary_as_large_as_the_model():
    params = [torch.nn.Parameter(torch.randn(512, 512)) for _ in range(4)]
    fill(params, torch.Generator().manual_seed(0))
    optimizer = AliG(params, max_lr=0.1, momentum=0.9)
    optimizer.step(loss=1.0)
    with torch.profiler.profile(profile_memory=True) as profile:
        optimizer.step(loss=1.0)
    made = sum(max(0, event.self_cpu_memory_usage) for event in profile.key_averages())
    assert made < params[0].numel()  # bytes
    assert sum(len(entry) for entry in optimizer.state.values()) == len(params)
