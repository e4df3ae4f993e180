"""Mixed precision, the compiler and channels-last: what a run asks of its network."""

from __future__ import annotations

import sys

import pytest
import torch
from torch import nn

from alig_deepobs.errors import UsageError
from alig_deepobs.run import RunSpec
from alig_deepobs.runners.checks import check
from alig_deepobs.runners.resolve import resolve
from alig_deepobs.runners.training import execute, set_up
from alig_deepobs.runners.vectorized.grouping import why_alone

FAMILIES = [
    "quadratic_deep", "two_d_beale", "digits_mlp", "mnist_2c2d", "mnist_vae", "dnc_copy",
    "tolstoi_char_rnn", "snli_bilstm", "cifar10_wrn404_alig",
]  # fmt: skip


def asked(problem="digits_mlp", **options):
    return RunSpec(
        problem, "alig", {"max_lr": 0.1}, synthetic=problem != "digits_mlp", device="cpu",
        num_epochs=1, **options,
    )  # fmt: skip


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=[pytest.mark.slow] * (n == "snli_bilstm")) for n in FAMILIES],
)
def test_weights_gradients_and_losses_stay_single_in_bf16(name):
    if name == "dnc_copy" or name.startswith("cifar"):
        torch.set_num_threads(1)
    problem = set_up(resolve(asked(name, precision="bf16", batch_size=4)))
    problem.train_init_op()
    loss, _ = problem.get_batch_loss_and_accuracy_func()()
    loss.backward()
    of_weights = {x.dtype for p in problem.net.parameters() for x in (p, p.grad) if x is not None}
    assert {loss.dtype} == of_weights == {torch.float32}
    assert torch.isfinite(loss)


def test_bf16_is_another_run_and_is_said():
    single, half = resolve(asked()), resolve(asked(precision="bf16"))
    assert single.identity() != half.identity()
    assert single.comparison() != half.comparison()
    assert half.repeat_command().count("--precision bf16") == 1
    losses = execute(single).train_losses, execute(half).train_losses
    assert losses[0] != losses[1]
    assert losses[0] == pytest.approx(losses[1], rel=0.05)


def test_the_compiler_changes_no_more_than_rounding(monkeypatch):
    called = []
    compile_ = nn.Module.compile
    monkeypatch.setattr(nn.Module, "compile", lambda net: [called.append(net), compile_(net)])
    plain, compiled = execute(asked()), execute(asked(compile=True))
    assert len(called) == 1
    assert compiled.environment["compile"] is True
    assert "compile" not in plain.environment
    assert compiled.identity() == plain.identity()
    assert compiled.train_losses == pytest.approx(plain.train_losses, rel=1e-4)


def test_images_with_their_channels_last():
    run = resolve(asked("mnist_2c2d", channels_last=True, batch_size=8))
    images = [p for p in set_up(run).net.parameters() if p.ndim == 4 and p.shape[1] > 1]
    assert images
    assert all(p.is_contiguous(memory_format=torch.channels_last) for p in images)


@pytest.mark.parametrize("option", [{"channels_last": True}, {"precision": "bf16"}])
def test_such_runs_are_trained_alone(option):
    assert why_alone(resolve(asked(**option)))
    assert not why_alone(resolve(asked()))


def test_no_compiler(monkeypatch):
    module = "torch._inductor.cpp_builder"
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(UsageError, match="--compile needs a C"):
        check(resolve(asked(compile=True)))


def test_no_bf16(monkeypatch):
    monkeypatch.setattr(torch.amp, "is_autocast_available", lambda device: False)
    with pytest.raises(UsageError, match="cpu has no bfloat16"):
        check(resolve(asked(precision="bf16")))


@pytest.mark.parametrize(
    "option", [{"compile": True}, {"channels_last": True}, {"precision": "bf16"}]
)
def test_tensorflow_has_none_of_it(option):
    spec = RunSpec("quadratic_deep", "sgd", {"lr": 0.1}, framework="tensorflow", **option)
    with pytest.raises(UsageError, match="are PyTorch's"):
        resolve(spec)


@pytest.mark.parametrize("precision", ["fp8", "", "float64"])
def test_unknown_precision(precision):
    with pytest.raises(UsageError, match="precision"):
        resolve(asked(precision=precision))
