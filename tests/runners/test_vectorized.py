"""Runs that are trained as one computation give what each gives alone."""

from __future__ import annotations

import dataclasses
import math
import warnings

import pytest
import torch
from studies import results
from torch import nn

from alig_deepobs.comparison import compare
from alig_deepobs.entries import NeedsLoss
from alig_deepobs.errors import UsageError
from alig_deepobs.registry import resolve_optimizer
from alig_deepobs.run import Outcome, RunSpec
from alig_deepobs.runners import Callback, Cell, Store, Study, execute
from alig_deepobs.runners.objective import build_optimizer
from alig_deepobs.runners.resolve import resolve
from alig_deepobs.runners.selection import Rule as Choice
from alig_deepobs.runners.study import Silent, local
from alig_deepobs.runners.training import set_up
from alig_deepobs.runners.vectorized import examples as stored
from alig_deepobs.runners.vectorized import grouping, training
from alig_deepobs.runners.vectorized.examples import Examples
from alig_deepobs.runners.vectorized.grouping import RULES, Grouping, why_alone
from alig_deepobs.runners.vectorized.training import train_together
from alig_deepobs.settings import parse_setting
from alig_deepobs.testproblems.datasets import tolstoi

SETTINGS = [
    ("sgd[lr=0.01]", "sgd[lr=0.1]"),
    ("momentum[lr=0.01]", "momentum[lr=0.03,momentum=0.5]"),
    ("nesterov[lr=0.01]", "nesterov[lr=0.03,momentum=0.5]"),
    ("adam[lr=0.001]", "adam[lr=0.01,eps=1e-4]"),
    ("amsgrad[lr=0.001]", "amsgrad[lr=0.01]"),
    ("adamw[lr=0.001]", "adamw[lr=0.01,weight_decay=0.3]"),
    ("rmsprop[lr=0.001]", "rmsprop[lr=0.002,alpha=0.9]"),
    ("rmsprop[lr=0.001,momentum=0.9]", "rmsprop[lr=0.002,momentum=0.5]"),
    ("rmsprop_tf1[lr=0.001]", "rmsprop_tf1[lr=0.01,decay=0.5,eps=1e-4]"),
    ("rmsprop_tf1[lr=0.001,momentum=0.9]", "rmsprop_tf1[lr=0.002,momentum=0.5]"),
    ("adagrad[lr=0.01]", "adagrad[lr=0.1,initial_accumulator_value=0.1]"),
    ("alig[max_lr=0.1,momentum=0.0]", "alig[max_lr=None,momentum=0.0,eps=0.1]"),
    ("alig[max_lr=0.1]", "alig[max_lr=1.0,momentum=0.5,f_min=0.01]"),
    ("alig[max_lr=0.1,adjusted_momentum=True]", "alig[max_lr=0.5,adjusted_momentum=True]"),
    ("alig[max_lr=0.1,max_norm=1.0]", "alig[max_lr=0.1,max_norm=3.0]"),
    ("alig_inf", "alig_inf[eps=0.1]"),
    ("l4mom", "l4mom[fraction=0.05]"),
    ("l4adam", "l4adam[fraction=0.05]"),
    ("dfw[lr=0.1]", "dfw[lr=0.5,momentum=0.5]"),
    ("dfw[lr=0.1,momentum=0.0]", "dfw[lr=0.5,momentum=0.0]"),
    ("sps[c=0.2]", "sps[c=1.0,gamma=1.5]"),
    ("sps[adapt_flag=constant,eta_max=0.1]", "sps[adapt_flag=constant,c=1.0,eta_max=1.0]"),
    ("momo[lr=0.1]", "momo[lr=1.0,beta=0.5]"),
    ("momo[lr=0.1,bias_correction=True]", "momo[lr=1.0,bias_correction=True]"),
    ("momo[lr=0.1,use_fstar=True]", "momo[lr=1.0,use_fstar=True,lb=0.1]"),
]
SHAPES = ((7, 5), (7,), (3, 7))


class Quadratics:
    """A separable, convex objective of the parameters of two members, each with its own target."""

    def __init__(self):
        generator = torch.Generator().manual_seed(0)
        self.targets = [
            [torch.randn(s, generator=generator) for s in SHAPES] for _ in range(2)
        ]  # fmt: skip
        self.scales = [1.0 + torch.rand(s, generator=generator) for s in SHAPES]
        self.start = [torch.randn(s, generator=generator) for s in SHAPES]

    def loss(self, member, params):
        return sum(
            (scale * (p - target).square()).mean()
            for scale, target, p in zip(self.scales, self.targets[member], params, strict=True)
        )


def build(setting, params):
    entry, hyperparams = resolve_optimizer(parse_setting(setting))
    facts = {"data_size": 100, "num_epochs": 5, "batches_per_epoch": 10}
    groups = {0.01: [params[0], params[2]], 0.0: [params[1]]}
    if entry.name == "momo":  # its rule has one step size for all weights
        groups = {0.01: params}
    return entry, build_optimizer(entry.load(), entry, params, hyperparams, groups, facts)[0]


@pytest.mark.parametrize("pair", SETTINGS, ids=[" and ".join(pair) for pair in SETTINGS])
def test_a_rule_takes_the_steps_of_its_class(pair):
    problem, alone, optimizers = Quadratics(), [], []
    for member, setting in enumerate(pair):
        params = [torch.nn.Parameter(p.clone()) for p in problem.start]
        entry, optimizer = build(setting, params)
        for _ in range(100):
            loss = problem.loss(member, params)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step(**({} if entry.needs_loss is NeedsLoss.NOTHING else {"loss": loss}))
        alone.append(torch.cat([p.detach().flatten() for p in params]))

    for setting in pair:
        params = [torch.nn.Parameter(p.clone()) for p in problem.start]
        entry, optimizer = build(setting, params)
        optimizers.append(optimizer)
    decayed = torch.cat([torch.full_like(p, float(p.dim() > 1)).flatten() for p in problem.start])
    if entry.name in ("momo", "adamw"):
        decayed = None
    rows = torch.stack([torch.cat([p.flatten() for p in problem.start])] * 2)
    rule = RULES[entry.factory](optimizers, rows, decayed)
    for _ in range(100):
        leaf = rows.clone().requires_grad_()
        parts = leaf.split([p.numel() for p in problem.start], dim=1)
        members = [[x[m].view(s) for x, s in zip(parts, SHAPES, strict=True)] for m in (0, 1)]
        losses = torch.stack([problem.loss(m, params) for m, params in enumerate(members)])
        losses.sum().backward()
        rule.step(rows, leaf.grad.clone(), losses.detach())
    for member in (0, 1):
        difference = (rows[member] - alone[member]).norm() / alone[member].norm()
        assert difference < 1e-5, pair[member]
    if entry.needs_loss is NeedsLoss.VALUE:
        for row, optimizer in zip(rule.sizes, ("step_size", "step_size_unclipped"), strict=True):
            assert row.shape == (2,), optimizer


def together(specs):
    runs = [resolve(spec) for spec in specs]
    key = Grouping("vectorized").key
    assert len({key(run) for run in runs}) == 1
    assert key(runs[0]) is not None
    return train_together(runs, [Callback() for _ in runs])


def assert_alike(result, expected, tolerance=1e-5):
    """The same record up to rounding and clocks."""
    assert result.environment["vectorized"] > 1
    free = {"training_seconds", "evaluation_seconds", "started", "environment"}
    for item in dataclasses.fields(result):
        if item.name not in free:
            found, wanted = getattr(result, item.name), getattr(expected, item.name)
            assert found == approx(wanted, tolerance), item.name
    assert len(result.training_seconds) == len(expected.training_seconds)
    assert len(result.evaluation_seconds) == len(expected.evaluation_seconds)


def approx(value, tolerance):
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return [approx(each, tolerance) for each in value]
    if isinstance(value, float) or (isinstance(value, list) and value):
        return pytest.approx(value, rel=tolerance, abs=1e-7)
    if isinstance(value, dict) and value and all(isinstance(v, float) for v in value.values()):
        return pytest.approx(value, rel=tolerance, abs=1e-7)
    return value


SMALL = {"num_epochs": 1, "synthetic": True}
LARGE = {"mnist_2c2d", "mnist_vae", "fmnist_vae", "cifar10_3c3d", "dnc_copy", "tolstoi_char_rnn"}
PROBLEMS = [
    ("quadratic_deep", "momentum", {"lr": 0.001}, {"num_epochs": 2}),
    ("two_d_rosenbrock", "sgd", {"lr": 1e-4}, SMALL),
    ("two_d_beale", "alig", {"max_lr": 1e-4}, SMALL),
    ("two_d_branin", "adam", {"lr": 0.01}, SMALL),
    ("digits_logreg", "alig", {"max_lr": 0.1}, {"num_epochs": 2}),
    ("digits_mlp", "alig", {"max_lr": 0.1}, {"num_epochs": 2, "weight_decay": 0.01}),
    ("digits_mlp", "momentum", {"lr": 0.01}, {"num_epochs": 2, "weight_decay": 0.01}),
    ("digits_mlp", "sgd", {"lr": 0.1}, {
        "num_epochs": 3, "split": "validation", "batch_size": 200,
        "training_params": {
            "lr_sched_epochs": [1], "lr_sched_factors": [0.1], "lr_plateau_factor": 0.5,
            "clip_norm": 0.5,
        },
    }),
    ("mnist_logreg", "sgd", {"lr": 0.01}, SMALL),
    ("mnist_mlp", "momentum", {"lr": 0.01}, SMALL | {"batch_size": 32}),
    ("mnist_2c2d", "alig", {"max_lr": 0.001}, SMALL | {"batch_size": 32}),
    ("mnist_vae", "sgd", {"lr": 1e-5}, SMALL | {"batch_size": 33}),
    ("fmnist_vae", "adam", {"lr": 1e-4}, SMALL | {"batch_size": 64}),
    ("cifar10_3c3d", "momentum", {"lr": 0.001}, SMALL | {"batch_size": 64}),
    ("dnc_copy", "alig", {"max_lr": 0.1}, {"num_epochs": 1, "batch_size": 4}),
    ("tolstoi_char_rnn", "momentum", {"lr": 0.1}, SMALL | {"batch_size": 50}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("problem", "optimizer", "params", "fields"),
    [
        pytest.param(
            *each, id=" ".join(each[:2]), marks=[pytest.mark.slow] if each[0] in LARGE else []
        )
        for each in PROBLEMS
    ],
)
@pytest.mark.parametrize("seeds", [(42, 42), (42, 43)], ids=["one seed", "two seeds"])
def test_members_equal_their_runs_alone(problem, optimizer, params, fields, seeds):
    (name, rate), *_ = params.items()
    specs = [
        RunSpec(problem, optimizer, {name: value}, random_seed=seed, device="cpu", **fields)
        for seed, value in zip(seeds, (rate, rate / 3), strict=True)
    ]
    # The reconstruction loss of an untrained auto-encoder is far from smooth.
    tolerance = 1e-4 if problem == "fmnist_vae" else 1e-5
    for result, spec in zip(together(specs), specs, strict=True):
        assert_alike(result, execute(spec), tolerance)


@pytest.fixture
def short_book(monkeypatch):
    """A text of 25 mini-batches for training and 8 for testing, in pieces of 10 characters."""
    text = torch.arange(1_001 + 331).square().remainder(83).numpy()
    monkeypatch.setattr(tolstoi, "STEPS", 10)
    monkeypatch.setattr(tolstoi, "_synthetic_text", lambda: (text[:1_001], text[1_001:]))
    return {"batch_size": 4, "synthetic": True, "device": "cpu"}


def test_members_carry_a_state_of_their_own_and_leave_with_it(short_book):
    rates = ((1.0, 42), (1e38, 42), (0.3, 43), (1e38, 43))
    specs = [
        RunSpec("tolstoi_char_rnn", "sgd", {"lr": lr}, random_seed=seed, num_epochs=2, **short_book)
        for lr, seed in rates
    ]
    results = together(specs)
    ends = [result.outcome for result in results]
    assert ends == [Outcome.DONE, Outcome.DIVERGED] * 2
    for result, spec in zip(results, specs, strict=True):
        assert_alike(result, execute(spec))


@pytest.mark.parametrize(
    "setting",
    [
        "alig[max_lr=0.1]",  # with 1.0, a change in the last digit of the first weights grows, too
        *(
            pytest.param(each, marks=pytest.mark.slow)
            for each in ("sgd[lr=1.0]", "momentum[lr=0.1]", "adam[lr=0.003]")
        ),
    ],
)
def test_members_with_a_state_equal_their_runs_alone_after_100_steps(short_book, setting):
    entry, hyperparams = resolve_optimizer(parse_setting(setting))
    (name, rate), *_ = hyperparams.items()
    specs = [
        RunSpec("tolstoi_char_rnn", entry.name, {name: value}, random_seed=seed, num_epochs=4,
                **short_book)
        for value, seed in ((rate, 42), (rate / 3, 42), (rate, 43))
    ]  # fmt: skip
    for result, spec in zip(together(specs), specs, strict=True):
        assert result.steps == 100
        assert_alike(result, execute(spec))


def test_the_computation_of_all_members_is_compiled_where_it_is_asked_for(monkeypatch):
    compiled, compile_ = [], torch.compile

    def noted(module, **options):
        compiled.append(module)
        return compile_(module, **options)

    monkeypatch.setattr(torch, "compile", noted)
    specs = [
        RunSpec("digits_mlp", "alig", {"max_lr": rate}, num_epochs=1, device="cpu", compile=True)
        for rate in (0.1, 0.03)
    ]
    results = together(specs)
    assert compiled
    assert not any(isinstance(each, nn.Linear | nn.Sequential) for each in compiled)
    for result, spec in zip(results, specs, strict=True):
        assert result.environment["compile"] is True
        assert_alike(result, execute(dataclasses.replace(spec, compile=False)))


def test_compiled_runs_and_others_are_trained_apart():
    runs = [resolve(RunSpec("digits_mlp", "alig", compile=each)) for each in (False, True)]
    keys = {Grouping("vectorized").key(run) for run in runs}
    assert len(keys) == 2
    assert None not in keys


def test_a_member_that_diverges_ends_and_the_others_go_on():
    rates = (1e-3, 1e9, 1e-2, 1e10)
    specs = [RunSpec("quadratic_deep", "sgd", {"lr": lr}, num_epochs=4) for lr in rates]
    results = together(specs)
    ends = [result.outcome for result in results]
    assert ends == [Outcome.DONE, Outcome.DIVERGED, Outcome.DONE, Outcome.DIVERGED]
    for result, spec in zip(results, specs, strict=True):
        assert_alike(result, execute(spec))


def test_runs_that_do_not_fit_into_memory_are_trained_in_parts(monkeypatch):
    specs = [RunSpec("digits_mlp", "sgd", {"lr": lr}, num_epochs=1) for lr in (0.1, 0.2, 0.3)]
    monkeypatch.setattr(training, "_fitting", lambda problem, runs: 2)
    results = together(specs)[:2]
    for result, spec in zip(results, specs[:2], strict=True):
        assert_alike(result, execute(spec))


def test_too_little_memory_for_one_run_is_an_error_and_a_study_goes_on(monkeypatch, caplog):
    specs = [RunSpec("digits_mlp", "sgd", {"lr": lr}, num_epochs=1) for lr in (0.1, 0.2)]
    monkeypatch.setattr(training, "free_bytes", lambda device: 1000)
    with pytest.raises(MemoryError, match=r"one run needs \d+ MiB"):
        together(specs)
    cells = [Cell((spec,), (42,)) for spec in specs]
    outcomes = Study(cells, None).carry_out(local(1, "vectorized"))
    assert "trained one by one" in caplog.text
    assert [outcome.runs[0].outcome for outcome in outcomes] == [Outcome.DONE] * 2
    assert "vectorized" not in outcomes[0].runs[0].environment


def plan(optimizer="sgd", count=5, **fields):
    rates = [0.01 * 2**i for i in range(count)]
    candidates = tuple(
        RunSpec("digits_logreg", optimizer, {"lr": lr}, num_epochs=1, **fields) for lr in rates
    )
    return [Cell(candidates, (42, 43), Choice(seeds=(1000,)))]


def test_a_study_trains_together_what_belongs_together(tmp_path):
    alone = Study(plan(), None).carry_out(local())[0]
    store = Store(tmp_path)
    both = Study(plan(), store).carry_out(local(1, "vectorized"))[0]
    assert both.chosen == alone.chosen
    for result, expected in zip(both.runs, alone.runs, strict=True):
        assert result.environment["vectorized"] == 2
        assert_alike(result, expected)
    assert all(runs[0].environment["vectorized"] == 5 for runs in both.tuning)
    # They are the same runs: nothing is left to be run, whatever the executor.
    assert Study(plan(), store).missing == []


def test_the_first_run_of_a_study_has_company_too():
    runs = Study(plan(count=4), None).carry_out(local(1, "auto"))[0].tuning
    assert [found[0].environment["vectorized"] for found in runs] == [4] * 4


def test_auto_leaves_few_runs_and_large_problems_alone():
    small = RunSpec("digits_logreg", "sgd", {"lr": 0.1}, num_epochs=1)
    auto, always = Grouping("auto"), Grouping("vectorized")
    assert auto.key(resolve(small)) is not None
    for name in ("mnist_mlp", "tolstoi_char_rnn"):
        large = RunSpec(name, "sgd", {"lr": 0.1}, synthetic=True, device="cpu")
        assert auto.key(resolve(large)) is None
        assert always.key(resolve(large)) is not None
    outcome = Study([Cell((small,), (1, 2, 3))], None).carry_out(local(1, "auto"))[0]
    assert "vectorized" not in outcome.runs[0].environment


def test_problems_that_draw_are_trained_alone_on_a_gpu(monkeypatch):
    """Its kernels draw in an order of their own."""
    vae, mlp = (resolve(RunSpec(name, "sgd", {"lr": 0.1}, synthetic=True))
                for name in ("mnist_vae", "mnist_mlp"))  # fmt: skip
    monkeypatch.setattr(grouping, "find_device", lambda device: torch.device("cuda"))
    assert "alike on the CPU only" in why_alone(vae)
    assert Grouping("auto").key(vae) is None
    assert Grouping("auto").key(mlp) is not None


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        (RunSpec("digits_mlp", "yogi"), "no update rule"),
        (RunSpec("digits_mlp", "torch.optim:SGD", {"lr": 0.1, "dampening": 0.5}), "dampening"),
        (RunSpec("svhn_wrn164", "sgd", synthetic=True), "cannot be computed"),
        (RunSpec("digits_mlp", "sgd", split="validation", keep_best="somewhere"), "keep_best"),
        (RunSpec("digits_mlp", "momo", weight_decay=0.1), "several step sizes"),
    ],
)
def test_what_cannot_be_trained_together_is_named_and_trained_alone(spec, reason):
    run = resolve(spec)
    assert reason in why_alone(run)
    grouping = Grouping("vectorized")
    with pytest.warns(UserWarning, match=reason):
        assert grouping.key(run) is None
    with warnings.catch_warnings():  # once is enough
        warnings.simplefilter("error")
        assert grouping.key(run) is None


def test_an_interrupt_ends_all_members_with_what_was_measured():
    class Interrupting(Callback):
        def evaluated(self, epoch, evaluations):
            if epoch == 1:
                raise KeyboardInterrupt

    runs = [
        resolve(RunSpec("digits_logreg", "sgd", {"lr": lr}, num_epochs=3)) for lr in (0.1, 0.2)
    ]  # fmt: skip
    results = train_together(runs, [Callback(), Interrupting()])
    assert [result.outcome for result in results] == [Outcome.INTERRUPTED] * 2
    assert all(result.outcome_reason == "interrupted after 1 epoch" for result in results)


@pytest.mark.parametrize("heard", ["started", "evaluated"])
def test_an_interrupt_ends_the_parts_that_wait_for_memory(monkeypatch, tmp_path, heard):
    """What was trained before is kept, and nothing more begins."""
    monkeypatch.setattr(training, "_fitting", lambda problem, runs: 2)
    begun = []

    class Progress(Silent):
        def callback(self, run):
            class Interrupting(Callback):
                def started(self, *args):
                    begun.append(run.random_seed)

            def interrupt(*args):
                raise KeyboardInterrupt

            callback = Interrupting()
            if run.random_seed == 45:
                setattr(callback, heard, interrupt)
            return callback

    cell = Cell((RunSpec("digits_logreg", "sgd", num_epochs=1),), (42, 43, 44, 45, 46, 47))
    with pytest.raises(KeyboardInterrupt):
        Study([cell], Store(tmp_path)).carry_out(local(mode="vectorized"), Progress())
    assert not {46, 47} & set(begun)
    seeds = {run["random_seed"]: run["outcome"] for run in results(tmp_path).values()}
    assert (seeds[42], seeds[43]) == (Outcome.DONE, Outcome.DONE)


def test_a_table_says_that_times_are_shares():
    found = compare("digits_logreg", "sgd[lr=0.1]", seeds=4, num_epochs=1, output_dir=None)
    assert all(run.environment["vectorized"] == 4 for run in found.results)
    assert any("their share of the common time" in note for note in found.leaderboard.notes)
    alone = compare(
        "digits_logreg", "sgd[lr=0.1]", seeds=4, num_epochs=1, output_dir=None, executor="processes"
    )
    assert not any("share" in note for note in alone.leaderboard.notes)


def test_two_processes_share_the_runs():
    outcome = Study(plan(count=8), None).carry_out(local(2, "auto"))[0]
    assert [runs[0].environment["vectorized"] for runs in outcome.tuning] == [4] * 8
    assert all(math.isfinite(runs[0].test_losses[-1]) for runs in outcome.tuning)


def test_a_set_that_stays_the_same_is_decoded_once(monkeypatch):
    problem = set_up(resolve(RunSpec("digits_logreg", "sgd", {"lr": 0.1}, num_epochs=1)))
    examples = Examples([problem], lambda piece: False)
    first = list(examples.pieces("test", 0))
    assert all(a is b for a, b in zip(first, examples.pieces("test", 1), strict=True))
    monkeypatch.setattr(stored, "KEPT", 1)
    examples = Examples([problem], lambda piece: False)
    first = list(examples.pieces("test", 0))
    assert not any(a is b for a, b in zip(first, examples.pieces("test", 1), strict=True))


# --- Checkpoints ---------------------------------------------------------------------------------


def study(store, seeds=4, **options):
    spec = RunSpec("digits_mlp", "sgd", {"lr": 0.1}, num_epochs=2, synthetic=True, **options)
    return Study([Cell((spec,), tuple(range(seeds)))], store)


def together_in(study):
    (outcome,) = study.carry_out(local(1, "auto"))
    return [run.environment.get("vectorized", 1) for run in outcome.runs]


def test_runs_with_an_interval_between_checkpoints_are_trained_alone(tmp_path):
    assert together_in(study(None)) == [4] * 4
    assert together_in(study(Store(tmp_path), checkpoint_interval=100.0)) == [1] * 4


@pytest.mark.parametrize("left", [0, 2])  # the first to run, and one of its company
def test_a_run_with_a_checkpoint_is_taken_up_alone(tmp_path, left):
    store = Store(tmp_path)
    plan = study(store, seeds=5)
    run = plan.missing[left]
    checkpoint = str(store.checkpoint(run))
    interrupted = execute(dataclasses.replace(run, checkpoint=checkpoint, time_limit=0.0))
    assert interrupted.outcome is Outcome.TIMEOUT
    assert store.checkpoint(run).is_file()
    (outcome,) = study(store, seeds=5).carry_out(local(1, "auto"))
    alone = [run for run in outcome.runs if "vectorized" not in run.environment]
    assert [run.random_seed for run in alone] == [left]
    assert "resumed_after_steps" in alone[0].environment
    assert not store.checkpoint(run).exists()


def test_an_interval_between_checkpoints_is_refused_where_there_are_none(tmp_path):
    options = {"num_epochs": 1, "protocol": "defaults", "output_dir": tmp_path / "results"}
    with pytest.raises(UsageError, match="have no checkpoints: take the executor auto"):
        compare("digits_mlp", "sgd", executor="vectorized", checkpoint_interval=1.0, **options)
    assert not any(tmp_path.iterdir())
