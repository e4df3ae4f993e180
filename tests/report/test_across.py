"""One table over several problems, in every format; LaTeX is compiled where there is a compiler."""

from __future__ import annotations

import shutil
import subprocess

import pandas as pd
import pytest

from alig_deepobs.analysis import Interval, to_csv, to_latex, to_markdown
from alig_deepobs.analysis.report import build_report
from alig_deepobs.analysis.report.across import Style, across_table, paper_name
from alig_deepobs.analysis.report.tables import all_tables
from alig_deepobs.cli.main import main
from alig_deepobs.errors import UsageError
from alig_deepobs.results import write_result
from alig_deepobs.run import Outcome


@pytest.fixture
def call(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)

    def run(*words):
        with pytest.raises(SystemExit) as caught:
            main([*map(str, words)])
        printed = capsys.readouterr()
        return caught.value.code or 0, printed.out, printed.err

    return run


@pytest.fixture(scope="module")
def report(results):
    return build_report([results])


@pytest.fixture
def planted(tmp_path, run_maker):
    """Two problems: ALI-G far ahead on the digits, tied with Adam on the quadratic."""
    finals = {
        "digits_mlp": {"AliG": 0.96, "Adam": 0.90, "SGD": 0.80},
        "quadratic_deep": {"AliG": 0.90, "Adam": 0.9001, "SGD": 0.5},
    }
    for problem, means in finals.items():
        for number, (label, mean) in enumerate(means.items()):
            for seed in range(42, 47):
                noise = 0.001 * ((seed * (number + 2)) % 5 - 2)
                write_result(run_maker(problem, label, seed, mean + noise), tmp_path)
    return tmp_path


def rows_of(table):
    """Name -> heading -> (text, strong)."""
    headings = [heading.text for heading in table.headings]
    return {
        cells[0].text: {h: (c.text, c.strong) for h, c in zip(headings[1:], cells[1:], strict=True)}
        for cells in table.cells
    }


def test_bold_is_what_is_not_told_apart(planted):
    report = build_report([planted])
    found = rows_of(across_table(report, Style(columns="problems")))
    assert list(found) == ["ALI-G", "Adam", "SGD"] or set(found) == {"ALI-G", "Adam", "SGD"}
    bold = {
        (row, column) for row, of in found.items() for column, (_, strong) in of.items() if strong
    }
    digits, quadratic = "Digits MLP (%)", "Quadratic Deep (loss)"
    assert bold == {("ALI-G", digits), ("ALI-G", quadratic), ("Adam", quadratic)}
    best = rows_of(across_table(report, Style("problems", bold="best")))
    assert sum(strong for of in best.values() for _, strong in of.values()) == 2
    none = rows_of(across_table(report, Style("problems", bold="none")))
    assert not any(strong for of in none.values() for _, strong in of.values())


def test_both_arrangements_say_the_same(planted):
    report = build_report([planted])
    across = rows_of(across_table(report, Style("problems")))
    down = rows_of(across_table(report, Style("optimizers")))
    assert {(o, p, v) for o, of in across.items() for p, v in of.items()} == {
        (o, p, v) for p, of in down.items() for o, v in of.items()
    }
    # The fewer of the two stand side by side.
    assert across_table(report).headings[0].text == "Optimizer"
    only = across_table(report, only_optimizers=["adam"])
    assert [h.text for h in only.headings] == ["Problem", "Adam"]


@pytest.mark.parametrize(
    ("style", "text"),
    [
        (Style(spread="interval"), "96.00 [95.80, 96.19]"),
        (Style(spread="deviation"), "96.00 ± 0.16"),
        (Style(spread="none"), "96.00"),
        (Style(spread="deviation", digits=1), "96.0 ± 0.2"),
        (Style(spread="none", digits=0), "96"),
    ],
)
def test_how_a_number_is_written(planted, style, text):
    table = across_table(build_report([planted]), style)
    assert rows_of(table)["ALI-G"]["Digits MLP (%)"][0] == text


def test_digits_of_losses_are_significant_ones(planted):
    report = build_report([planted])
    for digits, text in ((2, "91"), (4, "91.00"), (5, "91.000")):
        table = across_table(report, Style("problems", "none", digits=digits))
        assert rows_of(table)["ALI-G"]["Quadratic Deep (loss)"][0] == text


def test_csv_is_exact(planted):
    table = across_table(build_report([planted]), Style("problems"))
    frame = pd.read_csv(pd.io.common.StringIO(to_csv(table))).set_index("optimizer")
    assert frame["digits-mlp_mean"]["ALI-G"] == pytest.approx(0.96)
    assert frame["digits-mlp_n"]["SGD"] == 5
    assert frame["quadratic-deep_deviation"]["Adam"] > 0


def test_names_and_order(planted):
    report = build_report([planted])
    style = Style("problems", names={"sgd": "Plain SGD", "ALI-G": "Ours", "digits_mlp": "Digits"})
    table = across_table(report, style, ["adam", "AliG", "sgd"], ["quadratic_deep", "Digits MLP"])
    assert [cells[0].text for cells in table.cells] == ["Adam", "Ours", "Plain SGD"]
    assert [h.text for h in table.headings[1:]] == ["Quadratic Deep (loss)", "Digits (%)"]
    with pytest.raises(UsageError, match="unknown optimizer 'adan'; did you mean Adam"):
        across_table(report, only_optimizers=["adan"])
    with pytest.raises(UsageError, match="unknown problem 'digits_mpl'; did you mean digits_mlp"):
        across_table(report, only_problems=["digits_mpl"])
    with pytest.raises(UsageError, match="unknown name 'sdg'"):
        across_table(report, Style(names={"sdg": "x"}))


def test_what_is_asked_for_twice_is_there_once(report):
    once, twice = (
        across_table(report, only_problems=["digits_mlp"] * times).cells for times in (1, 2)
    )
    assert once == twice


def test_aggregates(planted):
    report = build_report([planted])
    table = across_table(report, Style("problems"), aggregates=True)
    found = rows_of(table)
    assert found["ALI-G"]["Mean rank"][0] in ("1.00", "1.50")
    assert found["SGD"]["Mean rank"][0] == "3.00"
    score = next(c for c in table.columns if c.name == "score")
    assert isinstance(score.value_of("AliG"), Interval)
    assert "Mean rank and score: among Adam, ALI-G, SGD." in table.notes
    with pytest.raises(UsageError, match="two problems"):
        across_table(report, only_problems=["digits_mlp"], aggregates=True)


def test_gaps_and_failures(planted, run_maker):
    write_result(run_maker("digits_mlp", "Yogi", 42, 0.99), planted)
    write_result(run_maker("digits_mlp", "Yogi", 43, outcome=Outcome.FAILED), planted)
    write_result(run_maker("digits_mlp", "DFW", 42, outcome=Outcome.DIVERGED), planted)
    table = across_table(build_report([planted]), Style("problems"))
    found = rows_of(table)
    assert found["Yogi"]["Digits MLP (%)"] == ("99.00 †", False)
    assert found["Yogi"]["Quadratic Deep (loss)"][0] == "–"
    assert found["DFW"]["Digits MLP (%)"][0] == "diverged"
    assert any(note.startswith("†") for note in table.notes)


def test_paper_names():
    assert paper_name("AliG") == "ALI-G"
    assert paper_name("MomoAdam (lr=0.1)") == "MoMo-Adam (lr=0.1)"
    assert paper_name("Evil <b>&") == "Evil <b>&"


def test_the_verb(call, planted):
    code, out, err = call("table", planted)
    assert (code, err) == (0, "")
    assert "ALI-G" in out
    code, out, _ = call(
        "table", planted, "--format", "latex", "--names", "sgd=Plain, adam=A", "-o", "t.tex"
    )
    assert (code, out) == (0, "written: t.tex\n")
    code, out, _ = call("table", planted, "--format", "csv")
    assert out.startswith("optimizer,")
    code, out, _ = call("table", planted, "--format", "markdown", "--columns", "optimizers")
    assert out == to_markdown(across_table(build_report([planted]), Style("optimizers")))
    for wrong in (
        ["--names", "sgd"],
        ["--bold", "some"],
        ["--digits", "-1"],
        ["--optimizers", "x"],
    ):
        assert call("table", planted, *wrong)[0] == 2, wrong
    (next(planted.rglob("*.json")).parent / "broken.json").write_text("{")
    code, out, err = call("table", planted)
    assert code == 1
    assert "broken.json" in err
    assert "ALI-G" in out


# --- LaTeX -----------------------------------------------------------------------------------

LATEX = next(filter(None, map(shutil.which, ("tectonic", "pdflatex"))), None)
DOCUMENT = r"""\documentclass{article}
\usepackage{booktabs}
\begin{document}
%s
\end{document}
"""


@pytest.mark.skipif(LATEX is None, reason="there is neither tectonic nor pdflatex")
def test_every_table_compiles(report, tmp_path):
    """With nothing but booktabs; names with every special character included."""
    hostile = {"AliG": r"ALI-G $\alpha_1$ & 50 % #1 {x} ~^ \ <|> [y] ∞ ± † ≤ …"}
    tables = [to_latex(table) for table in all_tables(report)]
    for columns in ("problems", "optimizers"):
        for spread in ("interval", "deviation"):
            style = Style(columns, spread, names=hostile)
            tables.append(to_latex(across_table(report, style, aggregates=True)))
    assert len(tables) > 6
    (tmp_path / "all.tex").write_text(DOCUMENT % "\n\\clearpage\n".join(tables), encoding="utf-8")
    command = [LATEX, "all.tex"]
    if LATEX.endswith("pdflatex"):
        command[1:1] = ["-interaction=nonstopmode", "-halt-on-error"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace")
    assert done.returncode == 0, done.stdout[-3000:]
    assert (tmp_path / "all.pdf").stat().st_size > 10_000
    assert "Missing character" not in (done.stdout + done.stderr)
