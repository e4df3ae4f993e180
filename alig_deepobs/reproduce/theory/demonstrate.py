"""The targets that need no training: figures 1 and 2, and the theorems."""

from __future__ import annotations

import json
import math
import warnings
from dataclasses import asdict
from pathlib import Path

from alig_deepobs import AliG, HealthWarning
from alig_deepobs.errors import unknown_choice
from alig_deepobs.files import write_text_atomically
from alig_deepobs.optimizers.polyak import Polyak
from alig_deepobs.reproduce.theory.claims import Claim
from alig_deepobs.reproduce.theory.figure1 import figure1
from alig_deepobs.reproduce.theory.figure2 import figure2
from alig_deepobs.reproduce.theory.pictures import draw_figure1, draw_figure2
from alig_deepobs.reproduce.theory.theorems import theorems


def demonstrate(target: str, folder: Path) -> tuple[list[Claim], list[Path]]:
    """Computes a target with the package's own optimizers, and writes its claims and its picture.

    Args:
        target: ``fig1``, ``fig2`` or ``theorems``.
        folder: where the files go.

    Returns:
        The claims, and the paths of the files.
    """
    written = []
    with warnings.catch_warnings():
        # Steps that never end, or that are all at the cap, are what is to be shown.
        warnings.simplefilter("ignore", HealthWarning)
        if target == "fig1":
            claims, walks = figure1(Polyak)
            written.append(draw_figure1(walks, folder / "fig1.png"))
        elif target == "fig2":
            claims, shown = figure2(Polyak, AliG)
            written.append(draw_figure2(shown, folder / "fig2.png"))
        elif target == "theorems":
            claims = theorems(AliG)
        else:
            raise unknown_choice("demonstration", target, ("fig1", "fig2", "theorems"))
    path = folder / f"{target}.json"
    write_text_atomically(path, json.dumps([_plain(claim) for claim in claims], indent=1))
    return claims, [*written, path]


def _plain(claim: Claim) -> dict[str, object]:
    """The claim as strict JSON, which has no form for infinity."""
    record = {**asdict(claim), "holds": claim.holds}
    observed = claim.observed
    return {**record, "observed": observed if math.isfinite(observed) else str(observed)}
