"""Hooks: the name of the folder, the file of the run, and the end of a run that diverges."""

import alig_deepobs

alig_deepobs.register("pytorch")

from pathlib import Path  # noqa: E402

import torch  # noqa: E402
from deepobs.pytorch.runners import StandardRunner  # noqa: E402

told = []


class Mine(StandardRunner):
    def _add_training_params_to_output_dir_name(self, training_params, run_folder_name):
        name = super()._add_training_params_to_output_dir_name(training_params, run_folder_name)
        return name + "__mine"

    def _abort_routine(self, epoch_count, num_epochs, *lists):
        told.append((epoch_count, num_epochs, len(lists)))


if __name__ == "__main__":
    runner = Mine(torch.optim.SGD, {"lr": {"type": float}})
    given = {"hyperparams": {"lr": 0.1}, "num_epochs": 1}
    runner.run("digits_logreg", **given)
    (path,) = Path("results").rglob("*.json")
    assert path.parent.name == "num_epochs__1__batch_size__32__lr__1.e-01__mine"
    assert runner._run_directory.endswith(path.parent.name)
    assert path.name.startswith(runner._file_name[:16])
    assert runner.run_exists("digits_logreg", **given) == (True, [str(path.absolute())])
    runner.run("digits_logreg", skip_if_exists=True, **given)
    assert len(list(Path("results").rglob("*.json"))) == 1
    runner.run("quadratic_deep", {"lr": 1e6}, num_epochs=3, no_logs=True)
    assert told[0][1:] == (3, 7)
