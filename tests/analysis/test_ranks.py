import math

import numpy as np
import pytest

from alig_deepobs.analysis import cliques, nemenyi_critical_difference, rank_optimizers
from alig_deepobs.errors import UsageError

# Demšar, JMLR 7 (2006), table 6: AUC of four decision trees on 14 data sets.
DEMSAR = {
    "C4.5": [0.763, 0.599, 0.954, 0.628, 0.882, 0.936, 0.661, 0.583, 0.775, 1.000, 0.940, 0.619,
             0.972, 0.957],
    "C4.5+m": [0.768, 0.591, 0.971, 0.661, 0.888, 0.931, 0.668, 0.583, 0.838, 1.000, 0.962, 0.666,
               0.981, 0.978],
    "C4.5+cf": [0.771, 0.590, 0.968, 0.654, 0.886, 0.916, 0.609, 0.563, 0.866, 1.000, 0.965, 0.614,
                0.9751, 0.946],
    "C4.5+m+cf": [0.798, 0.569, 0.967, 0.657, 0.898, 0.931, 0.685, 0.625, 0.875, 1.000, 0.962,
                  0.669, 0.975, 0.970],
}  # fmt: skip


def table(rows):
    return {name: {f"d{i:02}": v for i, v in enumerate(values)} for name, values in rows.items()}


def test_demsars_example():
    higher = {f"d{i:02}": True for i in range(14)}
    found = rank_optimizers(table(DEMSAR), higher)
    # As printed: 3.143, 2.000, 2.893, 1.964; Nemenyi's difference at 0.05 is 1.25.
    printed = {"C4.5+m+cf": 1.964, "C4.5+m": 2.0, "C4.5+cf": 2.893, "C4.5": 3.143}
    assert list(found.average_ranks) == list(printed)
    assert found.average_ranks == pytest.approx(printed, abs=5e-4)
    assert found.critical_difference == pytest.approx(1.25, abs=5e-3)
    # The paper's 9.28 has no correction for ties; scipy's, which has one, is a little larger.
    uncorrected = 12 * 14 / (4 * 5) * sum(r**2 for r in found.average_ranks.values()) - 3 * 14 * 5
    assert uncorrected == pytest.approx(9.28, abs=0.01)
    assert found.friedman_statistic >= uncorrected
    assert found.friedman_p < 0.05
    # The largest gap, 1.179, is below 1.25: Nemenyi tells none apart, as the paper says.
    assert found.cliques == (tuple(printed),)


@pytest.mark.parametrize(("k", "q"), [(2, 1.960), (3, 2.343), (4, 2.569), (5, 2.728), (10, 3.164)])
def test_demsars_table_of_q(k, q):
    # Table 5(a), alpha 0.05.
    difference = nemenyi_critical_difference(k, 6)
    assert difference / math.sqrt(k * (k + 1) / 36) == pytest.approx(q, abs=1.1e-3)


def test_agrees_with_scikit_posthocs():
    posthocs = pytest.importorskip("scikit_posthocs")
    found = rank_optimizers(table(DEMSAR), {f"d{i:02}": True for i in range(14)})
    p = posthocs.posthoc_nemenyi_friedman(np.array(list(DEMSAR.values())).T)
    names = list(DEMSAR)
    for i, a in enumerate(names):
        for j, b in enumerate(names):
            gap = abs(found.average_ranks[a] - found.average_ranks[b])
            assert (gap >= found.critical_difference) == (p.iloc[i, j] <= 0.05)


def test_directions_failures_and_ties():
    results = {
        "A": {"acc": 0.9, "loss": 1.0, "x": 0.5},
        "B": {"acc": 0.8, "loss": 2.0, "x": 0.5},
        "C": {"acc": math.nan, "loss": 9.0, "x": 0.4},
    }
    found = rank_optimizers(results, {"acc": True, "loss": False, "x": True})
    assert found.average_ranks == pytest.approx({"A": 3.5 / 3, "B": 5.5 / 3, "C": 3.0})


def test_two_optimizers_have_no_friedman_test():
    found = rank_optimizers({"A": {"p": 1.0, "q": 2.0}, "B": {"p": 0.0, "q": 1.0}},
                            {"p": True, "q": True})  # fmt: skip
    assert math.isnan(found.friedman_p)
    with pytest.raises(UsageError, match="two problems"):
        rank_optimizers({"A": {"p": 1.0}, "B": {"p": 0.0}}, {"p": True})
    with pytest.raises(UsageError, match="same problems"):
        rank_optimizers({"A": {"p": 1.0}, "B": {"q": 0.0}}, {"p": True, "q": True})


def test_cliques_are_the_largest_groups():
    ranks = {"A": 1.0, "B": 1.4, "C": 1.9, "D": 3.5, "E": 3.6}
    assert cliques(ranks, 1.0) == (("A", "B", "C"), ("D", "E"))
    assert cliques(ranks, 0.6) == (("A", "B"), ("B", "C"), ("D", "E"))
    assert cliques(ranks, 0.05) == ()
