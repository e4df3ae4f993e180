"""The multi-class hinge loss: worked values, and what must hold for every score."""

from __future__ import annotations

import pytest
import torch

from alig_deepobs.testproblems.hinge import MultiClassHinge, hard_hinge, smoothed_hinge

SCORES = ((2.0, 0.5, -1.0), (0.2, 0.1, 0.0), (-1.0, 3.0, 1.0), (5.0, 0.0, 0.0))
LABELS = (0, 1, 2, 0)


def worked_example():
    return torch.tensor(SCORES, dtype=torch.float64, requires_grad=True), torch.tensor(LABELS)


@pytest.mark.parametrize(
    ("smooth", "losses", "gradient"),
    [
        (
            False,
            (0.0, 1.1, 3.0, 0.0),
            ((0, 0, 0), (0.25, -0.25, 0), (0, 0.25, -0.25), (0, 0, 0)),
        ),
        (
            True,
            (0.0, 0.674430586042173, 2.58456375661554, 0.0),
            (
                (0, 0, 0),
                (0.0917913502777, -0.166943751617, 0.0751524013389),
                (0.00396905999412, 0.216703333049, -0.220672393043),
                (0, 0, 0),
            ),
        ),
    ],
)
def test_worked_example(smooth, losses, gradient):
    scores, labels = worked_example()
    expected = torch.tensor(losses, dtype=torch.float64)
    per_example = MultiClassHinge("none", smooth=smooth)(scores, labels)
    torch.testing.assert_close(per_example, expected, rtol=1e-12, atol=1e-15)
    mean = MultiClassHinge(smooth=smooth)(scores, labels)
    torch.testing.assert_close(mean, expected.mean(), rtol=1e-12, atol=0)
    mean.backward()
    torch.testing.assert_close(
        scores.grad, torch.tensor(gradient, dtype=torch.float64), rtol=1e-11, atol=1e-15
    )


def test_means_of_the_worked_example():
    scores, labels = worked_example()
    assert hard_hinge(scores, labels).mean().item() == pytest.approx(1.025, rel=1e-12)
    assert smoothed_hinge(scores, labels).mean().item() == pytest.approx(
        0.814748585664427, rel=1e-12
    )


def test_a_perfect_margin_costs_nothing_and_never_less():
    generator = torch.Generator().manual_seed(0)
    scores = 3 * torch.randn(2000, 5, generator=generator, dtype=torch.float64)
    labels = torch.randint(5, (2000,), generator=generator)
    hard, smooth = hard_hinge(scores, labels), smoothed_hinge(scores, labels)
    own = scores.gather(1, labels.unsqueeze(1)).squeeze(1)
    rivals = scores.scatter(1, labels.unsqueeze(1), -torch.inf).amax(dim=1)
    torch.testing.assert_close(hard, (1 + rivals - own).clamp(min=0))
    assert ((hard == 0) == (own - rivals >= 1)).all()
    assert (smooth >= 0).all()
    assert (smooth <= hard + 1e-12).all()


def test_a_smoothed_sum_below_zero_is_replaced_by_the_hard_loss():
    # A far lower rival makes the weighted sum negative; a close one violates the margin.
    scores, labels = torch.tensor([[0.0, -0.9, -9.0, -9.0]]), torch.tensor([0])
    margins = torch.tensor([[0.0, 0.1, -8.0, -8.0]])
    assert (scores.softmax(dim=1) * margins).sum() < 0.1 * scores.softmax(dim=1)[0, 1]
    many = torch.cat([scores, scores[:, 2:].repeat(1, 1000)], dim=1)
    assert smoothed_hinge(many, labels).item() == pytest.approx(0.1, abs=1e-6)


def test_it_is_smooth_in_training_only():
    scores, labels = worked_example()
    loss = MultiClassHinge(smooth=True)
    assert loss(scores, labels).item() == pytest.approx(0.814748585664427)
    assert loss.eval()(scores, labels).item() == pytest.approx(1.025)


def test_sum_is_the_sum_of_the_losses():
    scores, labels = worked_example()
    assert MultiClassHinge("sum")(scores, labels).item() == pytest.approx(4.1)


def test_it_is_batched_over_models_by_vmap():
    scores, labels = worked_example()
    many = torch.stack([scores, 2 * scores, -scores]).detach()
    for function in (hard_hinge, smoothed_hinge):
        batched = torch.func.vmap(lambda s, f=function: f(s, labels))(many)
        torch.testing.assert_close(batched, torch.stack([function(s, labels) for s in many]))
