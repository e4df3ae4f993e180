"""Kills a study at random moments with SIGKILL, repeats it, and looks for what was lost.

    python tools/kill_study.py --kills 30

At every moment the results folder must hold whole results alone, none twice; at the end they must
be those of a study that nobody has disturbed, field by field apart from clocks.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from alig_deepobs.files import files_below
from alig_deepobs.results import read_result

CLOCKS = {"training_seconds", "evaluation_seconds", "started", "environment", "peak_memory_bytes"}
OPTIMIZERS = ("alig[max_lr=0.1,momentum=0.9]", "sgd[lr=0.1]", "adam[lr=0.003]", "sls")


def command(folder: Path, seeds: int, epochs: int, interval: float, jobs: int) -> list[str]:
    """A study of ``4 * seeds`` runs."""
    chosen = [word for name in OPTIMIZERS for word in ("--optimizer", name)]
    return [
        sys.executable, "-m", "alig_deepobs", "run", "digits_mlp", *chosen, "-N", str(epochs),
        "--seeds", str(seeds), "--device", "cpu", "--jobs", str(jobs),
        "--checkpoint_interval", str(interval), "--print_train_iter",
        "--output_dir", str(folder),
    ]  # fmt: skip


def read_all(folder: Path) -> dict[str, dict[str, Any]]:
    """Every result by its identity; fails if one is broken or there twice."""
    found: dict[str, dict[str, Any]] = {}
    for path in files_below(folder):
        if not path.name.startswith("random_seed__"):
            continue
        result = read_result(path)
        if result.identity() in found:
            raise SystemExit(f"{path} is there twice")
        found[result.identity()] = dataclasses.asdict(result)
    return found


def without_clocks(results: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """What must be equal."""
    return {
        identity: {name: value for name, value in result.items() if name not in CLOCKS}
        for identity, result in results.items()
    }


def disturb(
    words: list[str], folder: Path, kills: int, longest: float, seed: int
) -> tuple[int, list[float]]:
    """Starts and kills.

    Returns:
        How many kills met a process that was still at work, and the seconds of work that each cost
        after training had begun: since a checkpoint or a result was last written (by any job).
    """
    moments, met, lost = random.Random(seed), 0, []
    for number in range(kills):
        printed = folder.with_suffix(".txt")
        with printed.open("w") as stream:
            process = subprocess.Popen(words, stdout=stream, stderr=subprocess.DEVNULL)
        wait, end, begun = moments.uniform(0.0, longest), math.inf, math.inf
        while time.monotonic() < end and process.poll() is None:
            if begun == math.inf and ", loss" in printed.read_text():
                begun = time.time()
            # Every fifth may be killed before a run has begun.
            if end == math.inf and (number % 5 == 0 or begun < math.inf):
                end = time.monotonic() + wait
            read_all(folder)  # at no moment is there half a result
            time.sleep(0.1)
        met += process.poll() is None
        process.kill()
        process.wait()
        killed = time.time()
        there = read_all(folder)
        kept = len(list((folder / ".checkpoints").glob("*.pt")))
        line = f"kill {number + 1:2d} after {wait:4.1f} s: {len(there)} results, {kept} checkpoints"
        if begun < killed:
            written = [path.stat().st_mtime for path in files_below(folder)]
            lost.append(max(0.0, killed - max(begun, *written)))
            line += f", {lost[-1]:.2f} s of work lost"
        print(line)
        if process.returncode == 0:
            break
    return met, lost


def main() -> int:
    """Returns 0 if nothing was lost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--seeds", type=int, default=5, help="the study has 4 runs for each seed")
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--interval", type=float, default=0.2, help="seconds between checkpoints")
    parser.add_argument("--longest", type=float, default=8.0, help="seconds of work until a kill")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    with tempfile.TemporaryDirectory() as place:
        alone, folder = Path(place) / "alone", Path(place) / "killed"
        words = [given.seeds, given.epochs, given.interval, given.jobs]
        start = time.monotonic()
        subprocess.run(command(alone, *words), check=True, stdout=subprocess.DEVNULL)
        print(f"undisturbed: {len(read_all(alone))} runs in {time.monotonic() - start:.1f} s")
        met, lost = disturb(command(folder, *words), folder, given.kills, given.longest, given.seed)
        subprocess.run(command(folder, *words), check=True, stdout=subprocess.DEVNULL)
        ended = read_all(folder)
        resumed = sum("resumed_after_steps" in run["environment"] for run in ended.values())
        left = [path.name for path in folder.rglob(".*")]
        print(f"{met} kills in mid-study; {resumed} of {len(ended)} runs were taken up in mid-run")
        if lost:
            print(
                f"work lost per kill: {statistics.median(lost):.2f} s in the median, "
                f"{max(lost):.2f} s at most; a checkpoint every {given.interval:g} s"
            )
        if left:
            print(f"left behind: {left}")
        same = without_clocks(ended) == without_clocks(read_all(alone))
        print("results are equal" if same else "RESULTS DIFFER")
        return 0 if same and not left else 1


if __name__ == "__main__":
    sys.exit(main())
