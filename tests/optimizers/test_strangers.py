"""Every optimizer in the hands of people who take it for any other one, kind by kind."""

from __future__ import annotations

import copy
import math
import re
import warnings
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed as dist
from optimizer_cases import CASES, OWN, Case, Convex, named
from torch import Tensor, nn
from torch.distributed.checkpoint import state_dict as dcp
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import Shard, distribute_tensor
from torch.optim import lr_scheduler

from alig_deepobs import AliG, HealthWarning, LossMeter, attach_loss, reduce_loss, registry
from alig_deepobs.errors import UsageError
from alig_deepobs.optimizers._sentences import no_weight_decay
from alig_deepobs.registry import NeedsLoss
from alig_deepobs.run import Outcome, RunSpec
from alig_deepobs.runners import execute

BY_LOSS = [case for case in OWN if case.entry.needs_loss is not NeedsLoss.NOTHING]
BY_VALUE = [case for case in OWN if case.entry.needs_loss is NeedsLoss.VALUE]
WITH_RATE = [case for case in OWN if "lr" in case.build([torch.ones(1)]).param_groups[0]]
WITHOUT_RATE = [case for case in OWN if case not in WITH_RATE]
WITHOUT_DECAY = [
    case
    for case in BY_LOSS
    if "weight_decay" not in case.build([torch.ones(1)]).param_groups[0]
]  # fmt: skip
pytestmark = pytest.mark.filterwarnings("ignore::alig_deepobs.HealthWarning")


def arguments(case: Case, loss: Tensor | float) -> dict[str, Any]:
    """What ``step`` gets, where the gradients are in place."""
    if case.entry.needs_loss is NeedsLoss.VALUE:
        return {"loss": loss}
    if case.entry.needs_loss is NeedsLoss.PER_EXAMPLE:
        return {"losses": torch.as_tensor(loss).reshape(1), "indices": torch.tensor([0])}
    return {"closure": lambda: loss} if case.entry.needs_loss is NeedsLoss.CLOSURE else {}


# --- A step without a loss -----------------------------------------------------------------------


@named(OWN)
@pytest.mark.parametrize("given", ["nothing", "a closure that returns nothing"])
def test_without_gradient_and_loss_there_is_no_step(case, given):
    """Lightning's training_step may return None, to skip a batch."""
    problem, plain = Convex(), Convex()
    optimizer = case.build(problem.parameters)
    assert optimizer.step(*([] if given == "nothing" else [lambda: None])) is None
    assert torch.equal(problem.weights, plain.weights)
    trained = problem.steps(optimizer, case, 5)
    assert torch.equal(trained, plain.steps(case.build(plain.parameters), case, 5))


@named(WITH_RATE)
def test_with_rates_of_0_a_step_needs_no_loss(case):
    problem = Convex()
    optimizer = case.build(problem.parameters)
    problem.loss().backward()
    optimizer.param_groups[0]["lr"] = 0.0
    before = problem.weights
    optimizer.step(closure=None)
    assert torch.equal(problem.weights, before)


@named(BY_LOSS)
def test_a_missing_loss_stays_an_error(case):
    problem = Convex()
    optimizer = case.build([{"params": [problem.a]}, {"params": [problem.b]}])
    problem.loss().backward()
    if "lr" in optimizer.param_groups[0]:
        optimizer.param_groups[0]["lr"] = 0.0  # the other group would move
    before = problem.weights
    with pytest.raises(TypeError, match=case.entry.load().__name__):
        optimizer.step()
    assert torch.equal(problem.weights, before)


class Model(nn.Module):
    def __init__(self, problem: Convex) -> None:
        super().__init__()
        self.a, self.b = nn.Parameter(problem.a), nn.Parameter(problem.b)
        problem.a, problem.b = self.a, self.b


@named(OWN)
@pytest.mark.parametrize("flat", [False, True], ids=["nested", "flat"])
def test_distributed_checkpoints(case, flat):
    """Asking for the state before the first step changes nothing; loading it goes on bit by bit."""
    options = dcp.StateDictOptions(flatten_optimizer_state_dict=flat)
    problem, resumed, plain = Convex(), Convex(), Convex()
    model, second = Model(problem), Model(resumed)
    optimizer = case.build(model.parameters())
    dcp.get_optimizer_state_dict(model, optimizer, options=options)
    trained = problem.steps(optimizer, case, 3)
    assert torch.equal(trained, plain.steps(case.build(plain.parameters), case, 3))

    optimizer.zero_grad()
    rates = [group.get("lr") for group in optimizer.param_groups]
    state = dcp.get_optimizer_state_dict(model, optimizer, options=options)
    assert [group.get("lr") for group in optimizer.param_groups] == rates
    second.load_state_dict(copy.deepcopy(model.state_dict()))
    other = case.build(second.parameters())
    dcp.set_optimizer_state_dict(second, other, copy.deepcopy(state), options=options)
    assert torch.equal(resumed.steps(other, case, 3), problem.steps(optimizer, case, 3))


@named(BY_VALUE)
def test_distributed_checkpoints_with_an_attached_meter(case):
    problem, plain = Convex(), Convex()
    model = Model(problem)
    optimizer = case.build(model.parameters())
    handle = attach_loss(optimizer, LossMeter())
    dcp.get_optimizer_state_dict(model, optimizer)
    handle.remove()
    trained = problem.steps(optimizer, case, 3)
    assert torch.equal(trained, plain.steps(case.build(plain.parameters), case, 3))


@named(BY_VALUE)
def test_an_empty_meter_leaves_the_question_to_the_optimizer(case):
    problem = Convex()
    optimizer = case.build(problem.parameters)
    attach_loss(optimizer, LossMeter())
    assert optimizer.step() is None  # without gradient there is nothing to do
    problem.loss().backward()
    with pytest.raises(TypeError, match=r"attach_loss\(optimizer, meter\)"):
        optimizer.step()


@named(OWN)
def test_cleared_gradients_and_no_loss_are_no_step(case):
    """``zero_grad(set_to_none=False)`` leaves gradients of 0."""
    problem = Convex()
    optimizer = case.build(problem.parameters)
    problem.loss().backward()
    optimizer.zero_grad(set_to_none=False)
    before = problem.weights
    optimizer.step()
    assert torch.equal(problem.weights, before)


# --- A step that happens differently than assumed ------------------------------------------------


def test_an_unused_last_parameter_does_not_hide_a_skipped_step():
    used, unused = (nn.Parameter(torch.tensor([2.0])) for _ in range(2))
    optimizer, meter = AliG([used, unused]), LossMeter()
    attach_loss(optimizer, meter)
    for factor in (1000.0, 1.0):  # the first step is skipped, as by a GradScaler
        optimizer.zero_grad()
        loss = factor * used.square().sum()
        loss.backward()
        meter.add(loss)
    assert meter.mean() == 4.0


def test_a_loss_that_is_divided_in_place_was_added_whole():
    meter = LossMeter()
    loss = torch.tensor([8.0], requires_grad=True).sum()
    meter.add(loss)
    loss /= 4
    assert meter.mean() == 8.0


def test_the_meter_takes_what_step_takes():
    meter = LossMeter()
    for loss in (np.float16(60000.0), np.array([60000.0], np.float16), torch.tensor([6e4])):
        meter.add(loss)
    mean = meter.mean()
    assert isinstance(mean, Tensor)
    assert (mean.shape, mean.item()) == ((), 60000.0)
    with pytest.raises(ValueError, match="one number, not a tensor of shape"):
        meter.add(torch.ones(2))


def test_a_number_cannot_be_reduced():
    with pytest.raises(TypeError, match="reduce_loss needs the loss as a tensor, not as float"):
        reduce_loss(1.0)


def test_clip_norm_belongs_to_the_state(problem_q):
    """It counts where it is written in the group, or loaded."""
    problems = [problem_q() for _ in range(3)]
    clipped = AliG(problems[0].parameters, clip_norm=0.1)
    loaded, changed = (AliG(problem.parameters) for problem in problems[1:])
    loaded.load_state_dict(clipped.state_dict())
    changed.param_groups[0]["clip_norm"] = 0.1
    ends = []
    for problem, optimizer in zip(problems, (clipped, loaded, changed), strict=True):
        problem.backward()
        optimizer.step(loss=1.0)
        ends.append(torch.cat([p.detach().flatten() for p in problem.parameters]))
    assert torch.equal(ends[0], ends[1])
    assert torch.equal(ends[0], ends[2])


@named(OWN)
def test_sharded_and_ordinary_parameters_together(case, tmp_path):
    problem, plain = Convex(), Convex()
    expected = plain.steps(case.build(plain.parameters), case, 3)
    dist.init_process_group("gloo", init_method=f"file:{tmp_path}/ranks", rank=0, world_size=1)
    try:
        mesh = init_device_mesh("cpu", (1,))
        whole = problem.a
        problem.a = distribute_tensor(whole.detach(), mesh, [Shard(0)]).requires_grad_()
        ordinary = problem.loss

        def loss() -> Tensor:
            shards = problem.a
            problem.a = shards.full_tensor()
            try:
                return ordinary()
            finally:
                problem.a = shards

        problem.loss = loss
        optimizer = case.build(problem.parameters)
        for _ in range(3):
            problem.step(optimizer, case)
        found = torch.cat([problem.a.full_tensor(), problem.b, problem.idle]).detach()
    finally:
        dist.destroy_process_group()
    torch.testing.assert_close(found, expected)


@named(BY_LOSS)
def test_clipped_gradients_are_noticed_once(case, recwarn):
    weights = [torch.ones(3, requires_grad=True), torch.ones(2, requires_grad=True)]
    optimizer = case.build(weights)
    generator = torch.Generator().manual_seed(0)
    warnings.simplefilter("always")
    for _ in range(60):
        for p in weights:
            p.grad = torch.randn(p.shape, generator=generator)
        nn.utils.clip_grad_norm_(weights, 0.5)
        optimizer.step(**arguments(case, torch.tensor(0.1)))
    said = [str(w.message) for w in recwarn if "clipped before the step" in str(w.message)]
    assert len(said) == 1
    assert said[0].startswith(case.entry.load().__name__)
    assert optimizer.health().same_norm >= 20


@named(BY_LOSS)
def test_whole_gradients_are_not_taken_for_clipped_ones(case, recwarn):
    warnings.simplefilter("always")
    task = Convex()
    task.steps(case.build(task.parameters), case, 60)
    assert not [w for w in recwarn if "clipped before" in str(w.message)]


@pytest.mark.parametrize("momentum", [{}, {"momentum": 0.9}, {"momentum": 0.9, "adjusted": True}])
def test_clip_norm_takes_the_step_size_of_the_whole_gradient(make_fast, problem_q, momentum):
    """gamma from |g| = sqrt(17.25), the update from g of norm 1: by hand, and by a plain loop."""
    options = {("adjusted_momentum" if k == "adjusted" else k): v for k, v in momentum.items()}
    problem, mu = problem_q(), momentum.get("momentum", 0.0)
    optimizer = make_fast(problem.parameters, max_lr=0.5, clip_norm=1.0, **options)
    w, v = problem.weights, torch.zeros(3, dtype=torch.float64)
    for _ in range(5):
        loss = problem.backward()
        g = torch.cat([p.grad for p in problem.parameters])
        gamma = min(float(loss) / (float(g @ g) + 1e-5), 0.5)
        clipped = g * min(1.0, 1 / float(g.norm()))
        if "adjusted" in momentum:
            v = mu * v - clipped
            w = w + gamma * (mu * v - clipped)
        else:
            v = mu * v - gamma * clipped
            w = w - gamma * clipped + mu * v
        optimizer.step(loss=loss)
        assert optimizer.step_size == pytest.approx(gamma, rel=1e-12)
        torch.testing.assert_close(problem.weights, w, rtol=1e-12, atol=1e-13)
        w = problem.weights
    assert torch.equal(problem.a.grad, g[:2])  # gradients stay as they were


def test_clip_norm_on_the_device(problem_q):
    weights = []
    for capturable in (False, True):
        problem = problem_q()
        optimizer = AliG(problem.parameters, 0.5, 0.9, clip_norm=1.0, capturable=capturable)
        for _ in range(5):
            optimizer.step(loss=problem.backward())
        weights.append(problem.weights)
    torch.testing.assert_close(*weights, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("clip_norm", [0.0, -1.0, math.nan])
def test_clip_norm_is_checked(clip_norm):
    with pytest.raises(ValueError, match="clip_norm must be positive"):
        AliG([torch.ones(1)], clip_norm=clip_norm)


@named(WITH_RATE)
def test_a_negative_rate_is_refused(case):
    problem = Convex()
    optimizer = case.build(problem.parameters)
    scheduler = lr_scheduler.LambdaLR(optimizer, lambda step: 1.0 - 2 * step)
    problem.step(optimizer, case)
    scheduler.step()
    before = problem.weights
    with pytest.raises(ValueError, match=rf"{case.entry.load().__name__}: .* became -"):
        problem.step(optimizer, case)
    assert torch.equal(problem.weights, before)


@named(WITH_RATE)
def test_a_schedule_without_a_cap_is_said_once(case, recwarn):
    problem = Convex()
    optimizer = case.build(problem.parameters)
    if case not in BY_LOSS or case.name == "bpgrad":
        return  # their rate cannot be infinite
    optimizer.param_groups[0]["lr"] = math.inf
    scheduler = lr_scheduler.StepLR(optimizer, 1)
    warnings.simplefilter("always")
    for _ in range(3):
        if case.name not in ("dfw", "alig_plus"):  # inf * 0 there
            problem.step(optimizer, case)
        else:
            optimizer._check_schedule(optimizer._watch())
        scheduler.step()
    assert len([w for w in recwarn if "a scheduler has nothing to change" in str(w.message)]) == 1


@named([c for c in BY_LOSS if {"momentum", "betas"} & set(c.build([torch.ones(1)]).defaults)])
def test_cycled_momentum_is_said_once(case, recwarn):
    problem = Convex()
    optimizer = case.build(problem.parameters)
    if "lr" not in optimizer.param_groups[0]:
        return
    scheduler = lr_scheduler.OneCycleLR(optimizer, max_lr=1e-3, total_steps=10)
    warnings.simplefilter("always")
    for _ in range(5):
        problem.step(optimizer, case)
        scheduler.step()
    said = [str(w.message) for w in recwarn if "cycle_momentum=False" in str(w.message)]
    assert len(said) == 1


# --- Values that are not float32, real, positive -------------------------------------------------


@named(BY_VALUE)
def test_a_negative_loss_is_no_reason_to_climb(case):
    problem = Convex()
    optimizer = case.build(problem.parameters)
    problem.loss().backward()
    before = problem.weights
    gradient = torch.cat([p.grad for p in problem.parameters])
    optimizer.step(loss=-3.0)
    assert float((problem.weights - before)[:3] @ gradient) <= 0
    assert optimizer.step_size >= 0


@named([case for case in BY_VALUE if not case.name.startswith("l4")])
def test_negative_losses_do_not_freeze(case):
    problem = Convex()
    optimizer = case.build(problem.parameters)
    for shift in (0.0, -100.0, -100.0):
        optimizer.zero_grad()
        loss = problem.loss()
        loss.backward()
        optimizer.step(loss=float(loss) + shift)
    problem.steps(optimizer, case, 100)
    assert float(problem.loss().detach()) < 0.5 * float(Convex().loss())


@named([case for case in BY_VALUE if case.name.startswith("l4")])
def test_l4_descends_on_negative_losses(case):
    """Its bound is an estimate, so no sign is special."""
    problem = Convex()
    optimizer = case.build(problem.parameters)
    for _ in range(50):
        optimizer.zero_grad()
        loss = problem.loss() - 10
        loss.backward()
        optimizer.step(loss=loss)
        assert optimizer.step_size > 0
    assert float(problem.loss().detach()) < float(Convex().loss())


def test_sps_is_not_frozen_by_a_negative_loss():
    result = execute(RunSpec("two_d_branin", "sps", num_epochs=6, device="cpu"))
    assert result.outcome is Outcome.DONE
    assert len(set(result.test_losses)) == 7
    assert result.step_sizes[-1]["max"] > 0


@named(OWN)
def test_complex_parameters_are_pairs_of_real_ones(case):
    generator = torch.Generator().manual_seed(3)
    start = torch.randn(4, 2, generator=generator, dtype=torch.float64)
    factors = torch.rand(4, 2, generator=generator, dtype=torch.float64) + 0.5
    pairs = start.clone().requires_grad_()
    whole = torch.view_as_complex(start.clone()).requires_grad_()
    for parameter in (pairs, whole):
        optimizer = case.build([parameter])

        def closure(backward=True, parameter=parameter, optimizer=optimizer):
            real = torch.view_as_real(parameter) if parameter.is_complex() else parameter
            loss = (factors * real.square()).sum()
            if backward:
                optimizer.zero_grad()
                loss.backward()
            return loss

        for _ in range(5):
            if case.entry.needs_loss is NeedsLoss.CLOSURE:
                optimizer.step(closure)
            else:
                optimizer.step(**arguments(case, closure().detach()))
        again = case.build([parameter])  # and the state can be loaded
        again.load_state_dict(optimizer.state_dict())
    result = torch.view_as_real(whole.detach())
    assert not torch.equal(result, start)
    torch.testing.assert_close(result, pairs.detach(), rtol=1e-12, atol=1e-12)


@named(OWN)
def test_gradients_of_another_precision(case):
    """torch's ``p.grad_dtype``; values that bfloat16 holds exactly."""
    ends = []
    for dtype in (torch.float32, torch.bfloat16):
        w = nn.Parameter(torch.tensor([1.0, 2.0, -4.0]))
        w.grad_dtype = dtype
        optimizer = case.build([w])
        for _ in range(2):
            w.grad = torch.tensor([0.5, -1.0, 2.0], dtype=dtype)
            if case.entry.needs_loss is NeedsLoss.CLOSURE:
                optimizer.step(lambda w=w: float(w.detach().square().sum()))
            else:
                optimizer.step(**arguments(case, 2.0))
        assert w.dtype is torch.float32
        ends.append(w.detach().clone())
    assert torch.equal(*ends)


@named(OWN)
def test_construction_under_the_meta_device(case):
    problem, plain = Convex(), Convex()
    with torch.device("meta"):
        optimizer = case.build(problem.parameters)
    assert torch.equal(
        problem.steps(optimizer, case, 3), plain.steps(case.build(plain.parameters), case, 3)
    )


@named(OWN)
def test_groups_and_states_can_be_compared(case):
    problem, other = Convex(), Convex()
    one, two = case.build(problem.parameters), case.build(other.parameters)
    for each, optimizer in ((problem, one), (other, two)):
        each.steps(optimizer, case, 2)
    assert one.state_dict()["param_groups"] == two.state_dict()["param_groups"]


@pytest.mark.parametrize("problem", ["digits_logreg", "quadratic_deep", "two_d_branin"])
def test_runs_do_not_depend_on_the_default_data_type(problem):
    spec = RunSpec(problem, "alig", num_epochs=1, device="cpu")
    plain = execute(spec)
    torch.set_default_dtype(torch.float64)
    try:
        other = execute(spec)
        assert torch.get_default_dtype() is torch.float64
    finally:
        torch.set_default_dtype(torch.float32)
    assert other.test_losses == plain.test_losses


@pytest.mark.parametrize("options", [{}, {"foreach": False}, {"momentum": 0.9}])
def test_long_steps_in_float16(options):
    """A step size that the weights' type cannot hold is a step of 0, and counted."""
    for dtype in (torch.float16, torch.float64):
        w = nn.Parameter(torch.ones(4, dtype=dtype))
        optimizer = AliG([w], **options)
        w.grad = torch.full((4,), 1e-4, dtype=dtype)
        optimizer.step(loss=2.3)
        fits = dtype == torch.float64
        assert optimizer.step_size == (pytest.approx(2.3 / (4e-8 + 1e-5)) if fits else 0.0)
        assert optimizer.guarded_steps["zero_norm"] == (0 if fits else 1)
        assert (w == 1.0).all() != fits


def test_small_gradients_in_float16():
    """The square of the averaged gradient is less than float16 holds."""
    sizes = []
    for dtype in (torch.float16, torch.float32):
        w = nn.Parameter(torch.ones(4, dtype=dtype))
        w.grad = torch.full((4,), 6e-5, dtype=dtype)
        optimizer = registry.find_optimizer("l4mom").load()([w])
        optimizer.step(loss=1e-3)
        sizes.append(optimizer.step_size)
    assert sizes[0] == pytest.approx(sizes[1], rel=0.02)


# --- What people write by habit ------------------------------------------------------------------


@named(OWN)
def test_options_that_are_one_for_all_groups_are_not_ignored(case):
    """Another value in the second group changes the steps, or is refused by name."""
    options = case.build([torch.ones(1)]).defaults
    for name in case.entry.load().shared:
        value = {"adapt_flag": "another"}.get(name, not options[name])
        w, v = torch.ones(2, requires_grad=True), torch.ones(1, requires_grad=True)
        with pytest.raises(ValueError, match=f"{name} is one for all groups: give it to "):
            case.build([{"params": [w]}, {"params": [v], name: value}])


@named(WITH_RATE)
def test_a_rate_of_none(case):
    problem = Convex()
    optimizer = case.build(problem.parameters)
    optimizer.param_groups[0]["lr"] = None
    if isinstance(optimizer, AliG):  # as in its constructor
        problem.steps(optimizer, case, 1)
        assert optimizer.param_groups[0]["lr"] == math.inf
        return
    with pytest.raises(ValueError, match=f"{optimizer.rate} became None"):
        problem.steps(optimizer, case, 1)


@named(OWN)
def test_the_list_of_groups_may_be_changed(case):
    problem = Convex()
    optimizer = case.build(problem.parameters)
    problem.steps(optimizer, case, 1)
    optimizer.param_groups.append({**optimizer.param_groups[0], "params": [problem.idle]})
    problem.steps(optimizer, case, 1)
    del optimizer.param_groups[0]  # and with it what belongs to no group
    optimizer.add_param_group({"params": problem.parameters})
    optimizer.param_groups.reverse()
    if case.entry.load().memory:
        with pytest.raises(ValueError, match="keeps numbers in the first of its param_groups"):
            problem.steps(optimizer, case, 1)


@named(BY_VALUE)
def test_losses_that_are_no_numbers_are_refused_by_name(case):
    w = torch.ones(2, requires_grad=True)
    optimizer = case.build([w])
    w.grad = torch.ones(2)
    name = type(optimizer).__name__
    for wrong in ((torch.tensor(1.0), 2), {"loss": torch.tensor(1.0)}, "1.0"):
        with pytest.raises(TypeError, match=f"{name}: the loss must be a number or a tensor"):
            optimizer.step(loss=wrong)
    with pytest.raises(ValueError, match=f"{name}: the loss must be one number"):
        optimizer.step(loss=torch.ones(2))
    assert w.tolist() == [1.0, 1.0]


@named(BY_VALUE)
@pytest.mark.parametrize("array", [np.array(2.0), np.array([2.0]), np.float32(2.0)])
def test_the_loss_may_come_from_numpy(case, array):
    ends = []
    for loss in (2.0, array):
        w = torch.ones(2, requires_grad=True)
        optimizer = case.build([w])
        w.grad = torch.tensor([0.5, -1.0])
        optimizer.step(loss=loss)
        ends.append(w.detach())
    assert torch.equal(*ends)


@named(WITHOUT_DECAY)
def test_weight_decay_says_what_to_use_instead(case):
    w = torch.ones(2, requires_grad=True)
    if case.name == "sls":  # a line search relies on no bound
        with pytest.raises(ValueError, match="put the L2 term into the loss"):
            case.build([{"params": [w], "weight_decay": 1e-4}])
        return
    sentence = re.escape(no_weight_decay(case.entry.load().__name__))
    rate = {"lr": 0.1} if case in WITH_RATE and case.name != "sps" else {}
    with pytest.raises(ValueError, match=sentence):
        case.entry.load()([w], **rate, **plain_arguments(case), weight_decay=1e-4)
    with pytest.raises(ValueError, match=sentence):
        case.build([{"params": [w], "weight_decay": 1e-4}])
    with pytest.raises(UsageError, match=re.escape(no_weight_decay(case.name))):
        case.entry.complete({"weight_decay": 1e-4})
    optimizer = case.build([{"params": [w], "weight_decay": 0.0}])  # asks for nothing
    assert "weight_decay" not in optimizer.param_groups[0]


def plain_arguments(case: Case) -> dict[str, Any]:
    built = case.build([torch.ones(1)])
    names = case.entry.load().__init__.__code__.co_varnames
    return {k: v for k, v in built.defaults.items() if k in names and k != "lr" and v is not None}


@named(OWN)
def test_unknown_options_of_a_group_are_refused_by_name(case):
    w = torch.ones(2, requires_grad=True)
    with pytest.raises(ValueError, match="'momentun'"):
        case.build([{"params": [w], "momentun": 0.5}])
    optimizer = case.build([{"params": [w], "name": "all"}])  # a label is no option
    with pytest.raises(ValueError, match="'dampening'"):
        optimizer.add_param_group({"params": [torch.ones(1)], "dampening": 0.5})


@named(OWN)
def test_old_groups_make_a_new_optimizer(case):
    problem = Convex()
    optimizer = case.build(problem.parameters)
    if "lr" in optimizer.param_groups[0]:
        lr_scheduler.OneCycleLR(optimizer, max_lr=0.3, total_steps=9, cycle_momentum=False)
    problem.steps(optimizer, case, 2)
    again = case.build(optimizer.param_groups)
    if "lr" in optimizer.param_groups[0]:
        assert again.param_groups[0]["lr"] == optimizer.param_groups[0]["lr"]
    problem.steps(again, case, 1)


@named(BY_VALUE)
@pytest.mark.parametrize("kind", [lambda x: x, float], ids=["tensor", "number"])
def test_the_loss_may_be_positional(case, kind):
    problem, other = Convex(), Convex()
    expected = problem.steps(case.build(problem.parameters), case, 3)
    optimizer = case.build(other.parameters)
    for _ in range(3):
        optimizer.zero_grad()
        loss = other.loss()
        loss.backward()
        given = kind(loss.detach())
        assert optimizer.step(given) is given
    assert torch.equal(other.weights, expected)
    with pytest.raises(TypeError, match="two losses"):
        optimizer.step(1.0, loss=1.0)


def test_positional_losses_of_examples():
    case = next(c for c in OWN if c.entry.needs_loss is NeedsLoss.PER_EXAMPLE)
    problem, other = Convex(), Convex()
    expected = problem.steps(case.build(problem.parameters), case, 1)
    optimizer = case.build(other.parameters)
    loss = other.loss()
    loss.backward()
    optimizer.step(loss.detach().reshape(1), indices=torch.tensor([2]))
    assert torch.equal(other.weights, expected)


@named(OWN)
@pytest.mark.parametrize("foreign", [torch.optim.SGD, torch.optim.Adam, "another of ours"])
def test_the_state_of_another_optimizer_is_refused(case, foreign):
    problem = Convex()
    if isinstance(foreign, str):
        name = "dfw" if case.name != "dfw" else "aprox"
        other = next(c for c in OWN if c.name == name).build(problem.parameters)
    else:
        other = foreign(problem.parameters, lr=0.1)
    optimizer = case.build(problem.parameters)
    with pytest.raises(ValueError, match=f"{type(optimizer).__name__} cannot go on from this"):
        optimizer.load_state_dict(other.state_dict())


@named(OWN)
def test_every_optimizer_takes_lr(case, recwarn):
    """As skorch gives it."""
    w = torch.ones(2, requires_grad=True)
    given = {k: v for k, v in plain_arguments(case).items() if k not in ("max_lr", "eta_max")}
    warnings.simplefilter("always")
    optimizer = case.entry.load()([w], lr=0.25, **given)
    if case in WITH_RATE:
        assert optimizer.param_groups[0]["lr"] == 0.25
        assert not [w for w in recwarn if "is ignored" in str(w.message)]
    else:
        assert "lr" not in optimizer.param_groups[0]
        assert [w for w in recwarn if "lr=0.25 is ignored" in str(w.message)]


def test_recommended_settings_are_those_of_the_command_line():
    w = torch.ones(2, requires_grad=True)
    optimizer = AliG.recommended([w])
    entry = registry.find_optimizer("alig")
    assert optimizer.defaults["lr"] == entry.hyperparameters["max_lr"].default == 0.1
    assert optimizer.defaults["momentum"] == entry.hyperparameters["momentum"].default == 0.9
    assert AliG.recommended([w], lr=0.5).defaults["lr"] == 0.5
    assert AliG.recommended([w], max_lr=0.5, eps=0.0).defaults["eps"] == 0.0


# --- Health --------------------------------------------------------------------------------------


def feed(optimizer: Any, w: Tensor, steps: int, loss: float, grad: float = 1.0) -> list[str]:
    """Steps with prescribed numbers; what was said."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for step in range(steps):
            w.grad = torch.full_like(w, grad * (1 + step % 7))
            optimizer.step(loss=loss)
        optimizer.health()
    assert all(issubclass(each.category, HealthWarning) for each in caught)
    return [str(each.message) for each in caught]


@pytest.mark.parametrize("capturable", [False, True], ids=["host", "device"])
@pytest.mark.parametrize(
    ("kind", "loss", "grad", "words"),
    [
        ("non_finite", math.nan, 1.0, "not finite in"),
        ("below_f_min", 0.0, 1.0, "at or below its lower bound"),
        ("at_cap", 1e9, 1.0, "steps were at the cap, where it is SGD"),
        ("idle_cap", 1e-6, 1.0, "so it does nothing"),
    ],
)
def test_each_kind_of_trouble_is_said_once(capturable, kind, loss, grad, words):
    w = torch.ones(2, requires_grad=True)
    optimizer = AliG([w], max_lr=0.1, capturable=capturable)
    given: Any = torch.tensor(loss) if capturable else loss
    said = feed(optimizer, w, 400, given, grad)
    assert len(said) == 1
    assert words in said[0]
    assert optimizer.health().remarks == tuple(said)
    if kind == "non_finite":
        assert optimizer.health().non_finite == 400
        assert optimizer.guarded_steps["non_finite"] == 400


@named(BY_LOSS)
def test_losses_that_are_not_finite_are_said_once_by_all(case):
    w = torch.ones(2, requires_grad=True)
    optimizer = case.build([w])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for step in range(30):
            w.grad = torch.full_like(w, 1.0 + step % 7)
            optimizer.step(**arguments(case, math.nan))
    assert [w.category for w in caught if "not finite in 10 of" in str(w.message)] == [
        HealthWarning
    ]
    assert optimizer.health().non_finite == 30


@named([case for case in BY_VALUE if case in WITH_RATE and case.name not in ("bpgrad", "alig_inf")])
def test_a_cap_that_always_binds_is_said_once_by_all(case):
    w = torch.ones(2, requires_grad=True)
    optimizer = case.build([w])
    said = feed(optimizer, w, 450, 1e9)
    assert len(said) == 1
    assert "of 200 steps were at the cap, where it is " in said[0]
    assert optimizer.rate in said[0]
    assert optimizer.health().at_cap == 450


def test_a_healthy_run_says_nothing():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        task = Convex()
        optimizer = AliG(task.parameters, max_lr=0.2)
        for _ in range(150):
            optimizer.zero_grad()
            loss = task.loss()
            loss.backward()
            optimizer.step(loss=loss)
    health = optimizer.health()
    assert (health.steps, health.non_finite, health.remarks) == (150, 0, ())
    assert 0 < health.at_cap <= 150


def test_a_run_says_what_is_wrong():
    spec = RunSpec("digits_logreg", "alig", {"max_lr": 0.001}, num_epochs=20, device="cpu")
    with pytest.warns(HealthWarning, match="steps were at the cap, where it is SGD"):
        execute(spec)


def test_warnings_can_be_silenced():
    w = torch.ones(1, requires_grad=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", category=HealthWarning)
        optimizer = AliG([w], max_lr=0.1)
        for _ in range(20):
            w.grad = torch.ones(1)
            optimizer.step(loss=math.nan)
    assert len(optimizer.health().remarks) == 1


@named(CASES)
def test_the_table_is_complete(case):
    """A new optimizer of the package comes with the base that all of this is written in."""
    module = case.entry.load().__module__
    assert not module.startswith("alig_deepobs.") or case in OWN
