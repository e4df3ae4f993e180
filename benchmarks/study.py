"""Ratios of the study engine, each measured side by side: ``python benchmarks/study.py``.

* start: CPU time of a whole process, `run digits_logreg -N 1` over `import torch`;
* again: wall time of a `compare` that finds all its runs, over `import torch`;
* jobs: throughput of `--jobs 2` over `--jobs 1` on digits_mlp, four optimizers with ten seeds: the
  seconds in which workers start are a part of what a short study takes (five seeds: 1.78).

Use an idle machine; the three figures of each kind say how idle it was.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

OPTIMIZERS = ("alig[max_lr=0.1]", "sgd[lr=0.1]", "momentum[lr=0.01]", "adam[lr=0.001]")


def measure(*words: str) -> tuple[float, float]:
    """Wall and CPU seconds of a process and its children."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    subprocess.run([sys.executable, *words], check=True, stdout=subprocess.DEVNULL)
    wall = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def start(folder: Path) -> float:
    """CPU of a small run over that of importing torch."""
    words = ("-m", "alig_deepobs", "run", "digits_logreg", "-N", "1", "--force")
    run = measure(*words, "--output_dir", str(folder / "start"))[1]
    return run / measure("-c", "import torch")[1]


def again(folder: Path) -> float:
    """Wall time of a comparison that is there already over that of importing torch."""
    words = ("-m", "alig_deepobs", "compare", "digits_mlp", "-N", "2", "--seeds", "3")
    words = (*words, "--output_dir", str(folder / "again"))
    if not (folder / "again").exists():
        measure(*words)
    return measure(*words)[0] / measure("-c", "import torch")[0]


def jobs(folder: Path) -> float:
    """Throughput of two jobs over that of one."""
    optimizers = [word for name in OPTIMIZERS for word in ("--optimizer", name)]
    words = ("-m", "alig_deepobs", "run", "digits_mlp", "-N", "100", "--seeds", "10", *optimizers)
    words = (*words, "--executor", "processes")  # each run alone
    walls = {}
    for count in ("1", "2"):
        place = tempfile.mkdtemp(dir=folder)
        walls[count] = measure(*words, "--jobs", count, "--output_dir", place)[0]
    return walls["1"] / walls["2"]


def main() -> None:
    """Prints the median of three and the three."""
    print(f"{os.cpu_count()} CPU cores, load {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory() as folder:
        for ratio in (start, again, jobs):
            found = [ratio(Path(folder)) for _ in range(3)]
            each = ", ".join(f"{value:.2f}" for value in found)
            print(f"{ratio.__name__:6} {statistics.median(found):.2f}  ({each})", flush=True)


if __name__ == "__main__":
    main()
