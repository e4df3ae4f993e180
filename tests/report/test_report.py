"""The verb `report`: what it prints, what it writes, and what it does with bad input."""

from __future__ import annotations

import json
import re
import sys

import pandas as pd
import pytest

from alig_deepobs.analysis.report import build_report
from alig_deepobs.analysis.report.rows import page_tables
from alig_deepobs.analysis.report.tables import all_tables
from alig_deepobs.cli.main import main
from alig_deepobs.errors import UsageError
from alig_deepobs.results import write_result


@pytest.fixture
def call(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)

    def run(*words):
        with pytest.raises(SystemExit) as caught:
            main(["report", *map(str, words)])
        printed = capsys.readouterr()
        return caught.value.code or 0, printed.out, printed.err

    return run


@pytest.fixture(scope="module")
def report(results):
    return build_report([results], ("deepobs", "measured"))


def section_of(report, name):
    return next(section for section in report.sections if section.entry.name == name)


def test_the_planted_winner_is_called_and_the_tie_is_not(report):
    rows = {row.label: row for row in section_of(report, "digits_mlp").board.rows}
    assert rows["AliG"].rank == 1
    assert not rows["AliG"].tied
    tally = report.overall.tallies
    # Two problems, three opponents: the planted winner beats all, Momentum and Adam tie.
    assert (tally["AliG"].wins, tally["AliG"].ties, tally["AliG"].losses) == (6, 0, 0)
    assert (tally["Momentum"].wins, tally["Momentum"].ties, tally["Momentum"].losses) == (2, 2, 2)
    assert tally["SGD"].losses == 6
    assert report.overall.ranking.average_ranks["AliG"] == 1.0


def test_the_setting_with_most_seeds_has_the_row(report):
    section = section_of(report, "digits_mlp")
    assert section.groups["AliG"].runs[0].hyperparams == {"max_lr": 0.1}
    assert len(section.groups["AliG"].runs) == 6
    assert len(section.others) == 8
    grid = next(grid for grid in section.grids if grid.label == "AliG")
    assert sorted(grid.finals) == [0.001, 0.01, 0.1, 1.0, 10.0]
    assert pd.isna(grid.means()[10.0])


def test_published_and_measured_rows_are_labelled(report):
    section = section_of(report, "quadratic_deep")
    own, (published, measured) = page_tables(section, ("deepobs", "measured"))
    assert (published.title, measured.title) == ("Published by DeepOBS", "Measured by alig-deepobs")
    assert all(row.verdict.startswith("DeepOBS (TensorFlow 1, 2019") for row in published.rows)
    assert {row.row.label for row in published.rows} == {"SGD", "Momentum", "Adam"}
    assert all(row.verdict.startswith("measured by alig-deepobs") for row in measured.rows)
    momentum = next(row for row in published.rows if row.row.label == "Momentum")
    titles = [heading.text for heading in published.headings]
    cells = dict(zip(titles, (cell.text for cell in momentum.cells), strict=True))
    assert cells["Test loss"] == "87.05 [87.03, 87.06]"
    assert cells["To target"].endswith("(10 of 10)")
    assert cells["#"] == ""
    ranks = [row.cells[0].text for row in own.rows]
    assert ranks == sorted(ranks)
    assert page_tables(section, ())[1] == []


def test_commands_repeat_the_runs(report, run_maker):
    rows = {row.row.label: row for row in page_tables(section_of(report, "digits_mlp"), ())[0].rows}
    assert rows["AliG"].command == (
        "alig-deepobs run digits_mlp --optimizer 'alig[max_lr=0.1]' --batch_size 32 "
        "--num_epochs 10 --random_seed 42 --reshuffle --seeds 6"
    )
    assert rows["Evil <b>&"].command == ""


def test_the_command_of_a_row_gives_the_same_numbers(call, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ["run", "quadratic_deep", "--optimizer", "adam[lr=0.05]", "-N", "1", "--seeds", "2"]
    with pytest.raises(SystemExit):
        main([*words, "--output_dir", "first"])
    import shlex

    found = build_report(["first"])
    command = page_tables(found.sections[0], ())[0].rows[0].command
    with pytest.raises(SystemExit):
        main([*shlex.split(command)[1:], "--output_dir", "second"])
    again = build_report(["second"])
    assert [run.test_losses for run in again.runs] == [run.test_losses for run in found.runs]


def test_prints_a_report(call, results):
    code, out, err = call(results)
    assert (code, err) == (0, "")
    for text in ("All problems", "Digits MLP", "Quadratic Deep: baselines", "Sensitivity", "95 %"):
        assert text in out
    assert "Left out for lack of width" not in out


def test_writes_every_format(call, results, tmp_path):
    code, out, _ = call(
        results, "--markdown", "r.md", "--latex", "tex", "--csv", "csv", "--baselines", "none"
    )
    assert code == 0
    assert "written: r.md" in out
    text = (tmp_path / "r.md").read_text()
    assert "| 1 | AliG |" in text.replace("**", "")
    assert "Evil &lt;b>&" in text
    frame = pd.read_csv(tmp_path / "csv" / "leaderboard-digits-mlp.csv")
    assert frame["label"][0] == "AliG"
    assert frame["headline_mean"][0] == pytest.approx(0.96, abs=0.01)
    latex = (tmp_path / "tex" / "leaderboard-digits-mlp.tex").read_text()
    assert r"\toprule" in latex
    assert latex.count(r"\\") == 6  # the heading and five rows
    assert not list((tmp_path / "csv").glob("baselines-*"))


def test_tables_have_names_of_their_own(report):
    names = [table.name for table in all_tables(report)]
    assert len(set(names)) == len(names)
    assert {"summary", "sensitivity", "environment", "targets-quadratic-deep"} <= set(names)


def test_bad_files_are_named_and_the_rest_is_analysed(call, tmp_path, run_maker):
    pytest.importorskip("jinja2")
    folder = tmp_path / "results"
    paths = [
        write_result(run_maker(seed=seed, final=0.9 + seed / 1e4), folder) for seed in (42, 43)
    ]
    good = json.loads(paths[0].read_text())
    place = paths[0].parent
    broken = {
        "truncated.json": json.dumps(good)[:200],
        "foreign.json": '{"hello": 1}',
        "nan.json": json.dumps({**good, "random_seed": 50, "test_losses": [float("nan")] * 3}),
        "newer.json": json.dumps({**good, "schema_version": 99}),
        "bare.json": json.dumps({**good, "random_seed": 44, "test_accuracies": []}),
    }
    (place / "twice.json").write_text(paths[0].read_text())
    for name, text in broken.items():
        (place / name).write_text(text)
    code, _, err = call(folder, "--html", "page.html")
    assert code == 1
    for name in broken:
        assert name in err, name
    assert f"{len(broken)} files skipped" in err
    assert "has no test accuracy" in err
    page = (tmp_path / "page.html").read_text()
    assert f"{len(broken)} files skipped" in page
    assert all(name in page for name in broken)
    assert "1 older result of repeated runs left out" in page
    assert "twice.json" not in err + page
    assert len(build_report([folder]).runs) == 2


def test_repeated_runs_are_a_count_and_no_error(call, tmp_path, run_maker):
    for seed in (42, 43):
        for hour in (1, 3, 2):
            started = f"2026-01-01T0{hour}:00:00+00:00"
            run = run_maker(seed=seed, final=0.8 + hour / 100, started=started)
            write_result(run, tmp_path / f"results-{hour}")
    folders = [f"results-{hour}" for hour in (3, 1, 2)]
    code, out, err = call(*folders)
    assert (code, err) == (0, "")
    assert "4 older results of repeated runs left out" in out
    # The latest counts, wherever it lies.
    assert [run.test_accuracies[-1] for run in build_report(folders).runs] == pytest.approx(
        [0.83, 0.83]
    )


def test_an_empty_folder_is_named(call, tmp_path, run_maker):
    (tmp_path / "empty").mkdir()
    code, _, err = call("empty")
    assert code == 2
    assert "empty" in err
    write_result(run_maker(), tmp_path / "full")
    code, out, err = call("full", "empty")
    assert code == 1
    assert "empty: there is no result in this folder" in err
    assert "1 file skipped" in err
    assert "SGD" in out


def test_usage_errors(call, tmp_path):
    assert call("nowhere")[0] == 2
    assert call()[0] == 2
    (tmp_path / "there").mkdir()
    code, _, err = call("there", "--baselines", "none", "--baselines", "deepobs")
    assert code == 2
    assert "none" in err


def test_without_the_extra_there_is_one_line_with_the_remedy(call, results, monkeypatch):
    import importlib.util

    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *a: None if name == "jinja2" else real(name, *a)
    )
    code, _, err = call(results, "--html", "page.html")
    assert code == 2
    assert "pip install 'alig-deepobs[report]'" in err
    assert len(err.strip().splitlines()) == 1


def test_unequal_seeds_and_environments_are_said(tmp_path, run_maker):
    for seed in (42, 43, 44):
        write_result(run_maker("digits_mlp", "SGD", seed, 0.8 + seed / 1e3), tmp_path)
    for seed in (43, 44, 45):
        other = {"environment": {"torch": "2.6.0", "device": "cpu"}}
        write_result(run_maker("digits_mlp", "AliG", seed, 0.9 + seed / 1e3, **other), tmp_path)
    report = build_report([tmp_path])
    sgd = next(row for row in report.sections[0].board.rows if row.label == "SGD")
    assert "2 seeds in common with rank 1" in sgd.note
    tables = {table.name: table for table in all_tables(report)}
    cells = {(row["property"], row["value"]) for row in tables["environment"].rows}
    assert {("torch", "2.13.0"), ("torch", "2.6.0")} <= cells
    assert "torch on digits_mlp" in tables["environment"].all_notes[0]


def test_a_problem_of_nobody_has_a_section(tmp_path, run_maker):
    write_result(run_maker("their_problem", "SGD"), tmp_path)
    report = build_report([tmp_path])
    assert report.sections[0].entry.label == "their_problem"
    with pytest.raises(UsageError, match="no results folder"):
        build_report([tmp_path / "missing"])


@pytest.mark.slow
def test_ten_thousand_files_in_a_minute_and_two_gigabytes(tmp_path, runs_writer, record_property):
    import subprocess
    import time

    problems = ("digits_mlp", "digits_logreg", "mnist_mlp", "fmnist_mlp", "mnist_2c2d")
    for problem in problems:
        runs_writer(tmp_path / "r", problem, seeds=500, epochs=50)
    # Its own peak: that of getrusage knows other processes, too.
    code = (
        "import atexit, pathlib, sys\n"
        "status = pathlib.Path('/proc/self/status')\n"
        "atexit.register(lambda: pathlib.Path(sys.argv[-1]).write_text(status.read_text()))\n"
        "from alig_deepobs.cli.main import main\n"
        "main(sys.argv[1:-1])\n"
    )
    command = [sys.executable, "-c", code, "report", str(tmp_path / "r")]
    start = time.perf_counter()
    page, status = tmp_path / "page.html", tmp_path / "status"
    subprocess.run([*command, "--html", str(page), str(status)], check=True)
    seconds = time.perf_counter() - start
    megabytes = int(re.search(r"VmHWM:\s*(\d+) kB", status.read_text())[1]) / 1024
    record_property("10,000 files", f"{seconds:.1f} s, {megabytes:.0f} MB")
    assert page.stat().st_size < 2_000_000
    assert megabytes < 2000
    assert seconds < 60
