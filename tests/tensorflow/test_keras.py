"""ALI-G in Keras 3's and Keras 2's model.fit: parity with PyTorch, saving, replicas, errors."""

import math
import sys
from types import ModuleType, SimpleNamespace

import pytest

from alig_deepobs.errors import UsageError, no_weight_decay


@pytest.fixture(scope="module", params=["keras", pytest.param("tf_keras", marks=pytest.mark.slow)])
def of(request, worker):
    answers = worker("keras_worker", request.param)

    def find(scenario):
        found = answers[scenario]
        assert not isinstance(found, dict) or "error" not in found, found["error"]
        return found

    find.package = request.param
    return find


def test_same_weights_as_pytorch_after_each_of_20_steps(of):
    differences = of("parity")
    assert len(differences) == 3 * 2 * 2
    for setting, difference in differences.items():
        assert difference < 1e-6, setting


def test_loss_is_the_objective_whose_gradient_was_taken(of):
    # Keras 3 computes its L2 term with a factor in float32, hence not 1e-12.
    for setting, difference in of("regularized").items():
        assert difference < 1e-6, setting


def test_saved_model_goes_on(of):
    saved = of("saved")
    assert saved["class"] == f"alig_deepobs.tensorflow.{of.package}"
    assert saved["difference"] == 0.0
    assert saved["size"] == 0.5 < saved["unclipped"]
    assert saved["guards"] == {"zero_norm": 0, "below_f_min": 0, "non_finite": 0}


def test_configuration_is_plain_data(of):
    found = of("configurations")
    assert all(each["same"] and each["momentum"] == 0.5 for each in found.values())
    given = {"momentum": 0.5, "eps": 0.1, "adjusted_momentum": True, "f_min": -1.0}
    for each in found.values():
        assert each["kept"] == {**given, "max_norm": 2.0, "name": "mine"}
        assert each["in config"] == sorted([*given, "max_lr", "max_norm", "name"])
    caps = [found[name]["cap"] for name in ("none", "number", "schedule")]
    assert caps == [math.inf, 0.5, 0.5]


def test_callbacks_change_the_cap(of):
    assert of("learning_rate_callback") == pytest.approx([1e-4, 0.5e-4])


def test_replicas_take_the_step_of_one_process(of):
    for difference in of("replicas").values():
        assert difference < 1e-12


def test_mixed_precision(of):
    found = of("mixed_precision")
    assert found["wrapped"].startswith("LossScaleOptimizer")
    # The loss is not the scaled one (2^15 times larger): the run stays near to that in float64.
    assert 0.0 < found["difference"] < 0.01
    assert found["size"] == 0.5
    assert "or use LossMixin with model.fit" in found["without the mixin"]


def test_loop_of_ones_own(of):
    found = of("own_loop")
    assert found["weights"] == pytest.approx([0.9, -0.6], abs=1e-12)
    assert found["no loss"].startswith("ValueError: ")
    assert "`loss`" in found["no loss"]
    assert "there is no gradient" in found["no gradient"]
    assert found["guards"] == {"zero_norm": 1, "below_f_min": 1, "non_finite": 1}
    assert found["unchanged"]
    if of.package == "tf_keras":
        unclipped, weights = found["minimized"]
        assert unclipped == pytest.approx(0.5)  # loss / |w|^2
        assert weights == pytest.approx([0.72, -0.48], abs=1e-7)


def test_skipped_step_leaves_the_momentum_alone(of):
    found = of("skipped")
    for three, two in found.values():
        assert three == two
    assert found["True"] != found["False"]


def test_bad_arguments(of):
    for name, message in of("bad_arguments").items():
        assert message.startswith(f"ValueError: {name} must be"), message


def test_habits_of_other_optimizers(of):
    """Each would give a wrong step, so each is refused, wherever it was written."""
    found = of("habits")
    assert len(found["arguments"]) == 6
    for name, said in found["arguments"].items():
        assert said.startswith(f"ValueError: AliG takes no {name}: "), said
        assert f"AliG takes no {name}: " in found["attributes"][name], found["attributes"][name]
    assert found["arguments"]["weight_decay"] == f"ValueError: {no_weight_decay('AliG')}"
    assert found["nothing asked"] == "no error"
    assert found["unknown"].startswith("TypeError: ")
    assert "'learning_rat'" in found["unknown"]
    assert "two names of one argument" in found["two names"]
    assert found["cap"] == 0.25


def test_mixin_leaves_other_optimizers_alone(of):
    assert of("other_optimizers") == 0.0


@pytest.mark.parametrize("name", ["keras", "tf_keras"])
def test_package_missing(name, monkeypatch):
    for other in [other for other in sys.modules if other.startswith("alig_deepobs.tensorflow._")]:
        if not other.endswith("._install"):
            monkeypatch.delitem(sys.modules, other)
    monkeypatch.setitem(sys.modules, "tensorflow", ModuleType("tensorflow"))
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(UsageError) as raised:
        __import__(f"alig_deepobs.tensorflow.{name}")
    assert str(raised.value) == f'{name} is not installed: pip install "alig-deepobs[tensorflow]"'


def test_keras_on_another_backend(monkeypatch):
    stand_in = ModuleType("keras")
    stand_in.backend = SimpleNamespace(backend=lambda: "jax")
    monkeypatch.setitem(sys.modules, "tensorflow", ModuleType("tensorflow"))
    monkeypatch.setitem(sys.modules, "keras", stand_in)
    with pytest.raises(UsageError, match=r"Keras runs on jax, .* KERAS_BACKEND=tensorflow"):
        __import__("alig_deepobs.tensorflow.keras")
