"""The top-k losses: vectors of the authors' code, the definitions, and where the two differ."""

import math

import numpy as np
import pytest
import torch

from alig_deepobs.testproblems.top5 import (
    ExactTop5,
    TruncatedTop5,
    exact_top_k,
    top_k_correct,
    truncated_top_k,
)

SEVEN = torch.arange(1.0, 8.0, dtype=torch.float64)


def test_the_released_form_with_seven_classes():
    found = truncated_top_k(SEVEN.expand(7, 7), torch.arange(7))
    expected = [
        1.31326168751822, 0.313261687518223, 0.40760596444438, 0.169846019556286,
        0.0658839037574291, 0.0247448901388226, 0.00917448459173473,
    ]  # fmt: skip
    assert found.tolist() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("label", "gradient"),
    [
        (2, [0.0900305731704, 0.244728471055, -0.334759044225, 0, 0, 0, 0]),
        (0, [-0.73105857863, 0.73105857863, 0, 0, 0, 0, 0]),
    ],
)
def test_gradients_of_the_released_form(label, gradient):
    scores = SEVEN.clone().requires_grad_()
    truncated_top_k(scores.unsqueeze(0), torch.tensor([label])).sum().backward()
    assert scores.grad.tolist() == pytest.approx(gradient, abs=1e-11)


def test_the_released_form_with_five_classes():
    scores = torch.tensor([[2, 1, 0, -1, 0.5], [0.3, 0.2, 0.1, 0, -2]], dtype=torch.float64)
    found = truncated_top_k(scores, torch.tensor([0, 4]), k=2)
    assert found.tolist() == pytest.approx([0.342349582389822, 2.80670182306539], rel=1e-12)
    assert found.mean().item() == pytest.approx(1.5745257027276, rel=1e-12)


def test_where_the_two_forms_differ():
    labels = torch.arange(7)
    released, exact = (f(SEVEN.expand(7, 7), labels) for f in (truncated_top_k, exact_top_k))
    assert torch.allclose(released[2:], exact[2:])  # the label is among the five highest
    assert exact[1].item() == pytest.approx(math.log(1 + math.exp(-1) + math.e))
    assert released[1] < math.log(2) < exact[1]
    assert (exact[:2] >= math.log(2)).all()


@pytest.mark.parametrize("k", [1, 2, 5])
def test_the_exact_form_against_its_definition(k):
    rng = np.random.default_rng(0)
    scores = rng.normal(scale=3, size=(50, 9))
    labels = rng.integers(0, 9, 50)
    found = exact_top_k(torch.from_numpy(scores), torch.from_numpy(labels), k)
    for row, label, loss in zip(scores, labels, found, strict=True):
        others = np.sort(np.delete(row, label))[::-1][k - 1 :]
        assert loss.item() == pytest.approx(np.log1p(np.exp(others - row[label]).sum()))
    if k == 1:
        cross_entropy = torch.nn.functional.cross_entropy(
            torch.from_numpy(scores), torch.from_numpy(labels), reduction="none"
        )
        assert torch.allclose(found, cross_entropy)


@pytest.mark.parametrize("loss_of", [truncated_top_k, exact_top_k])
def test_the_exact_form_bounds_the_error_and_both_are_positive(loss_of):
    scores = torch.randn(400, 20, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    labels = torch.arange(400) % 20
    losses = loss_of(3 * scores, labels)
    wrong = ~top_k_correct(scores, labels)
    assert (losses > 0).all()
    bounds = (losses / math.log(2) >= wrong.double()).all()
    assert bounds if loss_of is exact_top_k else not bounds


def test_large_differences_stay_finite_in_single_precision():
    scores = torch.zeros(1, 1000)
    scores[0, 0] = -1e6
    scores.requires_grad_()
    for loss_of in (truncated_top_k, exact_top_k):
        (loss,) = loss_of(scores, torch.tensor([0]))
        assert loss.item() == pytest.approx(
            80 + math.log(994 if loss_of is truncated_top_k else 995)
        )
        (gradient,) = torch.autograd.grad(loss, scores)
        assert gradient.isfinite().all()


def test_reductions():
    scores, labels = SEVEN.expand(7, 7), torch.arange(7)
    for kind, losses in (
        (TruncatedTop5, truncated_top_k(scores, labels)),
        (ExactTop5, exact_top_k(scores, labels)),
    ):
        assert torch.equal(kind("none")(scores, labels), losses)
        assert torch.equal(kind()(scores, labels), losses.mean())
        assert torch.equal(kind("sum")(scores, labels), losses.sum())


def test_top_k_accuracy():
    scores = SEVEN.expand(7, 7)
    assert top_k_correct(scores, torch.arange(7)).tolist() == [False] * 2 + [True] * 5
    assert top_k_correct(scores, torch.arange(7), k=1).tolist() == [False] * 6 + [True]
    # Equal scores: a constant prediction is right for k of the classes, not for all.
    assert top_k_correct(torch.zeros(7, 7), torch.arange(7)).sum() == 5


def test_many_at_once_with_torch_func():
    scores = torch.randn(3, 4, 9, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([0, 3, 5, 8])
    for loss_of in (truncated_top_k, exact_top_k):
        gradients = torch.func.vmap(torch.func.grad(lambda s, f=loss_of: f(s, labels).sum()))(
            scores
        )
        one = scores[1].clone().requires_grad_()
        loss_of(one, labels).sum().backward()
        assert torch.allclose(gradients[1], one.grad)
