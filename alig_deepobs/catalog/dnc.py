"""The ALI-G paper's problem without data files: the differentiable neural computer."""

from __future__ import annotations

from alig_deepobs.catalog.baselines import ALIG
from alig_deepobs.entries import HyperParameter, ProblemEntry

DNC_PROBLEMS = (
    ProblemEntry(
        name="dnc_copy",
        label="DNC repeat copy",
        factory="alig_deepobs.testproblems.dnc:dnc_copy",
        tensorflow_factory="alig_deepobs.testproblems.tensorflow.dnc_copy:dnc_copy",
        data_set="repeat_copy",
        batch_size=16,
        num_epochs=100,
        metric="loss",
        interpolates=True,
        has_validation=False,
        reshuffles=True,
        options={
            "hidden_dim": HyperParameter(int, 64, "hidden units"),
            "memory_slots": HyperParameter(int, 16, "rows of the memory"),
            "word_size": HyperParameter(int, 16, "numbers in a row of the memory"),
            "read_heads": HyperParameter(int, 4, "heads that read from the memory"),
            "write_heads": HyperParameter(int, 1, "heads that write to the memory"),
        },
        optimizer_defaults={"alig": {"momentum": 0.0, "eps": 0.0}},
        citation=ALIG,
        description="differentiable neural computer that copies patterns; needs no download",
    ),
)
