"""Single facts of optimizers that no other test shows."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
import torch
from torch import nn

from alig_deepobs import AliG
from alig_deepobs.optimizers.aprox import Aprox
from alig_deepobs.optimizers.dfw import DFW
from alig_deepobs.optimizers.health import HealthWarning
from alig_deepobs.optimizers.momo import MomoAdam
from alig_deepobs.optimizers.polyak import Polyak
from alig_deepobs.optimizers.projection import l2_projection
from alig_deepobs.optimizers.rmsprop_tf1 import RMSpropTF1
from alig_deepobs.registry import optimizers


def weights(values=(1.0, -2.0), dtype=torch.float64):
    return nn.Parameter(torch.tensor(values, dtype=dtype))


def test_rmsprop_with_momentum_is_tensorflows_rule():
    w, v, m = weights(), torch.ones(2, dtype=torch.float64), torch.zeros(2, dtype=torch.float64)
    expected = w.detach().clone()
    optimizer = RMSpropTF1([w], lr=0.1, decay=0.8, momentum=0.5, eps=1e-3)
    for g in (torch.tensor([0.3, -0.1]), torch.tensor([0.2, 0.4]), torch.tensor([-0.6, 0.1])):
        w.grad = g.double()
        optimizer.step()
        v = 0.8 * v + 0.2 * w.grad**2
        m = 0.5 * m + 0.1 * w.grad / (v + 1e-3).sqrt()
        expected = expected - m
    torch.testing.assert_close(w.detach(), expected)


def test_half_precision_under_a_cap_is_not_guarded():
    w = weights(dtype=torch.float16)
    optimizer = AliG([w], max_lr=0.1, momentum=0.0)
    w.grad = torch.full((2,), 1e-4, dtype=torch.float16)  # uncapped the step would be 2e5
    optimizer.step(loss=2.3)
    assert optimizer.step_size == 0.1
    assert not any(optimizer.guarded_steps.values())


def test_gradients_whose_norm_grows_slowly_are_not_taken_for_clipped_ones():
    w = weights()
    optimizer = AliG([w], max_lr=1e-6, momentum=0.0)
    for step in range(300):
        w.grad = torch.tensor([1.0 + step / 400, 0.0], dtype=torch.float64)
        optimizer.step(loss=1.0)
    assert "clip" not in str(optimizer.health())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda group: group.update(dampening=0.0), "has .*dampening"),
        (lambda group: group.pop("eps"), "lacks .*eps"),
    ],
)
def test_a_foreign_state_is_refused_by_what_it_has_or_lacks(change, words):
    state = AliG([weights()]).state_dict()
    change(state["param_groups"][0])
    with pytest.raises(ValueError, match=words):
        AliG([weights()]).load_state_dict(state)


def test_a_rate_that_became_a_negative_tensor_is_refused():
    w = weights()
    optimizer = AliG([w], max_lr=0.1)
    optimizer.param_groups[0]["lr"] = torch.tensor(-1.0)
    w.grad = torch.ones(2, dtype=torch.float64)
    with pytest.raises(ValueError, match="max_lr became -1"):
        optimizer.step(loss=1.0)


def test_a_loss_of_numpy():
    ends = []
    for loss in (np.array(0.5), np.float32(0.5), 0.5):
        w = weights()
        w.grad = torch.ones(2, dtype=torch.float64)
        AliG([w], max_lr=10.0, momentum=0.0).step(loss=loss)
        ends.append(w.detach())
    assert torch.equal(ends[0], ends[2])
    assert torch.equal(ends[1], ends[2])


def test_a_pickle_from_before_an_option_existed():
    """What an optimizer counts starts anew; everything else has its default."""
    optimizer = AliG([weights()])
    state = copy.deepcopy(optimizer.__getstate__())
    del state["param_groups"][0]["guard_counts"], state["param_groups"][0]["clip_norm"]
    restored = pickle.loads(pickle.dumps(optimizer))
    restored.__setstate__(state)
    assert restored.param_groups[0]["guard_counts"] == (0, 0, 0)
    assert restored.param_groups[0]["clip_norm"] is None


def test_a_group_with_a_rate_where_there_is_none():
    optimizer = Polyak([weights()])
    with pytest.warns(HealthWarning, match="no learning rate: lr=0.1 is ignored") as said:
        optimizer.add_param_group({"params": [weights()], "lr": 0.1})
    assert said[0].filename == __file__
    assert "lr" not in optimizer.param_groups[1]


def test_arguments_are_refused_by_name():
    with pytest.raises(ValueError, match="eps"):
        Aprox([weights()], lr=1.0, eps=-1.0)
    with pytest.raises(ValueError, match="weight_decay"):
        DFW([weights()], lr=0.1, weight_decay=-1.0)


OWN = {
    name: entry
    for name, entry in optimizers().items()
    if entry.factory.startswith("alig_deepobs.") and hasattr(entry.load(), "regularization")
}


@pytest.mark.parametrize("entry", OWN.values(), ids=OWN)
def test_a_class_says_of_the_l2_term_what_its_entry_says(entry):
    assert entry.load().regularization == entry.regularization


def test_weights_without_numbers_are_projected():
    empty = torch.zeros(0)
    l2_projection([empty], 1.0)
    assert empty.numel() == 0


@pytest.mark.parametrize("foreach", [True, False])
@pytest.mark.parametrize(
    ("dtype", "eps", "small"),
    [(torch.float32, 0.0, 1e-30), (torch.float64, 0.0, 1e-200), (torch.float16, 1e-8, 1e-4)],
)
def test_gradients_of_which_the_square_is_0_move_nothing_far(dtype, eps, small, foreach):
    w = weights((1.0, -2.0, 3.0), dtype)
    optimizer = MomoAdam([w], lr=0.1, eps=eps, foreach=foreach)
    for _ in range(3):
        w.grad = torch.tensor([0.0, small, 1.0], dtype=dtype)
        optimizer.step(loss=2.0)
    assert w.isfinite().all()
    assert w[0] == 1.0
    assert abs(float(w.detach()[1]) + 2.0) < 0.4
    assert w[2] < 2.9
