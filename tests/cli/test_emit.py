"""``--emit``: a command for each run, for whatever starts them."""

from __future__ import annotations

import shlex
import subprocess
import sys

import pytest
from studies import results


@pytest.mark.slow
def test_emitted_commands_give_the_same_results(call, tmp_path):
    words = ["compare", "digits_mlp", "--optimizers", "torch.optim:RAdam", "--seeds", "1",
             "-N", "1", "--synthetic", "--train_log_interval", "3",
             "--protocol", "equal:3", "--tuning_seeds", "1"]  # fmt: skip
    file = tmp_path / "commands with blanks.sh"
    ours = shlex.join([sys.executable, "-m", "alig_deepobs"])
    rounds = []
    while True:
        printed = call(*words, "--output_dir", "emitted [1]", "--emit", str(file)).out
        commands = file.read_text().splitlines()
        if not commands:
            break
        rounds.append(len(commands))
        assert f"has {len(commands)} command" in printed
        for command in commands:
            subprocess.run(
                command.replace("alig-deepobs", ours), shell=True, check=True, cwd="/",
                stdout=subprocess.DEVNULL,
            )  # fmt: skip
    # What is chosen is not known before, nor what a search asks for beyond its range.
    assert len(rounds) >= 2
    assert rounds[-1] == 1
    call(*words, "--output_dir", "here")
    assert results("emitted [1]") == results("here")
