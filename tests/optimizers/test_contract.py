"""The check that loss and gradient belong together, on what people really do wrong."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from alig_deepobs import check_loss_contract


@pytest.fixture
def model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3))


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(1)
    return torch.randn(16, 4, generator=generator), torch.randint(3, (16,), generator=generator)


def cross_entropy(model, batch, **options):
    return nn.functional.cross_entropy(model(batch[0]), batch[1], **options)


def norm(model):
    return sum(float(p.grad.square().sum()) for p in model.parameters()) ** 0.5


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_it_holds(model, batch, reduction):
    def loss_fn(model, batch):
        return cross_entropy(model, batch, reduction=reduction)

    report = check_loss_contract(model, batch, loss_fn)
    assert report
    assert report.measured_slope == pytest.approx(report.slope, rel=0.01)
    loss_fn(model, batch).backward()
    report = check_loss_contract(model, batch, loss_fn, loss=loss_fn(model, batch))
    assert report.holds
    assert report.remarks == ()
    assert report.slope == pytest.approx(norm(model) ** 2, rel=1e-5)


@pytest.mark.parametrize("factor", [0.1, 0.8, 1024.0], ids=["clipped", "a bit", "scaled"])
def test_scaled_gradients_are_found(model, batch, factor):
    cross_entropy(model, batch).backward()
    for p in model.parameters():
        p.grad.mul_(factor)
    report = check_loss_contract(model, batch, cross_entropy)
    assert not report
    assert "times that of the loss" in report.remarks[0]
    assert report.slope / report.measured_slope == pytest.approx(factor, rel=0.1)


def test_a_sum_reduced_gradient_with_a_mean_loss_is_found(model, batch):
    cross_entropy(model, batch, reduction="sum").backward()
    assert not check_loss_contract(model, batch, cross_entropy)


def test_a_term_that_only_the_gradient_has_is_found(model, batch):
    l2 = sum(p.square().sum() for p in model.parameters())
    (cross_entropy(model, batch) + 0.1 * l2).backward()
    assert not check_loss_contract(model, batch, cross_entropy)


@pytest.mark.parametrize("factor", [1 / 4, 65536.0], ids=["accumulation", "GradScaler"])
def test_another_loss_than_that_of_the_batch_is_found(model, batch, factor):
    cross_entropy(model, batch).backward()
    report = check_loss_contract(
        model, batch, cross_entropy, loss=factor * cross_entropy(model, batch)
    )
    assert not report
    assert "the optimizer is given the loss" in report.remarks[0]


def test_everything_is_as_before(batch):
    model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 3))
    cross_entropy(model, batch).backward()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    grads = [p.grad.clone() for p in model.parameters()]
    noise = torch.get_rng_state()
    report = check_loss_contract(model, batch, cross_entropy)
    assert torch.equal(torch.get_rng_state(), noise)
    assert all(torch.equal(model.state_dict()[name], value) for name, value in before.items())
    assert all(torch.equal(p.grad, g) for p, g in zip(model.parameters(), grads, strict=True))
    assert any("dropout" in remark for remark in report.remarks)


def test_everything_is_as_before_where_the_model_breaks(model, batch):
    calls = []

    def breaking(model, batch):
        calls.append(cross_entropy(model, batch))
        if len(calls) == 4:  # at other weights than the model's
            raise RuntimeError("no more")
        return calls[-1]

    before = [p.detach().clone() for p in model.parameters()]
    with pytest.raises(RuntimeError, match="no more"):
        check_loss_contract(model, batch, breaking)
    assert all(torch.equal(p, value) for p, value in zip(model.parameters(), before, strict=True))


def test_a_model_that_returns_its_loss():
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.w = nn.Parameter(torch.tensor([1.0, 2.0]))

        def forward(self, x):
            return (self.w * x).square().sum()

    assert check_loss_contract(Model(), torch.ones(2))
    assert check_loss_contract(Model(), {"x": torch.ones(2)})
    with pytest.raises(ValueError, match="with one element"):
        check_loss_contract(nn.Linear(2, 2), torch.ones(2))
    with pytest.raises(ValueError, match="no parameter that requires"):
        check_loss_contract(nn.Identity(), torch.ones(1))


@pytest.mark.parametrize(
    "loss_fn",
    [
        nn.functional.cross_entropy,
        nn.MSELoss(),
        lambda batch: 0.0,
        lambda outputs, targets: (outputs - targets).square().mean(),
        None,
    ],
    ids=["function", "module", "one argument", "outputs and targets", "none"],
)
def test_a_loss_of_outputs_and_targets_says_how_it_is_called(model, batch, loss_fn):
    with pytest.raises(TypeError, match="a loss_fn that takes the model and the batch"):
        check_loss_contract(model, batch, loss_fn)


@pytest.mark.parametrize("level", [-3.8, 0.0])
def test_a_loss_below_the_bound_is_remarked(model, batch, level):
    def loss_fn(model, batch):
        value = cross_entropy(model, batch)
        return value - value.detach() + level

    report = check_loss_contract(model, batch, loss_fn, loss=level)
    assert report.loss == pytest.approx(level)
    assert "at or below the lower bound" in report.remarks[-1]
