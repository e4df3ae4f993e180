"""The targets that need no training: figures 1 and 2, and the theorems."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path

from alig_deepobs import AliG
from alig_deepobs.errors import unknown_choice
from alig_deepobs.files import write_text_atomically
from alig_deepobs.optimizers.polyak import Polyak
from alig_deepobs.reproduce.theory.checks import Check
from alig_deepobs.reproduce.theory.figure1 import figure1
from alig_deepobs.reproduce.theory.figure2 import figure2
from alig_deepobs.reproduce.theory.pictures import draw_figure1, draw_figure2
from alig_deepobs.reproduce.theory.theorems import theorems


def demonstrate(target: str, folder: Path) -> tuple[list[Check], list[Path]]:
    """Computes a target with the package's own optimizers, and writes its checks and its picture.

    Args:
        target: ``fig1``, ``fig2`` or ``theorems``.
        folder: where the files go.

    Returns:
        The checks, and the paths of the files.
    """
    written = []
    if target == "fig1":
        checks, walks = figure1(Polyak)
        written.append(draw_figure1(walks, folder / "fig1.png"))
    elif target == "fig2":
        checks, shown = figure2(Polyak, AliG)
        written.append(draw_figure2(shown, folder / "fig2.png"))
    elif target == "theorems":
        checks = theorems(AliG)
    else:
        raise unknown_choice("demonstration", target, ("fig1", "fig2", "theorems"))
    path = folder / f"{target}.json"
    write_text_atomically(path, json.dumps([_plain(check) for check in checks], indent=1))
    return checks, [*written, path]


def _plain(check: Check) -> dict[str, object]:
    """The check as strict JSON, which has no form for infinity."""
    record = {**asdict(check), "holds": check.holds}
    observed = check.observed
    return {**record, "observed": observed if math.isfinite(observed) else str(observed)}
