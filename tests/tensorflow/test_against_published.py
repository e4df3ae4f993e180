"""Full runs of quadratic_deep against the published results of DeepOBS's baselines."""

import statistics

import pytest

from alig_deepobs.baselines import known_setting, published_runs
from alig_deepobs.run import RunSpec
from alig_deepobs.runners import execute

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("needs_tensorflow")]


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "adam"])
def test_quadratic_deep_within_one_percent(optimizer):
    runs = published_runs("quadratic_deep", optimizer)
    published = {run.random_seed: run.test_losses[-1] for run in runs}
    curve = runs[0].test_losses
    params = known_setting("quadratic_deep", optimizer).params
    finals = {}
    for framework in ("tensorflow", "pytorch"):
        spec = RunSpec("quadratic_deep", optimizer, params, device="cpu", framework=framework)
        result = execute(spec)
        assert len(result.test_losses) == 101
        assert result.test_losses[0] == pytest.approx(353.447, abs=1e-3)
        # All optimizers end near 87; on the way there they differ by tens of percent.
        assert result.test_losses[:30] == pytest.approx(curve[:30], rel=0.03)
        finals[framework] = result.test_losses[-1]
    # The same seed in TensorFlow; in PyTorch a seed has other batch orders.
    assert finals["tensorflow"] == pytest.approx(published[42], rel=0.01)
    assert finals["pytorch"] == pytest.approx(statistics.fmean(published.values()), rel=0.01)
