"""The epoch with the best validation accuracy, and its weights."""

from dataclasses import replace

import pytest
import torch

from alig_deepobs.errors import ResultError, UsageError
from alig_deepobs.results import read_result, write_result
from alig_deepobs.run import Outcome, RunResult, RunSpec
from alig_deepobs.runners import execute, weights
from alig_deepobs.runners.resolve import resolve
from alig_deepobs.runners.selection import select
from alig_deepobs.runners.weights import load_weights
from alig_deepobs.testproblems import digits_mlp


def result_of(**lists):
    return RunResult(
        "digits_mlp", "SGD", {"lr": 0.1}, batch_size=32, num_epochs=4, random_seed=42, **lists
    )


def test_the_first_of_the_best():
    run = result_of(
        valid_losses=[9, 1, 2, 3, 4], valid_data_losses=[9, 1, 2, 3, 4],
        test_losses=[9, 5, 6, 7, 8], test_data_losses=[9, 5, 6, 7, 8],
        valid_accuracies=[0.99, 0.5, 0.8, 0.8, 0.7], test_accuracies=[0.99, 0.4, 0.6, 0.9, 0.9],
    )  # fmt: skip
    chosen = select(run)
    # Not the state before training, not the best test accuracy, not the lowest loss.
    assert (chosen.epoch, chosen.valid_accuracy, chosen.test_accuracy) == (2, 0.8, 0.6)
    assert (chosen.valid_loss, chosen.test_loss) == (2, 6)


def test_problems_without_accuracy_take_the_lowest_data_loss():
    run = result_of(
        valid_losses=[9, 1, 2], valid_data_losses=[9, 0.9, 0.8],
        test_losses=[9, 3, 4], test_data_losses=[9, 0.7, 0.6],
    )  # fmt: skip
    assert (select(run).epoch, select(run).test_loss) == (2, 0.6)
    assert select(run).test_accuracy is None
    run.valid_data_losses = run.test_data_losses = []  # as in DeepOBS's files
    assert (select(run).epoch, select(run).test_loss) == (1, 3)


def test_runs_without_validation_set_or_epochs():
    assert select(result_of(test_losses=[1, 2], test_accuracies=[0.1, 0.2])) is None
    assert select(result_of(valid_losses=[1], test_losses=[1])) is None
    assert select(result_of()) is None


def test_runs_record_it(spec, tmp_path):
    result = execute(replace(spec, split="validation", num_epochs=4))
    chosen = select(result)
    assert result.best_valid_epoch == chosen.epoch >= 1
    assert result.best_valid_test_accuracy == result.test_accuracies[chosen.epoch]
    assert result.best_valid_test_loss == result.test_data_losses[chosen.epoch]
    again = read_result(write_result(result, tmp_path))
    assert again.best_valid_epoch == chosen.epoch
    assert again.best_valid_test_accuracy == chosen.test_accuracy
    without = execute(spec)
    assert without.best_valid_epoch is None
    assert read_result(write_result(without, tmp_path)).best_valid_test_accuracy is None


def test_kept_weights_are_those_of_the_best_epoch(spec, tmp_path):
    # A rate that is too large after a while: the best epoch is not the last one.
    run = replace(
        spec, split="validation", num_epochs=6, hyperparams={"lr": 0.05},
        training_params={"lr_sched_epochs": [3], "lr_sched_factors": [200.0]},
        keep_best=str(tmp_path / "kept"),
    )  # fmt: skip
    result = execute(run)
    assert 1 <= result.best_valid_epoch < 6
    (path,) = (tmp_path / "kept").iterdir()
    assert result.best_weights == str(path)
    assert "digits_mlp__SGD__random_seed__42" in path.name
    problem = digits_mlp(32, synthetic=True, device="cpu", seed=1, split="validation")
    problem.set_up()
    problem.net.load_state_dict(load_weights(path))
    problem.test_init_op()
    accuracies = []
    while True:
        try:
            accuracies.append(problem.get_batch_loss_and_accuracy()[1].item())
        except StopIteration:
            break
    found = sum(accuracies) / len(accuracies)
    assert found == pytest.approx(result.best_valid_test_accuracy)
    assert found > result.test_accuracies[-1]
    # Keeping them changes nothing else, and two runs never share a file.
    assert execute(replace(run, keep_best=None)).test_losses == result.test_losses
    execute(run)
    assert len(list((tmp_path / "kept").iterdir())) == 2


@pytest.mark.parametrize("room_after", [2, 100])
def test_weights_that_cannot_be_written_end_nothing(
    spec, tmp_path, monkeypatch, caplog, room_after
):
    """A full disk: the run goes on, and they are written when there is room again."""
    tries, write = [], weights.write_bytes_atomically

    def write_if_there_is_room(path, content):
        tries.append(path)
        if len(tries) <= room_after:
            raise ResultError("cannot write: No space left on device")
        write(path, content)

    monkeypatch.setattr(weights, "write_bytes_atomically", write_if_there_is_room)
    run = replace(
        spec, split="validation", num_epochs=3, hyperparams={"lr": 0.0}, keep_best=str(tmp_path)
    )
    result = execute(run)
    assert (result.outcome, result.best_valid_epoch) == (Outcome.DONE, 1)
    assert caplog.text.count("kept in memory and tried again") == 1
    assert [str(path) for path in tmp_path.iterdir()] == list(filter(None, [result.best_weights]))
    assert (result.best_weights == "") == (room_after == 100)


def test_what_cannot_be_kept_or_read(spec, tmp_path):
    with pytest.raises(UsageError, match="keep_best needs a validation set"):
        execute(replace(spec, keep_best=str(tmp_path)))
    (tmp_path / "file").write_text("x")
    with pytest.raises(ResultError, match="not writable"):
        execute(replace(spec, split="validation", keep_best=str(tmp_path / "file")))
    with pytest.raises(ResultError, match="no readable weights"):
        load_weights(tmp_path / "missing.pt")
    (tmp_path / "junk.pt").write_bytes(b"junk")
    with pytest.raises(ResultError, match=r"junk.pt: no readable weights"):
        load_weights(tmp_path / "junk.pt")

    class Evil:
        def __reduce__(self):
            return print, ("code of a stranger",)

    torch.save({"state_dict": Evil()}, tmp_path / "evil.pt")
    with pytest.raises(ResultError, match=r"evil.pt: no readable weights"):
        load_weights(tmp_path / "evil.pt")
    torch.save({"a": 1}, tmp_path / "other.pt")
    with pytest.raises(ResultError, match="expected the weights"):
        load_weights(tmp_path / "other.pt")


def test_the_default_split_is_the_problems(spec):
    assert resolve(RunSpec("digits_mlp", "sgd")).split == "full"
    assert execute(spec).split == "full"
