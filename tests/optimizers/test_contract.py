"""The check that loss and gradient belong together, on what people really do wrong."""

from __future__ import annotations

import math

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
        if len(calls) == 2:
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


def told(report, part):
    return any(part in remark for remark in report.remarks)


def autocast_inside(model, batch):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        return cross_entropy(model, batch)


def in_type_of_model(model, batch):
    return cross_entropy(model, (batch[0].to(model[0].weight.dtype), batch[1]))


@pytest.mark.parametrize("where", ["bfloat16", "float16", "inside", "around", "compiled"])
def test_half_precision(model, batch, where):
    loss_fn = autocast_inside if where == "inside" else in_type_of_model
    if where in ("bfloat16", "float16"):
        model.to(getattr(torch, where))
    if where == "compiled":
        compiled = torch.compile(model, backend="eager", fullgraph=True)

        def loss_fn(model, batch):
            return cross_entropy(compiled, batch)

    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=where in ("around", "compiled")):
        assert check_loss_contract(model, batch, loss_fn)
        loss_fn(model, batch).backward()
        report = check_loss_contract(model, batch, loss_fn)
        assert report.remarks == ()
        assert not check_loss_contract(model, batch, loss_fn, loss=2 * report.loss)
        for p in model.parameters():
            p.grad.mul_(0.5)
        assert not check_loss_contract(model, batch, loss_fn)


@pytest.mark.parametrize("loss", [math.nan, math.inf, -math.inf, torch.tensor(math.nan)])
def test_a_given_loss_that_is_not_finite_is_found(model, batch, loss):
    report = check_loss_contract(model, batch, cross_entropy, loss=loss)
    assert not report
    assert told(report, "the optimizer is given the loss")


def fitted(seed, dropout=0.0, steps=100):
    torch.manual_seed(seed)
    layers = nn.Linear(4, 32), nn.ReLU(), nn.Dropout(dropout), nn.Linear(32, 3)
    model, batch = nn.Sequential(*layers), (torch.randn(32, 4), torch.randint(3, (32,)))
    optimizer = torch.optim.Adam(model.parameters(), 0.03)
    for _ in range(steps):
        optimizer.zero_grad()
        cross_entropy(model, batch).backward()
        optimizer.step()
    optimizer.zero_grad()
    return model, batch


@pytest.mark.parametrize("dropout", [0.1, 0.5])
@pytest.mark.parametrize("steps", [0, 100], ids=["fresh", "fitted"])
@pytest.mark.parametrize("seed", range(3))
def test_of_another_dropout_mask_only_gross_errors_are_found(seed, steps, dropout):
    model, batch = fitted(seed, dropout, steps)
    assert check_loss_contract(model, batch, cross_entropy)
    cross_entropy(model, batch).backward()
    report = check_loss_contract(model, batch, cross_entropy)
    assert report
    assert told(report, "model.eval()")
    for factor in (1e-3, 1e3):
        grads = [p.grad.clone() for p in model.parameters()]
        for p in model.parameters():
            p.grad.mul_(factor)
        assert not check_loss_contract(model, batch, cross_entropy)
        for p, g in zip(model.parameters(), grads, strict=True):
            p.grad = g


@pytest.mark.parametrize("steps", [0, 30, 100, 300])
@pytest.mark.parametrize("seed", range(3))
def test_a_fitted_net_is_no_false_alarm(seed, steps):
    model, batch = fitted(seed, steps=steps)
    cross_entropy(model, batch).backward()
    assert check_loss_contract(model, batch, cross_entropy)


@pytest.mark.parametrize("factor", [1e-12, 1.0, 1e12])
@pytest.mark.parametrize("constant", [0.0, 1000.0])
def test_scale_and_level_of_the_loss_do_not_matter(model, batch, factor, constant):
    def loss_fn(model, batch):
        return factor * (cross_entropy(model, batch) + constant)

    report = check_loss_contract(model, batch, loss_fn)
    assert report
    assert report.measured_slope == pytest.approx(report.slope, rel=0.05)
    (0.5 * loss_fn(model, batch)).backward()
    assert not check_loss_contract(model, batch, loss_fn)


@pytest.mark.parametrize("factor", [1.0, 0.5])
def test_both_parts_of_complex_parameters_count(factor):
    model = nn.Linear(4, 2, dtype=torch.complex64)

    def loss_fn(model, batch):
        return model(batch).abs().square().mean()

    batch = torch.randn(8, 4, dtype=torch.complex64)
    (factor * loss_fn(model, batch)).backward()
    assert check_loss_contract(model, batch, loss_fn).holds == (factor == 1)


def test_sparse_gradients():
    model = nn.Sequential(nn.Embedding(9, 4, sparse=True), nn.Dropout(0.1), nn.Linear(4, 3))
    batch = torch.arange(8), torch.arange(8) % 3
    assert check_loss_contract(model, batch, cross_entropy)
    cross_entropy(model, batch).backward()
    assert check_loss_contract(model, batch, cross_entropy)


@pytest.mark.parametrize("factor", [1e-6, 1e-3, 0.5, 2.0, 65536.0, 2.0**24])
@pytest.mark.parametrize("seed", range(3))
def test_gross_factors_are_found_and_named(seed, factor):
    model, batch = fitted(seed, steps=0)
    cross_entropy(model, batch).backward()
    for p in model.parameters():
        p.grad.mul_(factor)
    report = check_loss_contract(model, batch, cross_entropy)
    assert not report
    assert report.slope / report.measured_slope == pytest.approx(factor, rel=0.05)


@pytest.mark.parametrize("weight", [0.1, 1e4])
@pytest.mark.parametrize("in_loss", [True, False], ids=["only in the loss", "only in the gradient"])
def test_a_term_in_one_of_both_is_found_also_if_gross(model, batch, weight, in_loss):
    def with_l2(model, batch):
        l2 = sum(p.square().sum() for p in model.parameters())
        return cross_entropy(model, batch) + weight * l2

    (cross_entropy if in_loss else with_l2)(model, batch).backward()
    assert not check_loss_contract(model, batch, with_l2 if in_loss else cross_entropy)


@pytest.mark.parametrize(
    ("loss", "error", "text"),
    [
        ("x", TypeError, "must be a number"),
        (torch.ones(2), ValueError, "must be one number"),
        (torch.tensor(1j), TypeError, "must be a real number"),
    ],
)
def test_a_given_loss_that_is_no_number(model, batch, loss, error, text):
    with pytest.raises(error, match=text):
        check_loss_contract(model, batch, cross_entropy, loss=loss)


def test_a_loss_without_a_gradient_and_weights_that_are_not_there(model, batch):
    with pytest.raises(ValueError, match=r"without detach\(\)"):
        check_loss_contract(model, batch, lambda *both: cross_entropy(*both).detach())
    with torch.inference_mode(), pytest.raises(ValueError, match=r"outside torch.inference_mode"):
        check_loss_contract(model, batch, cross_entropy)
    with torch.no_grad():
        assert check_loss_contract(model, batch, cross_entropy)
    with pytest.raises(ValueError, match="lazy layers"):
        check_loss_contract(nn.Sequential(nn.LazyLinear(3)), batch, cross_entropy)
