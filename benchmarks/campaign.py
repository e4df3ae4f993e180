"""The measurements behind docs/results.md, as far as a given time allows.

    python benchmarks/campaign.py               # what is measured, and what is open
    python benchmarks/campaign.py --hours 2     # goes on, the best value per minute first
    python benchmarks/campaign.py --hours 2 --only fmnist_2c2d --only mnist_mlp --jobs 2

The pieces stand in campaign.toml. Each is a command of `alig-deepobs` that resumes, so a campaign
can be interrupted at any time and goes on later. What is committed in `baselines` is taken from
there, so it goes on where it stopped on any machine. A piece whose data are missing is open, and
the table says what is missing.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import time
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from alig_deepobs.bundles import SUFFIX, read_bundle
from alig_deepobs.cli.progress import UNKNOWN
from alig_deepobs.errors import unknown_name
from alig_deepobs.reproduce.experiments import EXPERIMENTS
from alig_deepobs.runners import Store
from alig_deepobs.settings import parse_setting

PLAN = Path(__file__).with_name("campaign.toml")
BASELINES = Path(__file__).parents[1] / "baselines"
_COUNTS = re.compile(r"(\d+) runs: (\d+) there already, (\d+) to be run")
_SECONDS = {"d": 86_400.0, "h": 3600.0, "min": 60.0, "s": 1.0}


@dataclass(frozen=True)
class Piece:
    """A part of the campaign.

    Attributes:
        name: for people.
        words: the command line behind ``alig-deepobs``.
        value: what it is worth.
        device: ``cpu`` or ``gpu``.
        environment: variables of the process, such as those that choose other kernels.
    """

    name: str
    words: tuple[str, ...]
    value: float
    device: str = "cpu"
    environment: dict[str, str] = field(default_factory=dict, hash=False)

    @property
    def problem(self) -> str:
        """The test problem; of an experiment of the paper the first one."""
        if self.words[0] == "reproduce":
            return EXPERIMENTS[self.words[1]].parts[0].problem
        return parse_setting(self.words[1]).name

    @property
    def folder(self) -> str:
        """Where its results are."""
        folder = self.words[self.words.index("--output_dir") + 1]
        if self.words[0] == "compare":
            return folder
        has_budget = "--budget" in self.words
        budget = self.words[self.words.index("--budget") + 1] if has_budget else "full"
        return str(Path(folder) / self.words[1] / budget)


@dataclass(frozen=True)
class State:
    """How far a piece is.

    Attributes:
        total, found: runs, and those of them that are there.
        minutes: what is left, on one CPU core; None where nobody knows.
        error: why it cannot be run.
    """

    total: int = 0
    found: int = 0
    minutes: float | None = None
    error: str = ""

    @property
    def is_open(self) -> bool:
        """Whether something can be run."""
        return not self.error and self.found < self.total

    def __str__(self) -> str:
        if self.error:
            return f"open: {self.error}"
        if not self.is_open:
            return f"measured, {self.total} runs"
        left = "?" if self.minutes is None else f"{self.minutes:.0f}"
        return f"{self.found} of {self.total} runs, {left} min left on one core"


def pieces(folder: str, data_dir: str | None) -> list[Piece]:
    """The pieces of the plan, with folders and data.

    Args:
        folder: where the results are.
        data_dir: where the data are; None: in the cache.
    """
    plan: dict[str, Any] = tomllib.loads(PLAN.read_text(encoding="utf-8"))
    common = plan["common"]
    found = []
    for entry in plan["piece"]:
        words = shlex.split(entry["command"].format_map(common))
        place = Path(folder) / entry.get("folder", common["folder"])
        words += ["--output_dir", str(place)]
        words += [] if data_dir is None else ["--data_dir", data_dir, "--offline"]
        variables = entry.get("environment", {})
        found.append(
            Piece(
                entry["name"], tuple(words), entry["value"], entry.get("device", "cpu"), variables
            )
        )
    return found


def take_committed(piece: Piece) -> None:
    """Puts the committed runs of a piece's problem into its folder."""
    store = Store(Path(piece.folder))
    # Runs with other kernels have the same identities, and are committed apart.
    folders = ["kernels"] if piece.environment else ["measured", "variants", "paper"]
    for folder in folders:
        file = BASELINES / folder / f"{piece.problem}{SUFFIX}"
        for run in read_bundle(file) if file.exists() else []:
            if store.find(run) is None:
                store.write(run)


def state_of(piece: Piece) -> State:
    """How far a piece is: what `--dry_run` says."""
    done = subprocess.run(
        [sys.executable, "-m", "alig_deepobs", *piece.words, "--dry_run"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    counts = _COUNTS.search(done.stdout)
    if done.returncode or counts is None:
        lines = done.stderr.strip().splitlines() or ["it says nothing"]
        return State(error=lines[-1].removeprefix("Error: "))
    if unknown := re.search(f"^{UNKNOWN}(.*)", done.stderr, re.MULTILINE):  # the data is missing
        return State(error=unknown[1])
    total, found, _ = map(int, counts.groups())
    about = re.search(r"about ([^,\n]+) on one CPU core", done.stdout)
    minutes = None
    if about is not None:
        parts = re.findall(r"([\d.]+) (d|h|min|s)\b", about[1])
        minutes = sum(float(number) * _SECONDS[unit] for number, unit in parts) / 60
    return State(total, found, minutes)


def carry_out(piece: Piece, seconds: float, jobs: int) -> bool:
    """Runs a piece for at most so long; True if it came to its end."""
    click.echo(f"== {piece.name}: alig-deepobs {shlex.join(piece.words)}")
    words = [sys.executable, "-m", "alig_deepobs", *piece.words, "--jobs", str(jobs)]
    process = subprocess.Popen(words, env=os.environ | piece.environment)
    try:
        return process.wait(timeout=seconds) == 0
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGTERM)  # what was measured is written
        process.wait()
        return False


@click.command(help=__doc__.split("\n", 1)[0])
@click.option("--hours", type=float, default=0.0, help="How long to go on; 0: only look.")
@click.option("--only", multiple=True, metavar="NAME", help="Only these pieces.")
@click.option("--gpu", is_flag=True, help="The pieces for a GPU, too.")
@click.option("--jobs", type=int, default=1, show_default=True, help="Runs at the same time.")
@click.option("--output_dir", default="results/campaign", show_default=True)
@click.option("--data_dir", default=None, help="Folder with the data; by default the cache.")
def main(
    hours: float, only: tuple[str, ...], gpu: bool, jobs: int, output_dir: str, data_dir: str | None
) -> None:
    """See the module."""
    end = time.monotonic() + 3600 * hours
    plan = pieces(output_dir, data_dir)
    chosen = [
        piece for piece in plan if (piece.name in only if only else gpu or piece.device == "cpu")
    ]
    names = [piece.name for piece in plan]
    for name in only:
        if name not in names:
            raise click.BadParameter(
                str(unknown_name("piece", name, names, "python benchmarks/campaign.py"))
            )
    states = {}
    width = max(len(piece.name) for piece in chosen)
    for piece in chosen:
        take_committed(piece)
        states[piece] = state_of(piece)
        click.echo(f"{piece.name:{width}}  {piece.device}  {states[piece]}")
    waiting = [piece for piece in chosen if states[piece].is_open]
    # Where nobody knows how long it takes, an hour is a guess.
    waiting.sort(key=lambda piece: -piece.value / max(states[piece].minutes or 60.0, 0.1))
    for piece in waiting:
        if (left := end - time.monotonic()) > 0:
            carry_out(piece, left, jobs)


if __name__ == "__main__":
    # Two processes on two cores: threads of their own would only spin.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
