import pytest

from alig_deepobs import registry
from alig_deepobs.baselines import (
    about_published,
    known_setting,
    published_problems,
    published_runs,
)
from alig_deepobs.registry import resolve_optimizer
from alig_deepobs.settings import Setting

# Read off the published runs by hand.
RATES = {
    ("quadratic_deep", "sgd"): 0.015848931925,
    ("quadratic_deep", "momentum"): 0.0025118864315,
    ("quadratic_deep", "adam"): 0.039810717055,
    ("fmnist_2c2d", "sgd"): 0.15848931925,
    ("fmnist_vae", "momentum"): 1e-5,
    ("svhn_wrn164", "adam"): 0.00015848931925,
    ("tolstoi_char_rnn", "sgd"): 1.5848931925,
}


@pytest.mark.parametrize(("pair", "rate"), RATES.items())
def test_known_rates(pair, rate):
    assert known_setting(*pair).params["lr"] == rate


def test_other_hyperparameters():
    assert known_setting("quadratic_deep", "momentum").params["momentum"] == 0.99
    assert known_setting("quadratic_deep", "adam").params["betas"] == (0.9, 0.999)
    assert known_setting("quadratic_deep", "adam").params["eps"] == 1e-8


def test_about():
    assert "MIT" in about_published()["licence"]
    assert "3da285a" in about_published()["source"]


def test_runs_agree_with_the_catalog():
    assert len(published_problems()) == 8
    for name in published_problems():
        entry = registry.testproblems()[name]
        for run in published_runs(name):
            assert (entry.num_epochs, entry.batch_size) == (run.num_epochs, run.batch_size)
            assert entry.weight_decay == run.weight_decay


def test_sources_are_honest():
    assert "one seed" in known_setting("quadratic_deep", "sgd").source
    assert "10 of 10 seeds" in known_setting("mnist_vae", "momentum").source
    assert "equal: best of 9 settings" in known_setting("quadratic_deep", "alig").source


def test_what_they_were_tuned_for():
    for name, of, epochs in [("mnist_2c2d", "fmnist_2c2d", 100), ("mnist_vae", "mnist_vae", 50)]:
        known = known_setting(name, "sgd")
        assert (known.problem, known.num_epochs) == (of, epochs)
    assert known_setting("quadratic_deep", "alig").num_epochs == 100


def test_unknown_settings():
    assert known_setting("mnist_2c2d", "alig") is None
    assert known_setting("mnist_mlp", "sgd") is None
    assert known_setting("fmnist_mlp", "adam") is None
    assert known_setting("nowhere", "sgd") is None


def test_transfer_has_the_numbers_of_its_origin():
    for optimizer in ("sgd", "momentum", "adam"):
        origin = known_setting("fmnist_2c2d", optimizer)
        assert known_setting("mnist_2c2d", optimizer).params == origin.params


@pytest.mark.parametrize("optimizer", ["alig", "sgd", "momentum", "adam"])
@pytest.mark.parametrize("problem", published_problems())
def test_settings_are_usable(problem, optimizer):
    known = known_setting(problem, optimizer)
    if known is not None:
        resolve_optimizer(Setting(optimizer, known.params))


def test_a_callers_change_does_not_stay():
    known_setting("quadratic_deep", "sgd").params["lr"] = 5.0
    assert known_setting("quadratic_deep", "sgd").params["lr"] == RATES["quadratic_deep", "sgd"]
