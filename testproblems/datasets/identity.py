"""What a run will be trained on, known before it starts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from alig_deepobs.entries import ProblemEntry


@dataclass(frozen=True)
class DataIdentity:
    """The data of a run."""

    data_set: str
    label: str
    source: str
    version: str


def data_identity(
    problem: ProblemEntry,
    *,
    problem_options: Mapping[str, Any],
    split: str,
    synthetic: bool,
    data_dir: str | None,
    offline: bool,
    framework: str = "pytorch",
) -> DataIdentity:
    """The data that a run of a problem is trained on."""
    data = problem.load()(
        problem.batch_size, synthetic=synthetic, data_dir=data_dir, offline=offline, device="cpu",
        seed=0, split=split, **problem_options,
    ).load_data().for_split(split)  # fmt: skip
    return DataIdentity(data.name, data.label, "", data.version)
