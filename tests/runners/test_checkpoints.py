"""A run that is left and taken up again is the same run, bit for bit."""

from __future__ import annotations

import logging
import math
import os
import re
import resource
import signal
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from alig_deepobs import registry
from alig_deepobs.errors import RunError
from alig_deepobs.results import to_json
from alig_deepobs.run import Outcome, RunSpec
from alig_deepobs.runners import Callback, checkpoint, execute
from alig_deepobs.runners.checkpoint import load_optimizer_state
from alig_deepobs.runners.resolve import resolve
from alig_deepobs.testproblems import digits_mlp

OF_THE_ATTEMPT = {"training_seconds", "evaluation_seconds", "environment", "started"}
INSTALLED = [name for name, entry in registry.optimizers().items() if entry.is_installed]


def measured(result):
    return {key: value for key, value in to_json(result).items() if key not in OF_THE_ATTEMPT}


class SignalAt(Callback):
    """Sends this process a signal in the middle of a step, or of the evaluation after an epoch."""

    def __init__(self, epoch, step, signum=signal.SIGINT):
        self.at, self.signum = (epoch, step), signum

    def ticked(self, epoch, step):
        if (epoch, step) == self.at:
            os.kill(os.getpid(), self.signum)

    def stepped(self, epoch, step, loss):
        if self.at == (epoch, None):  # the epoch is over, its evaluation about to start
            os.kill(os.getpid(), self.signum)
            self.at = (0, 0)


@pytest.fixture(autouse=True)
def _ctrl_c():
    """Tests that were started in the background ignore Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def resolved(tmp_path, problem="digits_mlp", optimizer="sgd", hyperparams=None, **fields):
    asked = {"num_epochs": 3, "synthetic": True, "device": "cpu", "train_log_interval": 1, **fields}
    if problem == "digits_mlp":
        asked.setdefault("batch_size", 64)
    run = resolve(RunSpec(problem, optimizer, hyperparams or {}, **asked))
    return replace(run, checkpoint=str(tmp_path / "checkpoint.pt"))


def left_and_taken_up(run, *moments):
    """The result of a run that is left at these moments; each is (epoch, step)."""
    for moment in moments:
        left = execute(run, SignalAt(*moment))
        assert left.outcome is Outcome.INTERRUPTED
        assert torch.load(run.checkpoint, weights_only=True)["stamp"]
    return execute(run)


@pytest.mark.parametrize("optimizer", INSTALLED)
@pytest.mark.filterwarnings("ignore")
def test_every_optimizer_goes_on_bit_for_bit(tmp_path, optimizer):
    run = resolved(tmp_path, optimizer=optimizer, split="validation")
    undisturbed = execute(replace(run, checkpoint=None))
    again = left_and_taken_up(run, (1, 5), (2, None), (3, 2))
    assert measured(again) == measured(undisturbed)
    steps = undisturbed.steps // 3
    assert again.environment["resumed_after_steps"] == [6, 2 * steps, 2 * steps + 3]


@pytest.mark.parametrize(
    ("problem", "options"),
    [
        ("quadratic_deep", {"reshuffle": True}),
        ("two_d_branin", {}),
        # Dropout and a state between mini-batches; random crops; sentences; latents.
        *(
            pytest.param(name, {}, marks=pytest.mark.slow)
            for name in ("tolstoi_char_rnn", "cifar10_3c3d", "snli_bilstm", "mnist_vae")
        ),
    ],
)
def test_every_kind_of_randomness_goes_on(tmp_path, problem, options):
    params = {"max_lr": 0.01, "momentum": 0.9}
    run = resolved(tmp_path, problem, "alig", params, num_epochs=2, **options)
    undisturbed = execute(replace(run, checkpoint=None))
    again = left_and_taken_up(run, (1, 1), (1, None), (2, 0))
    assert measured(again) == measured(undisturbed)
    assert len(again.environment["resumed_after_steps"]) == 3


class Precise(torch.optim.SGD):
    """Keeps a sum in double precision and a counter, both of which torch would make float32."""

    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                state = self.state[p]
                state["sum"] = state.get("sum", 0.0) + p.grad.double()
                state["count"] = state.get("count", torch.tensor(2**24)) + 1
                p.data -= (1e-3 * state["sum"] * (state["count"] % 2)).float()


def test_states_keep_their_types(tmp_path):
    run = resolved(tmp_path)
    undisturbed = execute(replace(run, checkpoint=None), optimizer_class=Precise)
    execute(run, SignalAt(2, 3), Precise)
    again = execute(run, optimizer_class=Precise)
    assert again.environment["resumed_after_steps"] == [8 + 4]
    assert measured(again) == measured(undisturbed)


def test_dropout_goes_on(tmp_path, monkeypatch):
    build = digits_mlp.build_net
    monkeypatch.setattr(
        digits_mlp, "build_net",
        lambda self, generator: nn.Sequential(nn.Dropout(0.5), build(self, generator)),
    )  # fmt: skip
    run = resolved(tmp_path, optimizer="sls", reshuffle=True)  # evaluates a mini-batch repeatedly
    undisturbed = execute(replace(run, checkpoint=None))
    assert measured(left_and_taken_up(run, (1, 3), (2, None), (3, 1))) == measured(undisturbed)


@pytest.mark.parametrize(
    "training_params",
    [
        {"lr_sched_epochs": [1, 2], "lr_sched_factors": [0.5, 0.1], "clip_norm": 1.0},
        {"lr_decay_per_epoch": 0.5, "lr_plateau_factor": 0.2},
    ],
)
def test_schedules_go_on(tmp_path, training_params):
    run = resolved(
        tmp_path, optimizer="momentum", hyperparams={"lr": 2.0}, num_epochs=5,
        split="validation", training_params=training_params,
    )  # fmt: skip
    undisturbed = execute(replace(run, checkpoint=None))
    again = left_and_taken_up(run, (2, None), (3, 1), (5, 3))
    assert measured(again) == measured(undisturbed)


def test_the_best_weights_are_kept_under_one_name(tmp_path):
    run = resolved(
        tmp_path, split="validation", hyperparams={"lr": 0.1}, keep_best=str(tmp_path / "weights")
    )
    again = left_and_taken_up(run, (2, 1))
    assert again.best_valid_epoch >= 2  # they are written before and after
    assert [str(path) for path in (tmp_path / "weights").iterdir()] == [again.best_weights]


def killed_at(run, epoch, step):
    """Carries a run out in a process that dies there, which does not get to say anything."""

    class Die(Callback):
        def ticked(self, *at):
            if at == (epoch, step):
                os.kill(os.getpid(), signal.SIGKILL)

    child = os.fork()
    if child == 0:
        try:
            execute(run, Die())
        finally:
            os._exit(0)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_periodic_checkpoints_survive_a_kill(tmp_path):
    run = resolved(tmp_path, checkpoint_interval=0.0)
    killed_at(run, 2, 7)
    again = execute(run)
    assert again.environment["resumed_after_steps"] == [8 + 7]
    assert measured(again) == measured(execute(replace(run, checkpoint=None)))


@pytest.mark.parametrize(("error", "is_there"), [(ValueError, False), (MemoryError, True)])
def test_what_would_fail_again_starts_anew(tmp_path, error, is_there):
    class Fails(Callback):
        def ticked(self, *at):
            if at == (2, 7):
                raise error

    run = resolved(tmp_path, checkpoint_interval=0.0)
    with pytest.raises(RunError, match=error.__name__):
        execute(run, Fails())
    assert (tmp_path / "checkpoint.pt").exists() == is_there


def test_a_short_run_writes_none(tmp_path):
    run = resolved(tmp_path)
    execute(run)
    assert not any(tmp_path.iterdir())


def test_writing_takes_at_most_a_share_of_the_time(tmp_path, monkeypatch):
    for interval, found in ((None, [False, True]), (1.0, [True, True])):
        kept = checkpoint.Checkpoints(str(tmp_path / "c.pt"), interval, {})
        clock = iter([0.0, 2.0, 41.9, 42.1])  # a checkpoint that takes two seconds
        with monkeypatch.context() as patch:
            patch.setattr(checkpoint.time, "monotonic", lambda clock=clock: next(clock))
            kept.save({})
            assert [kept.due(within_epoch=False), kept.due(within_epoch=False)] == found


@pytest.mark.parametrize(
    "change",
    [
        {"random_seed": 43},
        {"hyperparams": {"lr": 0.2}},
        {"num_epochs": 4},
        {"train_log_interval": 2},
    ],
    ids=str,
)
def test_a_checkpoint_of_another_run_is_never_taken(tmp_path, change, caplog):
    run = resolved(tmp_path, hyperparams={"lr": 0.1})
    execute(run, SignalAt(2, 3))
    other = replace(run, **change)
    with caplog.at_level(logging.WARNING):
        assert measured(execute(other)) == measured(execute(replace(other, checkpoint=None)))
    assert "starts anew" in caplog.text


@pytest.mark.parametrize("what", ["alig_deepobs", "torch", "source", "format"])
def test_a_checkpoint_of_another_version_is_never_taken(tmp_path, what):
    run = resolved(tmp_path)
    execute(run, SignalAt(2, 3))
    content = torch.load(run.checkpoint, weights_only=True)
    content["stamp"][what] = "another"
    torch.save(content, run.checkpoint)
    assert "resumed_after_steps" not in execute(run).environment


@pytest.fixture(scope="module")
def left(tmp_path_factory):
    """A run that was left within an epoch, with a state of its optimizer, and the whole of it."""
    run = resolved(
        tmp_path_factory.mktemp("left"), optimizer="momentum", hyperparams={"lr": 0.1},
        training_params={"lr_decay_per_epoch": 0.5},
    )  # fmt: skip
    assert execute(run, SignalAt(2, 3)).outcome is Outcome.INTERRUPTED
    return run, execute(replace(run, checkpoint=None))


def assert_starts_anew(left, tmp_path, caplog, content, words=""):
    """A file with this content is left aside: one warning says why, and nothing of it is used."""
    run, undisturbed = left
    path = tmp_path / "checkpoint.pt"
    path.write_bytes(content)
    with caplog.at_level(logging.WARNING):
        again = execute(replace(run, checkpoint=str(path)))
    assert measured(again) == measured(undisturbed)
    assert "resumed_after_steps" not in again.environment
    assert caplog.text.count(f"{path} is not used, and the run starts anew: ") == 1
    assert re.search(words, caplog.text), caplog.text


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 no", b"cos\nsystem\n(S'false'\ntR."])
def test_a_broken_checkpoint_is_left_aside(left, tmp_path, caplog, content):
    assert_starts_anew(left, tmp_path, caplog, content)


def test_a_checkpoint_with_a_flipped_bit_is_left_aside(left, tmp_path, caplog):
    content = bytearray(Path(left[0].checkpoint).read_bytes())
    with zipfile.ZipFile(left[0].checkpoint) as archive:
        weights = max(archive.infolist(), key=lambda member: member.file_size)
    content[weights.header_offset + weights.file_size // 2] ^= 1
    assert_starts_anew(left, tmp_path, caplog, bytes(content), "has changed since it was written")


class Asks:
    """Asks for memory where it is unpickled."""

    def __reduce__(self):
        return bytearray, (6 << 30,)


HUGE = torch.zeros(1).expand(1 << 33)
CHANGES = {
    "a class to import": ("result", lambda x: x | {"optimizer": "no_such:Class"}, "other fields"),
    "another problem": ("result", lambda x: x | {"testproblem": "two_d_branin"}, "other fields"),
    "a record without a list": ("result", lambda x: x.pop("steps") and x, "other fields"),
    "a record of other kinds": ("result", lambda x: x | {"steps": "many"}, "steps is 'many'"),
    "no finite number": ("result", lambda x: x | {"max_norm": math.nan}, "max_norm is nan"),
    "a longer curve": ("result", lambda x: x | {"test_losses": [1.0] * 9}, "test_losses has 9"),
    "lists of other lengths": ("result", lambda x: x | {"train_losses": []}, "its train_losses"),
    "an epoch beyond the last": ("epoch", lambda x: x | {"number": 4}, "it is in epoch 4"),
    "a step beyond the last": ("epoch", lambda x: x | {"steps": 9}, "it is at step 9 of 8"),
    "a step before the first": ("epoch", lambda x: x | {"steps": -1}, "it is at step -1 of 8"),
    "losses of another form": ("epoch", lambda x: x | {"losses": [torch.ones(3)] * 4}, "number"),
    "no weights": ("net", lambda x: {}, "weights are those of another network"),
    "other weights": ("net", lambda x: dict.fromkeys(x, torch.ones(3)), "have not the form"),
    "no states": ("optimizer", lambda x: {}, "KeyError"),
    "no place": ("rates", lambda x: {}, "KeyError 'plateaus'"),
    "a rate that is none": ("rates", lambda x: x | {"best": "a"}, "schedule has no numbers"),
    "no clock": ("seconds", lambda x: math.nan, "its time is nan"),
    "generators of another kind": ("generators", lambda x: {"cpu": torch.ones(3)}, "Error"),
    "states of another form": (
        "optimizer", lambda x: x | {"state": {0: {"momentum_buffer": torch.ones(3)}}}, "form",
    ),
    "states of another optimizer": (
        "optimizer", lambda x: x | {"state": {0: {"momentum_buffer": "a"}}}, "Error",
    ),
    "states that are larger than the file": (
        "optimizer", lambda x: x | {"state": {0: {"momentum_buffer": HUGE}}}, "claims to be larger",
    ),
    "a long array": ("carried", lambda x: Asks(), "asks for '.* bytearray'"),
    "a tensor that is in no file": ("carried", lambda x: torch.ones(9, device="meta"), "asks for"),
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGES)
def test_a_checkpoint_that_does_not_fit_is_left_aside(left, tmp_path, caplog, name):
    key, change, words = CHANGES[name]
    content = torch.load(left[0].checkpoint, weights_only=True)
    content[key] = change(content[key])
    torch.save(content, tmp_path / "changed.pt")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert_starts_anew(left, tmp_path, caplog, (tmp_path / "changed.pt").read_bytes(), words)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 1 << 20  # kilobytes


def test_lists_within_themselves_are_left_aside(left, tmp_path, caplog):
    content, nested = torch.load(left[0].checkpoint, weights_only=True), [0]
    for _ in range(30):
        nested = [nested] * 10
    torch.save({**content, "carried": nested}, tmp_path / "changed.pt")
    changed = (tmp_path / "changed.pt").read_bytes()
    assert_starts_anew(left, tmp_path, caplog, changed, "claims to be larger")


def test_a_checkpoint_that_cannot_be_written_ends_nothing(tmp_path, caplog):
    run = resolved(tmp_path, checkpoint_interval=0.0)
    (tmp_path / "file").touch()
    run = replace(run, checkpoint=str(tmp_path / "file" / "checkpoint.pt"))
    assert execute(run).outcome is Outcome.DONE
    assert caplog.text.count("without a checkpoint") == 1


def test_a_time_limit_ends_a_run_and_a_longer_one_takes_it_up(tmp_path):
    run = resolved(tmp_path, num_epochs=2000, time_limit=0.5)
    ended = execute(run)
    assert ended.outcome is Outcome.TIMEOUT
    assert ended.time_limit == 0.5
    assert "the limit of 0.5 s was over after" in ended.outcome_reason
    assert 0 < len(ended.test_losses) < 2000
    # The time before the interruption counts, too.
    again = execute(run)
    assert again.steps - ended.steps in (0, 1)
    longer = execute(replace(run, time_limit=1.0))
    assert longer.steps > ended.steps
    assert longer.minibatch_train_losses[: len(ended.minibatch_train_losses)] == (
        ended.minibatch_train_losses
    )


def test_a_second_signal_does_not_wait(tmp_path):
    class Twice(SignalAt):
        def ticked(self, epoch, step):
            if (epoch, step) == self.at:
                os.kill(os.getpid(), self.signum)
                os.kill(os.getpid(), self.signum)
                raise AssertionError("the second signal should have broken in")

    run = resolved(tmp_path)
    left = execute(run, Twice(2, 3))
    assert left.outcome is Outcome.INTERRUPTED
    assert not (tmp_path / "checkpoint.pt").exists()  # in the middle of a step there is no state


@pytest.fixture
def sigterm():
    """SIGTERM as a command takes it."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    yield signal.SIGTERM
    signal.signal(signal.SIGTERM, before)


def test_an_echo_of_a_signal_waits_as_the_first_does(tmp_path, sigterm):
    class Twice(SignalAt):
        def ticked(self, epoch, step):
            super().ticked(epoch, step)
            super().ticked(epoch, step)

    run = resolved(tmp_path)
    assert execute(run, Twice(2, 3, sigterm)).outcome is Outcome.INTERRUPTED
    assert execute(run).environment["resumed_after_steps"] == [8 + 4]


def test_handlers_are_given_back(tmp_path):
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    execute(resolved(tmp_path), SignalAt(2, 3))
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


@pytest.mark.parametrize("name", ["exp_avg", "exp_avg_sq", "step"])
@pytest.mark.parametrize("form", [(), (1, 10)])
def test_a_state_of_another_form_is_refused(name, form):
    """Kernels of torch read and write beyond it."""
    p = torch.nn.Parameter(torch.ones(64, 10))
    optimizer = torch.optim.Adam([p])
    p.grad = torch.ones_like(p)
    optimizer.step()
    state = optimizer.state_dict()
    if state["state"][0][name].shape == form:
        return
    state["state"][0][name] = torch.ones(form)
    with pytest.raises(ValueError, match=f"the state {name} of the optimizer"):
        load_optimizer_state(torch.optim.Adam([p]), state)


@pytest.mark.parametrize("option", ["compile", "channels_last"])
def test_a_checkpoint_of_another_arithmetic_is_another(option):
    """A run that goes on with other roundings would be neither of the two."""
    run = resolve(RunSpec("digits_mlp", "sgd", {"lr": 0.1}, device="cpu"))
    stamps = [
        checkpoint.stamp_of(each, torch.optim.SGD, torch.device("cpu"))
        for each in (run, replace(run, **{option: True}))
    ]
    assert stamps[0] != stamps[1]
    assert run.identity() == replace(run, **{option: True}).identity()
