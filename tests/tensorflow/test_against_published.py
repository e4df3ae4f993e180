"""Full runs of quadratic_deep against the published results of DeepOBS's baselines."""

import statistics

import pytest

from alig_deepobs.baselines import known_setting, published_result
from alig_deepobs.run import RunSpec
from alig_deepobs.runners import execute

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("needs_tensorflow")]


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "adam"])
def test_quadratic_deep_within_one_percent(optimizer):
    published = published_result("quadratic_deep", optimizer).per_seed
    params = known_setting("quadratic_deep", optimizer).params
    finals = {}
    for framework in ("tensorflow", "pytorch"):
        spec = RunSpec("quadratic_deep", optimizer, params, device="cpu", framework=framework)
        result = execute(spec)
        assert len(result.test_losses) == 101
        assert result.test_losses[0] == pytest.approx(353.447, abs=1e-3)
        finals[framework] = result.test_losses[-1]
    # The same seed in TensorFlow; in PyTorch a seed has other batch orders.
    assert finals["tensorflow"] == pytest.approx(published[42], rel=0.01)
    assert finals["pytorch"] == pytest.approx(statistics.fmean(published.values()), rel=0.01)
