"""Each step of the DNC's addressing, on cases that can be worked out by hand."""

import math

import pytest
import torch

from alig_deepobs.testproblems.models import dnc_addressing as addressing

EPS = addressing.EPSILON


def tensor(rows):
    """One example in double precision, with the batch axis in front."""
    return torch.tensor(rows, dtype=torch.float64).unsqueeze(0)


def off_diagonal(slots):
    return 1.0 - torch.eye(slots, dtype=torch.float64)


def sorted_allocation(usage):
    """The definition: sort, multiply, scatter back."""
    usage = EPS + (1.0 - EPS) * usage
    free, order = torch.sort(1.0 - usage, dim=1, descending=True, stable=True)
    before = torch.cumprod(torch.cat((torch.ones_like(free[:, :1]), 1.0 - free), dim=1), dim=1)
    return torch.zeros_like(usage).scatter(1, order, free * before[:, :-1])


def test_content_weights():
    memory = tensor([[3.0, 4.0], [0.0, 2.0], [0.0, 0.0]])
    keys = tensor([[0.0, 1.0], [1.0, 0.0]])
    strengths = tensor([[2.0], [0.5]])
    norms, key_norms = addressing.row_norms(memory), addressing.row_norms(keys)
    assert norms.flatten().tolist() == pytest.approx([5.0, 2.0, 1e-3], rel=1e-6)
    found = addressing.content_weights(memory, norms, keys, key_norms, strengths)
    # Cosines 0.8, 1, 0 and 0.6, 0, 0.
    rows = [(2.0 * 0.8, 2.0, 0.0), (0.5 * 0.6, 0.0, 0.0)]
    for row, weights in zip(rows, found[0].tolist(), strict=True):
        exponentials = [math.exp(x) for x in row]
        expected = [x / sum(exponentials) for x in exponentials]
        assert weights == pytest.approx(expected, abs=3e-6)


def test_the_constant_in_the_cosine():
    memory, keys = tensor([[1e-3], [0.0]]), tensor([[1e-3]])
    norms = addressing.row_norms(memory)
    found = addressing.content_weights(
        memory, norms, keys, addressing.row_norms(keys), tensor([[1.0]])
    )
    cosine = 1e-6 / ((1e-6 + 1e-6) + 1e-6)
    expected = math.exp(cosine) / (math.exp(cosine) + 1.0)
    assert found[0, 0, 0].item() == pytest.approx(expected, rel=1e-12)


def test_an_empty_memory_is_looked_up_evenly():
    memory, keys = tensor([[0.0, 0.0]] * 4), tensor([[1.0, -2.0]])
    found = addressing.content_weights(
        memory, addressing.row_norms(memory), keys, addressing.row_norms(keys), tensor([[7.0]])
    )
    assert found.flatten().tolist() == [0.25] * 4


def test_usage_rises_with_writes_and_falls_with_freed_reads():
    found = addressing.update_usage(
        tensor([0.5, 0.0, 1.0]),
        tensor([[0.4, 0.5, 0.0], [0.0, 0.5, 1.0]]),
        tensor([[0.5, 0.0, 1.0], [0.5, 0.2, 0.0]]),
        tensor([[1.0], [0.5]]),
    )
    # 0.5 + 0.5 * 0.4 = 0.7; 1 - 0.5 * 0.5 = 0.75; 1. Kept: 0.5 * 0.75, 1 * 0.9, 0 * 1.
    assert found[0].tolist() == pytest.approx([0.7 * 0.375, 0.75 * 0.9, 0.0], rel=1e-12)


def test_usage_hands_no_gradient_to_the_write_weights():
    usage, written, read, free = (
        torch.full(shape, 0.3, dtype=torch.float64, requires_grad=True)
        for shape in ((1, 3), (1, 2, 3), (1, 2, 3), (1, 2, 1))
    )
    addressing.update_usage(usage, written, read, free).sum().backward()
    assert written.grad is None
    for other in (usage, read, free):
        assert (other.grad != 0).all()


def test_allocation():
    lower = addressing.lower_indices(3)
    found = addressing.allocation_weights(tensor([0.5, 0.2, 0.8]), lower)
    # In the order of usage: 1 - 0.2; (1 - 0.5) * 0.2; (1 - 0.8) * 0.2 * 0.5.
    assert found[0].tolist() == pytest.approx([0.1, 0.8, 0.02], abs=3e-6)


def test_allocation_of_equal_usages_goes_by_index():
    lower = addressing.lower_indices(4)
    found = addressing.allocation_weights(tensor([0.5, 0.0, 0.0, 0.5]), lower)[0].tolist()
    assert found[1] == pytest.approx(1.0 - EPS)
    assert found[2] == pytest.approx((1.0 - EPS) * EPS)
    assert found[0] == pytest.approx(0.5 * EPS**2, rel=1e-5)
    assert found[3] == pytest.approx(0.25 * EPS**2, rel=1e-5)
    full = addressing.allocation_weights(torch.ones(1, 4), lower)
    assert full.tolist() == [[0.0] * 4]


def test_allocation_against_sorting():
    generator = torch.Generator().manual_seed(0)
    usage = torch.rand(50, 16, dtype=torch.float64, generator=generator)
    usage[10:20, ::3] = 0.0
    usage[20:30, 5:] = usage[20:30, 4:5]
    usage[30:40] = usage[30:40].round(decimals=1)
    mine, theirs = usage.clone().requires_grad_(), usage.clone().requires_grad_()
    found = addressing.allocation_weights(mine, addressing.lower_indices(16))
    expected = sorted_allocation(theirs)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-15)
    weights = torch.rand(50, 16, dtype=torch.float64, generator=generator)
    (found * weights).sum().backward()
    (expected * weights).sum().backward()
    torch.testing.assert_close(mine.grad, theirs.grad, rtol=1e-10, atol=1e-12)


def test_write_weights():
    content, usage = tensor([[0.6, 0.3, 0.1]]), tensor([0.5, 0.2, 0.8])
    found = addressing.write_weights(
        content, usage, tensor([[0.25]]), tensor([[0.5]]), addressing.lower_indices(3)
    )
    allocation = (0.1, 0.8, 0.02)
    mixed = [0.5 * (0.25 * a + 0.75 * c) for a, c in zip(allocation, (0.6, 0.3, 0.1), strict=True)]
    assert found[0, 0].tolist() == pytest.approx(mixed, abs=3e-6)


def test_a_second_write_head_allocates_another_slot():
    ones = tensor([[1.0], [1.0]])
    found = addressing.write_weights(
        torch.zeros(1, 2, 3, dtype=torch.float64), tensor([0.9, 0.0, 0.4]), ones, ones,
        addressing.lower_indices(3),
    )  # fmt: skip
    assert found[0, 0].tolist() == pytest.approx([0.0, 1.0, 0.0], abs=1e-5)
    # Slot 1 now counts as used: 1 - 0.4 for slot 2, then (1 - 0.9) * 0.4.
    assert found[0, 1].tolist() == pytest.approx([0.04, 0.0, 0.6], abs=1e-5)


def test_writing_erases_then_adds():
    memory = tensor([[1.0, 2.0], [3.0, 4.0]])
    found = addressing.write_to_memory(
        memory,
        tensor([[1.0, 0.0], [0.5, 0.5]]),
        tensor([[1.0, 0.0], [0.0, 1.0]]),
        tensor([[10.0, 20.0], [2.0, 4.0]]),
    )
    # Head 0 wipes word 0 of slot 0; head 1 halves word 1 of both.
    expected = [[0.0 + 10.0 + 1.0, 1.0 + 20.0 + 2.0], [3.0 + 1.0, 2.0 + 2.0]]
    assert found[0].tolist() == expected


def test_links_remember_the_order_of_writing():
    slots = 3
    link = torch.zeros(1, 1, slots, slots, dtype=torch.float64)
    precedence = torch.zeros(1, 1, slots, dtype=torch.float64)
    one_hot = torch.eye(slots, dtype=torch.float64)
    for slot in (0, 2, 1):  # written in this order
        weights = one_hot[slot].view(1, 1, slots)
        link = addressing.update_link(link, precedence, weights, off_diagonal(slots))
        precedence = addressing.update_precedence(precedence, weights)
    assert link[0, 0].tolist() == [[0, 0, 0], [0, 0, 1], [1, 0, 0]]  # 2 after 0, 1 after 2
    assert precedence[0, 0].tolist() == [0, 1, 0]

    content = torch.full((1, 1, slots), 7.0, dtype=torch.float64)
    at_2 = one_hot[2].view(1, 1, slots)
    back = addressing.read_weights(content, link, at_2, tensor([[1.0, 0.0, 0.0]]))
    on = addressing.read_weights(content, link, at_2, tensor([[0.0, 1.0, 0.0]]))
    look_up = addressing.read_weights(content, link, at_2, tensor([[0.0, 0.0, 1.0]]))
    assert back.flatten().tolist() == [1, 0, 0]
    assert on.flatten().tolist() == [0, 1, 0]
    assert look_up.flatten().tolist() == [7, 7, 7]


def test_link_and_precedence_of_partial_writes():
    weights, precedence = tensor([[0.2, 0.3]]), tensor([[0.4, 0.5]])
    link = tensor([[[0.0, 0.6], [0.7, 0.0]]])
    found = addressing.update_link(link, precedence, weights, off_diagonal(2))
    assert found[0, 0, 0].tolist() == pytest.approx([0.0, 0.5 * 0.6 + 0.2 * 0.5])
    assert found[0, 0, 1].tolist() == pytest.approx([0.5 * 0.7 + 0.3 * 0.4, 0.0])
    found = addressing.update_precedence(precedence, weights)
    assert found[0, 0].tolist() == pytest.approx([0.5 * 0.4 + 0.2, 0.5 * 0.5 + 0.3])


def test_modes_of_two_write_heads():
    """Backwards along each link, forwards along each link, then content."""
    link = tensor([[[0.0, 1.0], [0.0, 0.0]], [[0.0, 0.0], [2.0, 0.0]]])
    previous, content = tensor([[0.5, 0.25]]), tensor([[0.3, 0.4]])
    found = [
        addressing.read_weights(content, link, previous, mode.view(1, 1, 5))[0, 0].tolist()
        for mode in torch.eye(5, dtype=torch.float64)
    ]
    assert found == [[0.0, 0.5], [0.5, 0.0], [0.25, 0.0], [0.0, 1.0], [0.3, 0.4]]
