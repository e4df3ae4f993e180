"""AliG with mixed precision, gradient accumulation, several processes, and graph capture."""

from __future__ import annotations

import runpy
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from optimizer_cases import OWN, named
from torch.utils._python_dispatch import TorchDispatchMode

from alig_deepobs import AliG, L2Ball, LossMeter, attach_loss, reduce_loss
from alig_deepobs.registry import NeedsLoss

MOMENTA = {
    "plain": {},
    "standard": {"momentum": 0.9},
    "adjusted": {"momentum": 0.9, "adjusted_momentum": True},
}
ATEN = torch.ops.aten


# --- Mixed precision ---------------------------------------------------------------------------


def scaled_backward(task, scaler, rows=slice(None)):
    task.net.zero_grad()
    loss = torch.nn.functional.mse_loss(task.net(task.inputs[rows]), task.targets[rows])
    scaler.scale(loss).backward()
    return loss.detach()


@pytest.mark.parametrize("momentum", MOMENTA)
def test_grad_scaler_changes_nothing(make, regression, momentum):
    """The loss is passed raw; the scaler unscales the gradients before the step."""
    tasks = [regression(), regression()]
    plain, scaled = (make(t.parameters, max_lr=0.5, **MOMENTA[momentum]) for t in tasks)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    for rows in tasks[0].minibatches(20):
        plain.step(loss=tasks[0].backward(rows))
        loss = scaled_backward(tasks[1], scaler, rows)
        scaler.step(scaled, loss=loss)
        scaler.update()
    assert scaler.get_scale() == 1024.0
    # A power of two scales without rounding, so the bits agree.
    assert torch.equal(tasks[0].weights, tasks[1].weights)


@pytest.mark.parametrize("momentum", MOMENTA)
def test_overflow_under_grad_scaler_skips_the_step(make, regression, velocity, momentum):
    task = regression()
    optimizer = make(task.parameters, max_lr=0.5, **MOMENTA[momentum])
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    scaler.step(optimizer, loss=scaled_backward(task, scaler))
    scaler.update()
    before = task.weights
    old = [velocity(optimizer, p).clone() for p in task.parameters if momentum != "plain"]

    loss = scaled_backward(task, scaler)
    task.parameters[1].grad[0] = torch.inf
    scaler.step(optimizer, loss=loss)
    scaler.update()
    assert scaler.get_scale() == 512.0
    assert torch.equal(task.weights, before)
    new = [velocity(optimizer, p) for p in task.parameters if momentum != "plain"]
    assert all(torch.equal(a, b) for a, b in zip(old, new, strict=True))


def test_scaler_may_not_leave_the_unscaling_to_the_step(make):
    """The norm needs unscaled gradients, so the fused kernels' own unscaling must stay off."""
    optimizer = make([torch.zeros(2, requires_grad=True)])
    assert not getattr(optimizer, "_step_supports_amp_scaling", False)


def test_autocast_without_a_scaler(make, regression):
    task = regression()
    optimizer = make(task.parameters, max_lr=0.5, momentum=0.9)
    losses = []
    for _ in range(40):
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            outputs = task.net(task.inputs)
            loss = (outputs - task.targets).square().mean()
        loss.backward()
        optimizer.step(loss=loss)
        losses.append(float(loss.detach()))
        assert 0 < optimizer.step_size <= 0.5 * (1 + 1e-6)
    assert losses[-1] < 0.5 * losses[0]
    assert all(p.dtype == torch.float32 for p in task.parameters)
    assert sum(optimizer.guarded_steps.values()) == 0


# --- Accumulation and the loss helpers ---------------------------------------------------------


@pytest.mark.parametrize("sizes", [(4, 4, 4, 4), (6, 6, 4)], ids=["even", "ragged"])
def test_accumulated_microbatches_are_one_batch(make, regression, sizes):
    whole, parts = regression(torch.float64), regression(torch.float64)
    options = {"max_lr": 0.5, "momentum": 0.9}
    one, many = make(whole.parameters, **options), make(parts.parameters, **options)
    meter = LossMeter()
    for _ in range(10):
        one.step(loss=whole.backward())
        many.zero_grad()
        meter.reset()
        start = 0
        for size in sizes:
            rows = slice(start, start + size)
            outputs = parts.net(parts.inputs[rows])
            loss = torch.nn.functional.mse_loss(outputs, parts.targets[rows])
            (loss * size / sum(sizes)).backward()
            meter.add(loss, weight=size)
            start += size
        many.step(loss=meter.mean())
        assert many.step_size == pytest.approx(one.step_size, rel=1e-10)
    torch.testing.assert_close(parts.weights, whole.weights, rtol=1e-10, atol=1e-12)


def test_meter_averages_with_weights():
    meter = LossMeter()
    meter.add(1.0)
    meter.add(4.0, weight=2)
    assert float(meter.mean()) == pytest.approx(3.0)
    assert float(meter.mean()) == pytest.approx(3.0)  # reading does not reset
    meter.reset()
    meter.add(torch.tensor(5.0), weight=7)
    assert float(meter.mean()) == 5.0


def test_meter_keeps_no_graph_and_no_alias():
    meter = LossMeter()
    w = torch.tensor(2.0, requires_grad=True)
    loss = w**2
    meter.add(loss)
    meter.add(loss)
    assert isinstance(meter.mean(), torch.Tensor)
    assert not meter.mean().requires_grad
    assert loss.item() == 4.0
    assert meter.mean().item() == 4.0


def test_mean_of_nothing_is_an_error():
    meter = LossMeter()
    with pytest.raises(ValueError, match=r"(?i)loss|add|nothing"):
        meter.mean()
    meter.add(1.0)
    meter.reset()
    with pytest.raises(ValueError, match=r"(?i)loss|add|nothing"):
        meter.mean()


def test_attached_function_supplies_the_loss(make_fast, problem_p):
    problem = problem_p()
    optimizer = make_fast(problem.parameters)
    handle = attach_loss(optimizer, lambda: 1.5)
    problem.feed(0)
    assert optimizer.step() == 1.5
    assert optimizer.step_size == pytest.approx(1.5 / 17.25001, rel=1e-12)
    handle.remove()
    with pytest.raises(TypeError):
        optimizer.step()


@pytest.mark.parametrize("source", [3.0, None, torch.tensor(3.0), [3.0]])
def test_a_loss_that_is_attached_itself_is_refused(make_fast, problem_p, source):
    """A tensor has a mean, which would be the loss of all steps."""
    optimizer = make_fast(problem_p().parameters)
    with pytest.raises(TypeError, match="attach_loss needs a LossMeter or a function"):
        attach_loss(optimizer, source)


def test_attached_meter_supplies_its_mean(make_fast, problem_p):
    problem, meter = problem_p(), LossMeter()
    optimizer = make_fast(problem.parameters)
    attach_loss(optimizer, meter)
    problem.feed(0)
    meter.add(1.0)
    meter.add(torch.tensor(2.0))
    optimizer.step()
    assert optimizer.step_size == pytest.approx(1.5 / 17.25001, rel=1e-12)


@pytest.mark.parametrize("form", ["loss", "closure", "positional"])
def test_callers_own_loss_wins_over_the_attached_one(make_fast, problem_p, form):
    problem, reads = problem_p(), []
    optimizer = make_fast(problem.parameters)
    attach_loss(optimizer, lambda: reads.append(1) or 100.0)
    problem.feed(0)
    if form == "positional":
        optimizer.step(lambda: 3.0)
    else:
        optimizer.step(**{form: 3.0 if form == "loss" else lambda: 3.0})
    assert optimizer.step_size == pytest.approx(3 / 17.25001, rel=1e-12)
    assert reads == []


def test_attached_loss_reaches_the_step_through_a_scaler(make_fast, regression):
    task = regression()
    optimizer = make_fast(task.parameters)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    seen = {}
    attach_loss(optimizer, lambda: seen["loss"])
    seen["loss"] = scaled_backward(task, scaler)
    scaler.step(optimizer)
    square = sum(float(p.grad.double().square().sum()) for p in task.parameters)
    expected = float(seen["loss"]) / (square + 1e-5)
    assert optimizer.step_size == pytest.approx(expected, rel=1e-5)


def test_reduce_loss_without_processes_is_the_detached_loss():
    w = torch.tensor(3.0, requires_grad=True)
    reduced = reduce_loss(w * 2)
    assert reduced.item() == 6.0
    assert not reduced.requires_grad


# --- Nothing is read by the host ---------------------------------------------------------------


class HostReads(TorchDispatchMode):
    """Records the operations that would make the host wait for a device."""

    READS = (ATEN._local_scalar_dense.default, ATEN.is_nonzero.default, ATEN.equal.default)

    def __init__(self) -> None:
        super().__init__()
        self.reads: list[str] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func in self.READS or func is ATEN.nonzero.default:
            self.reads.append(str(func))
        return func(*args, **(kwargs or {}))


def test_recorder_of_host_reads_works():
    with HostReads() as recorder:
        float(torch.ones(()))
        bool(torch.ones(()) > 0)
    assert len(recorder.reads) == 2


@pytest.mark.parametrize("momentum", MOMENTA)
def test_capturable_step_reads_nothing(make_fast, regression, momentum):
    task = regression()
    optimizer = make_fast(
        task.parameters, max_lr=0.5, capturable=True, f_min=-1.0, **MOMENTA[momentum]
    )
    for _ in range(2):  # the first step makes the buffers
        loss = task.backward()
        before = task.weights
        with HostReads() as recorder:
            optimizer.step(loss=loss)
        assert recorder.reads == []
        assert not torch.equal(task.weights, before)
    with HostReads() as recorder:
        assert optimizer.step_size > 0
        assert optimizer.guarded_steps["non_finite"] == 0
    assert recorder.reads, "statistics should wait for the device only where they are read"


@pytest.mark.parametrize("momentum", MOMENTA)
def test_capturable_guards_read_nothing(make_fast, problem_p, momentum):
    """Guards on the device do what those on the host do."""
    results = []
    for capturable in (True, False):
        problem = problem_p(torch.float32)
        optimizer = make_fast(
            problem.parameters, max_lr=0.2, eps=0.0, capturable=capturable, **MOMENTA[momentum]
        )
        trace = []
        for loss, grad in (
            (3.0, [1.0, -4.0]),
            (torch.nan, [1.0, -4.0]),
            (3.0, [torch.inf, 1.0]),
            (3.0, [torch.nan, 1.0]),
            (-1.0, [1.0, 2.0]),
            (3.0, [0.0, 0.0]),
            (0.0, [0.0, 0.0]),
            (2.0, [-1.0, 0.5]),
        ):
            problem.set_gradients(grad, [0.0])
            with HostReads() as recorder:
                optimizer.step(loss=torch.tensor(loss))
            assert not (capturable and recorder.reads)
            trace.append(problem.weights)
        results.append((torch.stack(trace), dict(optimizer.guarded_steps)))
    torch.testing.assert_close(results[0][0], results[1][0], rtol=1e-5, atol=1e-6)
    assert results[0][1] == results[1][1]
    assert sum(results[0][1].values()) == 6


def test_capturable_keeps_its_statistics_current(make_fast, problem_p):
    problem = problem_p(torch.float32)
    optimizer = make_fast(problem.parameters, max_lr=0.2, capturable=True)
    for t, expected in enumerate((3 / 17.25001, 0.02 / 0.25291, 0.2)):
        optimizer.step(loss=torch.tensor(problem.feed(t)))
        assert optimizer.step_size == pytest.approx(expected, rel=1e-5)


# --- Several processes -------------------------------------------------------------------------

WORKER = Path(__file__).with_name("distributed_worker.py")


@pytest.fixture(scope="module")
def alone():
    """The same runs in one process that sees the whole batches."""
    return runpy.run_path(str(WORKER))["single_process"]()


@pytest.fixture(scope="module")
def two_ranks(tmp_path_factory):
    """Where two processes left their results, and what they complained about."""
    folder = tmp_path_factory.mktemp("ranks")
    ranks = [
        subprocess.Popen(
            [sys.executable, str(WORKER), str(rank), str(folder / "rendezvous"), str(folder)],
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    try:
        errors = "".join(process.communicate(timeout=300)[1] for process in ranks)
    finally:
        for process in ranks:
            process.kill()
    return folder, errors


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["ddp", "fsdp"])
def test_ranks_stay_together_and_equal_one_process(mode, alone, two_ranks):
    """With gradients and losses averaged, all ranks take the step of the concatenated batch."""
    folder, errors = two_ranks
    files = [folder / f"{mode}-{rank}.pt" for rank in range(2)]
    assert all(file.exists() for file in files), errors
    results = [torch.load(file) for file in files]
    assert [r.pop("reduced") for r in results] == [(0.5, False)] * 2
    assert results[0].keys() == alone.keys()
    for name, single in alone.items():
        first, second = results[0][name], results[1][name]
        assert first["sizes"] == second["sizes"]
        assert torch.equal(first["weights"], second["weights"]), f"{name}: ranks drifted apart"
        torch.testing.assert_close(first["weights"], single["weights"], rtol=1e-6, atol=1e-9)
        assert first["sizes"] == pytest.approx(single["sizes"], rel=1e-6)


def test_single_precision_ball_holds_for_accumulated_training(make, regression):
    """All of it together, in the precision people use."""
    task, meter = regression(), LossMeter()
    optimizer = make(
        task.parameters, max_lr=0.5, momentum=0.9, projection_fn=L2Ball(task.parameters, 3.5)
    )
    losses = []
    for _ in range(30):
        optimizer.zero_grad()
        meter.reset()
        for rows in task.minibatches(4):
            loss = torch.nn.functional.mse_loss(task.net(task.inputs[rows]), task.targets[rows])
            (loss / 4).backward()
            meter.add(loss)
        optimizer.step(loss=meter.mean())
        losses.append(float(meter.mean()))
        assert float(task.weights.norm()) <= 3.5 * (1 + 1e-6)
    assert losses[-1] < 0.7 * losses[0]
    assert isinstance(AliG.needs_loss, str)


def test_an_attached_meter_gives_each_step_its_own_loss():
    """Nobody else could tell a meter that a step is over."""
    w = torch.nn.Parameter(torch.tensor(4.0, dtype=torch.float64))
    optimizer, meter = AliG([w], max_lr=0.25, eps=0.0), LossMeter()
    attach_loss(optimizer, meter)
    used = []
    for _ in range(4):
        optimizer.zero_grad()
        loss = w.square()
        loss.backward()
        meter.add(loss)
        used.append((optimizer.step().item(), loss.item()))
    assert all(given == true for given, true in used)


def test_an_empty_group_and_no_gradient():
    w = torch.nn.Parameter(torch.ones(2))
    optimizer = AliG([{"params": []}, {"params": [w]}], max_lr=0.1)
    optimizer.step(loss=1.0)
    assert torch.equal(w, torch.ones(2))


def test_nothing_moves_if_a_cap_is_refused():
    a, b = (torch.nn.Parameter(torch.ones(1)) for _ in range(2))
    optimizer = AliG([{"params": [a], "lr": 0.1}, {"params": [b]}])
    optimizer.param_groups[1]["lr"] = float("nan")
    a.grad, b.grad = torch.ones(1), torch.ones(1)
    with pytest.raises(ValueError, match="max_lr became nan"):
        optimizer.step(loss=1.0)
    assert a.item() == b.item() == 1.0


# --- The meter belongs to the gradients ----------------------------------------------------------


@pytest.mark.parametrize("clear", ["optimizer", "model", "in place"])
@pytest.mark.parametrize("order", ["loss first", "gradient first", "cleared in between"])
def test_a_skipped_step_leaves_no_loss_behind(clear, order):
    """The scaler skips the batch that overflows; two good ones are then accumulated."""
    net = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.constant_(net.weight, 2.0)
    optimizer, meter = AliG(net.parameters(), eps=0.0), LossMeter()
    handle = attach_loss(optimizer, meter)
    scaler = torch.amp.GradScaler("cpu", init_scale=4.0)

    def zero_grad():
        if clear == "model":
            net.zero_grad()
        else:
            optimizer.zero_grad(set_to_none=clear == "optimizer")

    def micro_batch(x, first):
        if first and order != "cleared in between":
            zero_grad()
        loss = net(torch.tensor([[x]])).square().mean()
        if order != "gradient first":
            meter.add(loss)
        if first and order == "cleared in between":
            zero_grad()
        scaler.scale(loss).backward()
        if order == "gradient first":
            meter.add(loss)

    micro_batch(100.0, first=True)
    net.weight.grad.fill_(torch.inf)
    scaler.step(optimizer)
    scaler.update()
    assert net.weight.item() == 2.0
    micro_batch(1.0, first=True)
    micro_batch(2.0, first=False)
    assert meter.mean().item() == (4 + 16) / 2
    scaler.step(optimizer)
    assert optimizer.step_size == pytest.approx(10 / 20**2)
    handle.remove()
    meter.add(1.0)
    optimizer.zero_grad()
    assert meter.mean() == 1.0


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64])
def test_losses_are_summed_exactly(dtype):
    meter = LossMeter()
    for _ in range(512):
        meter.add(torch.full((), 200.0, dtype=dtype))
    assert meter.mean().item() == 200.0
    assert meter.mean().dtype is (torch.float64 if dtype is torch.float64 else torch.float32)


# --- Sharded models ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sharded(tmp_path_factory):
    """What two processes found for every optimizer; the worker's own functions."""
    folder = tmp_path_factory.mktemp("sharded")
    worker = Path(__file__).with_name("sharded_worker.py")
    ranks = [
        subprocess.Popen(
            [sys.executable, str(worker), str(rank), str(folder / "rendezvous"), str(folder)],
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    try:
        errors = "".join(process.communicate(timeout=300)[1] for process in ranks)
    finally:
        for process in ranks:
            process.kill()
    files = [folder / f"sharded-{rank}.pt" for rank in range(2)]
    assert all(file.exists() for file in files), errors
    return [torch.load(file) for file in files], runpy.run_path(str(worker))


@pytest.mark.slow
@named(OWN)
@pytest.mark.parametrize("layout", ["sharded", "flat", "full"])
def test_checkpoints_of_sharded_models_go_on(sharded, case, layout):
    """Six steps with a checkpoint in between, on two ranks, are six steps of one process."""
    (first, second), worker = sharded
    found = first[f"{case.name} {layout}"]
    if isinstance(found, str) and layout == "full":
        # torch cannot load a full state that has no tensor; its SGD without momentum has the same.
        assert "Expected device to be set" in found
        assert not case.build([torch.ones(1)]).defaults.get("momentum")
        return
    assert not isinstance(found, str), found
    start = worker["weights"](worker["make_model"]())
    assert torch.equal(found["before"], start)
    assert torch.equal(found["after"], second[f"{case.name} {layout}"]["after"])
    expected = worker["single_process"](case, 6)
    torch.testing.assert_close(found["after"], expected, rtol=1e-9, atol=1e-12)


@pytest.mark.slow
def test_losses_of_ranks_are_summed_exactly(sharded):
    assert [found["half"] for found in sharded[0]] == [40000.0] * 2


@pytest.mark.slow
@named(OWN)
@pytest.mark.parametrize("way", ["zero", "fsdp1"])
def test_a_norm_of_a_part_is_refused(sharded, case, way):
    said = sharded[0][0][f"{case.name} {way}"]
    if case.entry.needs_loss is NeedsLoss.NOTHING:
        assert said == case.name
    else:
        name = case.entry.load().__name__
        assert f"{name} needs the norm of the whole gradient: shard the model with FSDP2" in said
