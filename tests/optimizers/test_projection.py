"""The projection that takes the place of weight decay for ALI-G."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from alig_deepobs import L2Ball, l2_projection


def network() -> torch.nn.Module:
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Linear(4, 5), torch.nn.BatchNorm1d(5), torch.nn.Linear(5, 2)
    )


def flat(model: torch.nn.Module) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in model.parameters()]).clone()


@pytest.mark.parametrize("max_norm", [0.0, -1.0, float("nan"), "1", True])
def test_radius_must_be_positive(max_norm):
    model = network()
    with pytest.raises(ValueError, match="max_norm"):
        l2_projection(model.parameters(), max_norm)
    with pytest.raises(ValueError, match="max_norm"):
        L2Ball(model.parameters(), max_norm)


def test_a_ball_of_nothing_is_refused():
    used = network().parameters()
    list(used)
    for nothing in (used, []):
        with pytest.raises(ValueError, match="no parameters to keep in the ball"):
            L2Ball(nothing, 1.0)
        with pytest.raises(ValueError, match="no parameters to keep in the ball"):
            l2_projection(nothing, 1.0)


@pytest.mark.parametrize("give", [list, tuple, iter], ids=["list", "tuple", "generator"])
def test_generators_and_sequences_are_taken(give):
    model = network()
    direction = flat(model) / flat(model).norm()
    l2_projection(give(list(model.parameters())), 0.5)
    torch.testing.assert_close(flat(model), 0.5 * direction)


def test_ball_made_from_a_generator_projects_every_time():
    model = network()
    ball = L2Ball(model.parameters(), 0.5)
    for _ in range(3):
        with torch.no_grad():
            for p in model.parameters():
                p.add_(1.0)
        ball()
        assert float(flat(model).norm()) == pytest.approx(0.5, rel=1e-5)


def test_all_parameters_count_also_scales_and_shifts():
    model = network()
    with torch.no_grad():
        model[1].weight.fill_(100.0)
    direction = flat(model) / flat(model).norm()
    l2_projection(model.parameters(), 1.0)
    torch.testing.assert_close(flat(model), direction)


def test_weights_inside_and_on_the_ball_keep_their_bits():
    p = torch.tensor([3.0, 4.0], requires_grad=True)
    for max_norm in (5.0, 6.0, None):
        l2_projection([p], max_norm)
        assert p.tolist() == [3.0, 4.0]


def test_works_in_place_and_records_no_gradient():
    p = torch.tensor([3.0, 4.0], requires_grad=True)
    p.grad = torch.ones(2)
    place = p.data_ptr()
    l2_projection([p], 1.0)
    assert p.data_ptr() == place
    assert p.is_leaf
    assert p.requires_grad
    assert p.grad.tolist() == [1.0, 1.0]
    torch.testing.assert_close(p.detach(), torch.tensor([0.6, 0.8]))


def test_zero_weights_stay_zero():
    p = torch.zeros(3, requires_grad=True)
    l2_projection([p], 1.0)
    assert p.tolist() == [0.0, 0.0, 0.0]


def test_half_precision_norm_is_accumulated_in_float32():
    p = torch.ones(5001, dtype=torch.bfloat16, requires_grad=True)
    l2_projection([p], 100.0)  # the norm is 70.7: bfloat16 sums stall or round up
    assert (p == 1).all()
    l2_projection([p], 35.36)
    torch.testing.assert_close(p.detach().float(), torch.full((5001,), 0.5), rtol=4e-3, atol=0)


@settings(max_examples=60, deadline=None)
@given(
    values=st.lists(st.floats(-1e3, 1e3), min_size=4, max_size=4),
    radius=st.floats(1e-3, 1e3),
)
def test_projection_is_the_nearest_point_of_the_ball(values, radius):
    w = torch.tensor(values, dtype=torch.float64)
    a, b = w[:3].clone(), w[3:].clone()
    l2_projection([a, b], radius)
    once = torch.cat([a, b])
    assert float(once.norm()) <= radius * (1 + 1e-12)
    expected = w * min(1.0, radius / max(float(w.norm()), 1e-300))
    torch.testing.assert_close(once, expected, rtol=1e-12, atol=1e-12)
    l2_projection([a, b], radius)
    torch.testing.assert_close(torch.cat([a, b]), once, rtol=1e-12, atol=0)


@pytest.mark.parametrize("by", ["deepcopy", "pickle"])
def test_copied_ball_belongs_to_the_copied_model(by):
    pair = (model := network(), L2Ball(model.parameters(), 0.5))
    other, ball = copy.deepcopy(pair) if by == "deepcopy" else pickle.loads(pickle.dumps(pair))
    before = flat(model)
    ball()
    assert float(flat(other).norm()) == pytest.approx(0.5, rel=1e-5)
    assert torch.equal(flat(model), before)
