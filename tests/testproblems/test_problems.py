"""The problems: their sizes, their start, and what DeepOBS publishes about them."""

import math

import numpy as np
import pytest
import torch

import alig_deepobs.testproblems as testproblems
from alig_deepobs import registry
from alig_deepobs.testproblems.models.closed_form import deep_learning_hessian

SMALL = ("quadratic", "two_d", "digits", "mnist", "fmnist")  # the others: test_more_problems.py
NAMES = [
    name for name, entry in registry.testproblems().items()
    if entry.factory.startswith("alig_deepobs.testproblems.") and entry.data_set in SMALL
]  # fmt: skip
PARAMETERS = {
    "logreg": 7_850, "mlp": 1_336_610, "2c2d": 3_274_634, "vae": 10_151_489, "deep": 100,
    "rosenbrock": 2, "beale": 2, "branin": 2,
}  # fmt: skip
DIGITS = {"digits_logreg": 650, "digits_mlp": 12_060}


def make(name, **settings):
    settings = {"batch_size": registry.find_testproblem(name).batch_size, "seed": 42} | settings
    problem = getattr(testproblems, name)(device="cpu", **settings)
    problem.set_up()
    return problem


def mean_loss(problem, phase):
    getattr(problem, f"{phase}_init_op")()
    losses = []
    while True:
        try:
            losses.append(problem.get_batch_loss_and_accuracy()[0].item())
        except StopIteration:
            return float(np.mean(losses))


@pytest.mark.parametrize("name", NAMES)
def test_every_problem_trains_on_its_twin(name):
    problem = make(name, synthetic=True)
    assert "synthetic twin" in problem.data.label
    count = sum(parameter.numel() for parameter in problem.net.parameters())
    assert count == DIGITS.get(name, PARAMETERS.get(name.rsplit("_", 1)[1]))
    problem.train_init_op()
    loss, accuracy = problem.get_batch_loss_and_accuracy()
    loss.backward()
    assert loss.shape == ()
    assert loss.isfinite()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in problem.net.parameters())
    if problem.has_accuracy:
        assert accuracy.shape == ()
        assert 0 <= accuracy <= 1
    else:
        assert accuracy == 0.0
        assert isinstance(accuracy, float)
    entry = registry.find_testproblem(name)
    assert problem.data.name == entry.data_set
    assert problem.has_accuracy == (entry.metric == "accuracy")
    assert "Interpolation:" in type(problem).__doc__


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("batch_size", [64, 128])
def test_twins_are_large_enough_for_both_default_batch_sizes(name, batch_size):
    if name.endswith(("2c2d", "vae")) and name.startswith("fmnist"):
        pytest.skip("the same network and sizes as on MNIST")
    split = "full" if name.startswith("two_d") else "validation"
    problem = make(name, synthetic=True, batch_size=batch_size, split=split)
    assert len(problem.batch_order(0)) > 0
    assert len(problem.train_eval_order(0)) > 0
    assert all(problem.data.size(part) >= batch_size for part in problem.data.parts)


def test_unknown_names_are_attribute_errors():
    with pytest.raises(AttributeError, match="mnist_nlp"):
        _ = testproblems.mnist_nlp
    assert "mnist_mlp" in dir(testproblems)


def test_quadratic_deep_is_the_published_instance_every_time():
    for _ in range(2):
        problem = make("quadratic_deep")
        # DeepOBS's baselines record 353.447 on the test set.
        assert mean_loss(problem, "test") == pytest.approx(353.4468, abs=5e-4)
    points = problem.data.parts["train"][0]
    assert problem.net(points).mean().item() == pytest.approx(353.93, abs=0.4)
    with torch.no_grad():
        problem.net.theta.copy_(points.mean(dim=0))
    assert problem.net(points).mean().item() == pytest.approx(84.770, abs=1e-3)


def test_quadratic_deep_against_numpy():
    problem = make("quadratic_deep")
    hessian = deep_learning_hessian()
    eigenvalues = np.linalg.eigvalsh(hessian)
    assert (eigenvalues[:90] < 1).all()
    assert (eigenvalues[90:] > 30).all()
    x = problem.data.parts["train"][0][:5]
    difference = 1.0 - x.numpy().astype(np.float64)
    expected = [0.5 * d @ hessian @ d for d in difference]
    assert problem.net(x).tolist() == pytest.approx(expected, rel=1e-5)
    with pytest.raises(ValueError, match="read-only"):
        hessian[0, 0] = 1.0


@pytest.mark.parametrize(
    ("name", "start", "minimum"),
    [
        ("two_d_rosenbrock", 158.500, ((1.0, 1.0), 0.0)),
        ("two_d_beale", 169680.83, ((3.0, 0.5), 0.0)),
        ("two_d_branin", 95.8447, ((math.pi, 2.275), 0.397887)),
    ],
)
def test_two_d(name, start, minimum):
    problem = make(name)
    assert mean_loss(problem, "test") == pytest.approx(start, rel=1e-6)
    x, y = problem.data.parts["train"]
    assert len(x) == 10_000
    losses = problem.net(x[:4], y[:4])
    u, v = problem.net.u.item(), problem.net.v.item()
    assert (losses - start).tolist() == pytest.approx(
        (u * x[:4] + v * y[:4]).tolist(), abs=1e-6 * start + 0.02
    )
    with torch.no_grad():
        problem.net.u.fill_(minimum[0][0])
        problem.net.v.fill_(minimum[0][1])
    assert mean_loss(problem, "test") == pytest.approx(minimum[1], abs=1e-5)


def test_two_d_noise_is_drawn_as_in_deepobs():
    rng = np.random.RandomState(42)
    x, y = rng.normal(0.0, 1.0, 10_000), rng.normal(0.0, 1.0, 10_000)
    found = make("two_d_beale").data.parts["train"]
    assert np.array_equal(found[0], x.astype(np.float32))
    assert np.array_equal(found[1], y.astype(np.float32))


@pytest.mark.parametrize("name", ["digits_logreg", "mnist_logreg", "fmnist_logreg"])
def test_logistic_regression_starts_at_ln_10(name):
    problem = make(name, synthetic=name != "digits_logreg")
    assert mean_loss(problem, "test") == pytest.approx(math.log(10), abs=1e-6)


def test_digits_can_be_learned():
    problem = make("digits_mlp", weight_decay=1e-4)
    assert problem.data.label == "Digits (scikit-learn)"
    assert (problem.data.size("train"), problem.data.size("test")) == (1445, 352)
    optimizer = torch.optim.SGD(problem.net.parameters(), lr=0.03, momentum=0.9)
    for _ in range(8):
        problem.train_init_op()
        for _ in problem.batch_order(0):
            optimizer.zero_grad()
            problem.get_batch_loss_and_accuracy()[0].backward()
            optimizer.step()
    problem.test_init_op()
    accuracies = [problem.get_batch_loss_and_accuracy()[1].item() for _ in range(11)]
    assert np.mean(accuracies) > 0.93


def test_many_runs_at_once_with_torch_func():
    problem = make("digits_mlp")
    index = problem.batch_order(0)[0]
    batch = problem.data.take("train", index)
    stacked = {
        name: torch.stack([p.detach(), 0.5 * p.detach()])
        for name, p in problem.net.named_parameters()
    }

    def loss_of(parameters):
        outputs = torch.func.functional_call(problem.net, parameters, (batch[0],))
        return problem.losses_of(outputs, batch).mean()

    gradients, losses = torch.func.vmap(torch.func.grad_and_value(loss_of))(stacked)
    problem.train_init_op()
    loss, _ = problem.get_batch_loss_and_accuracy()
    loss.backward()
    assert losses[0].item() == pytest.approx(loss.item(), rel=1e-5)
    weight = problem.net[1].weight
    assert torch.allclose(gradients["1.weight"][0], weight.grad, atol=1e-6)
