"""Single facts of the optimizers that no vector, equality or invariance shows."""

from __future__ import annotations

import math

import pytest
import torch
import torch.distributed as dist

from alig_deepobs import AliG, reduce_loss
from alig_deepobs.optimizers.sls import SLS

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
