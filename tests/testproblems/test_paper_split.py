"""The paper's split: check values computed with the authors' code under NumPy 1.18."""

import numpy as np
import pytest

from alig_deepobs.testproblems.datasets.paper_split import paper_held_out, paper_split

# total, held out, first training examples, first validation examples, sums of both
VALUES = [
    (
        50_000,
        5_000,
        [20259, 48853, 20844, 2463, 34804, 44796, 39328, 35922, 42705, 35977],
        [13042, 6109, 46700, 44455, 20481, 41984, 2194, 17984, 5301, 645],
        (1125037282, 124937718),
    ),
    (
        73_257,
        6_000,
        [20306, 44716, 26077, 44755, 54984],
        [59806, 15649, 70780, 3021, 59580],
        (2465753508, 217503888),
    ),
]


@pytest.mark.parametrize(("total", "valid_size", "train_start", "valid_start", "sums"), VALUES)
def test_check_values(total, valid_size, train_start, valid_start, sums):
    train, valid = paper_split(total, valid_size)
    assert train[: len(train_start)].tolist() == train_start
    assert valid[: len(valid_start)].tolist() == valid_start
    assert (int(train.sum()), int(valid.sum())) == sums
    assert sorted([*train.tolist(), *valid.tolist()]) == list(range(total))
    assert len(valid) == valid_size


def test_the_global_generator_is_left_alone_and_has_no_influence():
    np.random.seed(7)
    state = np.random.get_state()[1].copy()
    first = paper_split(1000, 100)[1]
    assert np.array_equal(state, np.random.get_state()[1])
    np.random.seed(8)
    assert np.array_equal(first, paper_split(1000, 100)[1])


def test_small_files_hold_out_at_most_a_quarter():
    assert len(paper_held_out(50_000, 5_000, 50_000)) == 5_000
    assert len(paper_held_out(40_000, 5_000, 50_000)) == 5_000
    assert len(paper_held_out(100, 5_000, 50_000)) == 25
    with pytest.raises(ValueError, match="valid_size must be from 0 to 10, not 11"):
        paper_split(10, 11)
