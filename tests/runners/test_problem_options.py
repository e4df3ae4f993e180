"""Options of a test problem: checked, handed to its class, recorded, and kept apart."""

from __future__ import annotations

import click
import pytest
import torch
from click.testing import CliRunner

from alig_deepobs import registry
from alig_deepobs.analysis import comparable_groups
from alig_deepobs.cli import options as cli_options
from alig_deepobs.errors import UsageError
from alig_deepobs.registry import HyperParameter, ProblemEntry
from alig_deepobs.results import read_result, write_result
from alig_deepobs.run import RunSpec
from alig_deepobs.runners import execute
from alig_deepobs.runners.resolve import resolve
from alig_deepobs.testproblems.digits import digits_logreg

ENTRY = ProblemEntry(
    "scaled_digits", "Scaled", "somewhere:scaled_digits", "digits", 32, 1,
    options={
        "scale": HyperParameter(float, 1.0, "factor of the logits"),
        "double": HyperParameter(bool, False, "compute in double precision"),
    },
)  # fmt: skip


class scaled_digits(digits_logreg):
    """Logits with a factor."""

    def __init__(self, *args, scale=1.0, double=False, **settings):
        super().__init__(*args, **settings)
        self.scale, self.double = scale, double

    def forward(self, batch):
        return self.scale * super().forward(batch).to(torch.double if self.double else torch.float)


@pytest.fixture(autouse=True)
def _registered(monkeypatch):
    monkeypatch.setattr(registry, "_testproblems", {})
    registry.register_testproblem(ENTRY)
    # Test modules have no import path under pytest's importlib mode.
    monkeypatch.setattr(ProblemEntry, "load", lambda self: scaled_digits)


def test_options_shape_the_run_and_are_recorded(tmp_path):
    results = [
        execute(
            RunSpec("scaled_digits", "sgd", synthetic=True, device="cpu", problem_options=options)
        )
        for options in ({}, {"scale": 3}, {"scale": 1.0})
    ]
    plain, scaled, default = results
    assert plain.test_losses == default.test_losses
    assert plain.test_losses[-1] != scaled.test_losses[-1]
    assert [r.problem_options for r in results] == [{}, {"scale": 3.0}, {}]
    folders = {write_result(result, tmp_path).parent.name for result in results}
    assert len(folders) == 2
    read = [read_result(path) for path in sorted(tmp_path.rglob("*.json"))]
    assert len(comparable_groups(read)) == 2


def test_unknown_and_wrong_options():
    with pytest.raises(UsageError, match="scaled_digits has no option 'width'; it has: scale"):
        resolve(RunSpec("scaled_digits", "sgd", problem_options={"width": 3}))
    with pytest.raises(UsageError, match="scaled_digits: scale must be a number, not 'big'"):
        resolve(RunSpec("scaled_digits", "sgd", problem_options={"scale": "big"}))
    with pytest.raises(UsageError, match="digits_logreg has no option 'scale'; it has: none"):
        resolve(RunSpec("digits_logreg", "sgd", problem_options={"scale": 3.0}))


@pytest.mark.parametrize(
    ("words", "given"),
    [
        ([], {}),
        (["--scale", "2"], {"scale": 2.0}),
        (["--double", "--scale", "0.5"], {"scale": 0.5, "double": True}),
        (["--no-double"], {"double": False}),
    ],
)
def test_every_option_is_a_flag(monkeypatch, words, given):
    monkeypatch.setattr(cli_options, "TESTPROBLEMS", (ENTRY,))

    @click.command()
    @cli_options.problem_options
    def show(problem_options):
        assert problem_options == given

    result = CliRunner().invoke(show, words, catch_exceptions=False)
    assert result.exit_code == 0, result.output
