"""Single facts of the optimizers that no vector, equality or invariance shows."""

from __future__ import annotations

import math

import pytest
import torch
import torch.distributed as dist

from alig_deepobs import AliG, reduce_loss
from alig_deepobs.optimizers._norm import (
    by_type,
    global_squared_norm,
    host_inner_product,
    host_squared_norm,
    inner_product,
    locals_of,
)
from alig_deepobs.optimizers._scalars import at_least, at_most, choose, quotient
from alig_deepobs.optimizers._step_size import clip_factor, device_step
from alig_deepobs.optimizers.l4 import L4Mom
from alig_deepobs.optimizers.sls import SLS
from alig_deepobs.optimizers.sps import SPS

# --- ALI-G -----------------------------------------------------------------------------------


@pytest.mark.parametrize("f_min", [-2.0, 0.0, 1.0, 3.0])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_f_min_counts_where_the_host_reads_nothing(problem_q, f_min, momentum):
    """The arithmetic of an accelerator, which ``capturable`` selects on the CPU too."""
    ends = []
    for capturable in (False, True):
        problem = problem_q()
        optimizer = AliG(problem.parameters, momentum=momentum, f_min=f_min, capturable=capturable)
        for _ in range(3):
            optimizer.step(loss=problem.backward())
        guarded = optimizer.guarded_steps
        ends.append([*problem.weights.tolist(), optimizer.step_size, *guarded.values()])
        assert (guarded["below_f_min"] == 3) == (f_min == 3.0)
    assert ends[1] == pytest.approx(ends[0], rel=1e-12)
    assert optimizer.step_size == pytest.approx(optimizer.step_size_unclipped)


# --- Losses ----------------------------------------------------------------------------------


def test_the_loss_is_averaged_over_the_group_that_is_given(monkeypatch):
    """Each rank holds its number as loss; a group is the list of its ranks."""
    ranks = [0, 1, 2, 3]

    def all_reduce(tensor, group=None):
        tensor.fill_(float(sum(group or ranks)))

    monkeypatch.setattr(dist, "is_initialized", lambda: True)
    monkeypatch.setattr(dist, "all_reduce", all_reduce)
    monkeypatch.setattr(dist, "get_world_size", lambda group=None: len(group or ranks))
    loss = torch.tensor(3.0, requires_grad=True)
    assert float(reduce_loss(loss)) == 1.5
    assert float(reduce_loss(loss, [1, 3])) == 2.0
    assert float(reduce_loss(loss, group=[3])) == 3.0
    assert not reduce_loss(loss).requires_grad
    assert float(loss.detach()) == 3.0


# --- SLS -------------------------------------------------------------------------------------


def flat(**options):
    """Steps on a parabola so flat that every step size is accepted: the first sizes tried."""
    w = torch.tensor([1.0], dtype=torch.float64, requires_grad=True)
    optimizer = SLS([w], n_batches_per_epoch=1, **options)

    def closure(backward=True):
        loss = 1e-4 * w.square().sum()
        if backward:
            optimizer.zero_grad()
            loss.backward()
        return loss

    sizes = []
    for _ in range(4):
        optimizer.step(closure)
        sizes.append(optimizer.last_step_sizes)
    return sizes


def test_sls_tries_no_step_above_its_bound():
    assert flat(init_step_size=1.0, eta_max=5.0) == [(2.0,) * 2, (4.0,) * 2, (5.0,) * 2, (5.0,) * 2]
    assert flat(init_step_size=50.0) == [(10.0, 10.0)] * 4
    assert flat(init_step_size=1.0, gamma=1.5, eta_max=math.inf)[-1] == (1.5**4,) * 2


def test_sls_accepts_what_decreases_the_loss_just_enough():
    """With c = 1/2 the step to the minimum of a parabola meets Armijo's condition with equality."""
    w = torch.tensor([3.0], requires_grad=True)
    optimizer = SLS([w], n_batches_per_epoch=1, init_step_size=1.0, gamma=1.0, c=0.5)

    def closure(backward=True):
        loss = 0.5 * w.square().sum()
        if backward:
            optimizer.zero_grad()
            loss.backward()
        return loss

    optimizer.step(closure)
    assert (optimizer.step_size, w.item()) == (1.0, 0.0)


@pytest.mark.parametrize("name", ["eps", "weight_decay"])
def test_l4_names_what_it_refuses(name):
    with pytest.raises(ValueError, match=f"^{name} must be"):
        L4Mom([torch.ones(1, requires_grad=True)], **{name: -1.0})


def test_sps_has_no_step_size_where_there_is_no_gradient():
    w = torch.tensor([1.0], requires_grad=True)
    w.grad = torch.zeros_like(w)
    optimizer = SPS([w])
    optimizer.step(loss=3.0)
    assert optimizer.last_step_sizes == (0.0, 0.0)


# --- Caps and clipping, with numbers of the host and with tensors --------------------------------


def ends_of(problem_q, steps=4, cap=None, capturable=False, **options):
    problem = problem_q()
    optimizer = AliG(problem.parameters, capturable=capturable, **options)
    if cap is not None:
        optimizer.param_groups[0]["lr"] = cap
    sizes = []
    for _ in range(steps):
        optimizer.step(loss=problem.backward())
        sizes.append(optimizer.step_size)
    return problem.weights.tolist(), sizes


@pytest.mark.parametrize("capturable", [False, True])
@pytest.mark.parametrize("cap", [0.05, 0.2, math.inf])
def test_a_cap_may_be_a_tensor_of_another_type(problem_q, cap, capturable):
    """Also where the host reads nothing; a schedule changes it in place."""
    number = ends_of(problem_q, max_lr=cap)
    tensor = torch.tensor(cap, dtype=torch.float32)
    weights, sizes = ends_of(problem_q, cap=tensor, capturable=capturable)
    assert weights == pytest.approx(number[0], rel=1e-6)
    assert sizes == pytest.approx(number[1], rel=1e-6)
    assert max(sizes) <= cap * (1 + 1e-6)


def test_a_cap_below_0_is_no_ascent_where_nobody_reads_it():
    """On the CPU it is refused; a tensor of an accelerator is not looked at."""
    step = device_step(torch.tensor(3.0), torch.tensor(17.25), 0.0, 0.0)
    assert float(step.clipped(torch.tensor(-1.0))) == 0.0
    assert float(step.clipped(torch.tensor(0.1, dtype=torch.float64))) == pytest.approx(0.1)
    assert float(step.clipped(0.1)) == pytest.approx(0.1)


@pytest.mark.parametrize("capturable", [False, True])
@pytest.mark.parametrize("clip_norm", [0.5, 2.0, 1e6])
def test_the_gradient_is_clipped_and_the_step_size_is_that_of_the_whole_one(
    problem_q, capturable, clip_norm
):
    """By hand: gamma = min(f / |g|^2, cap), and then g is scaled down to the norm."""
    curvatures = torch.tensor([1.0, 4.0, 0.25], dtype=torch.float64)
    w = problem_q().weights
    sizes = []
    for _ in range(4):
        g = curvatures * w
        sizes.append(min(0.5 * float(w @ g) / float(g @ g), 0.3))
        w = w - sizes[-1] * min(1.0, clip_norm / float(g.norm())) * g
    weights, found = ends_of(
        problem_q, max_lr=0.3, eps=0.0, clip_norm=clip_norm, capturable=capturable
    )
    assert weights == pytest.approx(w.tolist(), rel=1e-12)
    assert found == pytest.approx(sizes, rel=1e-12)


@pytest.mark.parametrize("capturable", [False, True])
def test_clipping_a_gradient_of_zero(problem_p, capturable):
    problem = problem_p()
    optimizer = AliG(problem.parameters, clip_norm=1.0, momentum=0.9, capturable=capturable)
    problem.set_gradients([0.0, 0.0], [0.0])
    optimizer.step(loss=torch.tensor(1.0, dtype=torch.float64))
    assert problem.weights.tolist() == problem_p().weights.tolist()


def test_the_step_size_of_a_device_is_not_read():
    """Tensors of the meta device have no value, and raise where one is asked for."""
    number = torch.empty((), device="meta")
    step = device_step(number, number, eps=1e-5, f_min=0.5)
    for found in (step.clipped(0.1), step.clipped(number), clip_factor(number, 1.0)):
        assert found.device == number.device


# --- Arithmetic on numbers and on 0-d tensors ----------------------------------------------------

NAN, INF = math.nan, math.inf


@pytest.mark.parametrize("kinds", ["ff", "ft", "tf", "tt"])
@pytest.mark.parametrize(
    ("numerator", "denominator", "expected"),
    [
        (3.0, 2.0, 1.5), (-3.0, 2.0, -1.5), (3.0, 0.0, 0.0), (0.0, 0.0, 0.0), (3.0, 1e-320, 0.0),
        (-3.0, 1e-320, 0.0), (NAN, 2.0, NAN), (3.0, NAN, NAN), (INF, 2.0, INF), (NAN, 0.0, 0.0),
    ],
)  # fmt: skip
def test_quotients(kinds, numerator, denominator, expected):
    values = [
        x if kind == "f" else torch.tensor(x, dtype=torch.float64)
        for kind, x in zip(kinds, (numerator, denominator), strict=True)
    ]
    if kinds == "ff" and denominator == 0:
        assert quotient(*values) == 0.0
        return
    assert float(quotient(*values)) == pytest.approx(expected, nan_ok=True)
    assert isinstance(quotient(*values), torch.Tensor) == ("t" in kinds)


@pytest.mark.parametrize("kinds", ["ff", "ft", "tf", "tt"])
@pytest.mark.parametrize("types", [(torch.float32, torch.float64), (torch.float64, torch.float32)])
@pytest.mark.parametrize(("x", "bound"), [(1.0, 2.0), (2.0, 1.0), (-1.0, -1.0), (NAN, 1.0)])
def test_bounds(kinds, types, x, bound):
    """Of two types, that of the bound counts; nan goes through."""
    values = [
        v if kind == "f" else torch.tensor(v, dtype=dtype)
        for kind, v, dtype in zip(kinds, (x, bound), types, strict=True)
    ]
    for function, expected in ((at_most, min(x, bound)), (at_least, max(x, bound))):
        found = function(*values)
        assert float(found) == pytest.approx(NAN if math.isnan(x) else expected, nan_ok=True)
        if kinds[1] == "t":
            assert found.dtype == types[1]


def test_choice():
    assert (choose(True, 1.0, 2.0), choose(False, 1.0, 2.0)) == (1.0, 2.0)
    both = torch.tensor([True, False])
    assert choose(both, torch.tensor(1.0), 2.0).tolist() == [1.0, 2.0]


# --- Norms and products over tensors of several types -------------------------------------------

F64, F32, F16, BF16 = torch.float64, torch.float32, torch.float16, torch.bfloat16


@pytest.mark.parametrize(
    "types", [[F64], [F32, F32], [F32, F64], [F16, F32], [BF16, F16], [F16, F64, F32, F64]]
)
def test_norms_over_types(types):
    """300^2 is more than float16 holds; the sum is of the widest type, float32 at least."""
    tensors = [torch.tensor([300.0 + i, -4.0], dtype=dtype) for i, dtype in enumerate(types)]
    exact = [tensor.double() for tensor in tensors]
    expected = sum(float(t @ t) for t in exact)
    on_device = global_squared_norm(tensors)
    assert on_device.dtype == (F64 if F64 in types else F32)
    assert on_device.shape == ()
    assert float(on_device) == pytest.approx(expected, rel=1e-6)
    assert host_squared_norm(tensors) == pytest.approx(expected, rel=1e-6)
    groups = by_type(tensors)
    assert [{t.dtype for t in group} for group in groups] == [{d} for d in dict.fromkeys(types)]
    assert sum(map(len, groups)) == len(types)


@pytest.mark.parametrize("types", [[F64], [F32, F32], [F32, F64], [F64, F32]])
def test_products_over_types(types):
    xs = [torch.tensor([1.5, -2.0, float(i)], dtype=dtype) for i, dtype in enumerate(types)]
    ys = [torch.tensor([4.0, 0.5, 2.0], dtype=dtype) for dtype in types]
    expected = sum(5.0 + 2.0 * i for i in range(len(types)))
    assert float(inner_product(xs, ys)) == host_inner_product(xs, ys) == expected
    assert inner_product(xs, ys).dtype == (F64 if F64 in types else F32)


@pytest.mark.parametrize("shapes", [[3], [3] * 40, [20_000, 3]], ids=["small", "many", "large"])
def test_squares_that_float32_cannot_hold(shapes):
    """The norm of finite gradients is finite, however many and large the tensors are."""
    tensors = [torch.full((size,), 2e19) for size in shapes]
    assert host_squared_norm(tensors) == pytest.approx(4e38 * sum(shapes), rel=1e-5)


@pytest.mark.parametrize("value", [300.0, 1e-6])
def test_products_of_halves_neither_overflow_nor_vanish(value):
    half = torch.full((2,), value, dtype=F16)
    expected = 4 * half[0].item() ** 2
    assert float(inner_product([half] * 2, [half] * 2)) == pytest.approx(expected, rel=1e-6)


class Sharded(torch.Tensor):
    """What DTensor is to a rank: here its part, somewhere the whole (here: twice as large)."""

    def to_local(self):
        return self.as_subclass(torch.Tensor)

    def full_tensor(self):
        return 2 * self.to_local()


def test_norms_and_products_are_those_of_the_whole_of_sharded_tensors():
    plain = torch.tensor([3.0, 4.0])
    part = plain.as_subclass(Sharded)
    assert host_squared_norm([part]) == float(global_squared_norm([part])) == 100.0
    assert host_squared_norm([plain, part]) == float(global_squared_norm([part, plain])) == 125.0
    assert host_inner_product([part, plain], [plain, plain]) == 75.0
    for found in (*locals_of([part, plain]), global_squared_norm([part])):
        assert type(found) is torch.Tensor
    assert locals_of([part, plain])[0].tolist() == [3.0, 4.0]


def test_one_kernel_handles_one_device_one_type_and_one_class():
    w, plain = torch.nn.Parameter(torch.ones(2)), torch.ones(2)
    assert [len(group) for group in by_type([w, plain])] == [2]
    for other in (torch.ones(2, device="meta"), plain.double(), plain.as_subclass(Sharded)):
        groups = by_type([plain, other, plain])
        assert [[id(t) for t in group] for group in groups] == [[id(plain)] * 2, [id(other)]]


def test_norms_and_products_are_on_the_first_device():
    plain, other = torch.ones(2), torch.ones(2, device="meta")
    assert global_squared_norm([other, plain]).device == other.device
    assert inner_product([other, plain], [other, plain]).device == other.device


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_weights_of_several_types_are_updated_together(problem_q, momentum):
    exact, mixed = problem_q(), problem_q()
    mixed.b = mixed.b.detach().float().requires_grad_()
    ends = []
    for problem in (exact, mixed):
        optimizer = AliG(problem.parameters, max_lr=0.3, momentum=momentum)
        for _ in range(5):
            optimizer.step(loss=problem.backward())
        ends.append(problem.weights.tolist())
    assert ends[1] == pytest.approx(ends[0], rel=1e-5)
