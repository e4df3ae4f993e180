import pytest

from alig_deepobs import registry
from alig_deepobs.baselines import (
    about_published,
    grid_for,
    known_setting,
    published_problems,
    published_runs,
)
from alig_deepobs.baselines.settings import GRID_SHIFTS
from alig_deepobs.registry import (
    HyperParameter,
    OptimizerEntry,
    find_optimizer,
    resolve_optimizer,
)
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


def own_optimizer(*parameters):
    return OptimizerEntry("mine", "Mine", "a:B", hyperparameters=dict(parameters))


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
    assert "fmnist_2c2d" in known_setting("mnist_2c2d", "sgd").source
    assert "10 of 10 seeds" in known_setting("mnist_vae", "momentum").source
    assert "not tuned" in known_setting("mnist_2c2d", "alig").source
    # As many tries as DeepOBS gave its baselines.
    assert "36 caps" in known_setting("quadratic_deep", "alig").source


def test_unknown_settings():
    assert known_setting("mnist_mlp", "sgd") is None
    assert known_setting("fmnist_mlp", "adam") is None
    assert known_setting("nowhere", "sgd") is None


def test_transfer_has_the_numbers_of_its_origin():
    for optimizer in ("sgd", "momentum", "adam"):
        origin = known_setting("fmnist_2c2d", optimizer)
        assert known_setting("mnist_2c2d", optimizer).params == origin.params


@pytest.mark.parametrize("optimizer", ["alig", "sgd", "momentum", "adam"])
@pytest.mark.parametrize("problem", registry.testproblems())
def test_settings_and_grids_are_usable(problem, optimizer):
    entry = find_optimizer(optimizer)
    grid = grid_for(problem, entry)
    assert len(grid) == 5
    known = known_setting(problem, optimizer)
    for params in [*grid, *([known.params] if known else [])]:
        resolve_optimizer(Setting(optimizer, params))


@pytest.mark.parametrize("entry", registry.optimizers().values(), ids=registry.optimizers())
def test_every_optimizer_has_a_grid_of_the_same_size(entry):
    """Except those with nothing to scale."""
    grid, main = grid_for("digits_mlp", entry), entry.main_hyperparameter
    if len(grid) == 1:
        assert not entry.grid
        assert entry.hyperparameters[main].default == 0.0
        return
    assert len(grid) == 5
    for params in grid:
        resolve_optimizer(Setting(entry.name, params))
    values = [params[main] for params in grid]
    assert values == sorted(set(values))
    assert entry.rate_like in ("", *registry.optimizers())


def test_grids_are_shifted_where_declared():
    values = [setting["lr"] for setting in grid_for("two_d_rosenbrock", find_optimizer("dfw"))]
    assert values == [1e-4, 3e-4, 1e-3, 3e-3, 1e-2]
    values = [setting["lr"] for setting in grid_for("two_d_rosenbrock", find_optimizer("sgd"))]
    assert values == [1e-4, 3e-4, 1e-3, 3e-3, 1e-2]
    assert set(GRID_SHIFTS) <= set(registry.testproblems())


def test_a_callers_change_does_not_stay():
    known_setting("quadratic_deep", "sgd").params["lr"] = 5.0
    assert known_setting("quadratic_deep", "sgd").params["lr"] == RATES["quadratic_deep", "sgd"]
    grid_for("mnist_mlp", find_optimizer("sgd"))[0]["lr"] = 5.0
    assert grid_for("mnist_mlp", find_optimizer("sgd"))[0]["lr"] == 1e-2


def test_grid_of_an_unknown_optimizer():
    scaled = grid_for("mnist_mlp", own_optimizer(("lr", HyperParameter(float, 0.003))))
    assert scaled == [{"lr": 3e-5}, {"lr": 3e-4}, {"lr": 0.003}, {"lr": 0.03}, {"lr": 0.3}]
    assert grid_for("mnist_mlp", own_optimizer(("k", HyperParameter(int, 3)))) == [{"k": 3}]
    no_cap = HyperParameter(float, None, optional=True)
    assert grid_for("mnist_mlp", own_optimizer(("cap", no_cap))) == [{"cap": None}]
    assert grid_for("mnist_mlp", own_optimizer()) == [{}]


@pytest.mark.parametrize(
    ("problem", "optimizer", "first"),
    [
        # Beale's is steeper than any network where it starts, and needs Adam to go far.
        ("two_d_beale", "sgd", 1e-7), ("two_d_beale", "momentum", 1e-8),
        ("two_d_beale", "adam", 0.1), ("two_d_beale", "alig", 1e-4), ("two_d_beale", "dfw", 1e-4),
        ("two_d_branin", "sgd", 1e-4), ("two_d_branin", "momentum", 1e-5),
        ("two_d_branin", "alig", 1e-4), ("two_d_branin", "adam", 1e-4),
        ("quadratic_deep", "sgd", 1e-3), ("quadratic_deep", "momentum", 1e-4),
        ("quadratic_deep", "alig", 1e-3), ("mnist_vae", "sgd", 1e-4), ("mnist_vae", "alig", 1e-4),
        ("fmnist_vae", "momentum", 1e-5), ("dnc_copy", "alig", 10.0),
    ],
)  # fmt: skip
def test_first_values_of_shifted_grids(problem, optimizer, first):
    entry = find_optimizer(optimizer)
    values = [setting[entry.main_hyperparameter] for setting in grid_for(problem, entry)]
    assert values[0] == first
    unmoved = [setting[entry.main_hyperparameter] for setting in grid_for("mnist_mlp", entry)]
    assert values == pytest.approx([first / unmoved[0] * value for value in unmoved])
