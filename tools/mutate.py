"""Mutation testing: small changes to the meaning of the code, each of which a test must notice.

    python tools/mutate.py                       every module of mutate.toml
    python tools/mutate.py analysis/ranks.py     one module
    python tools/mutate.py --sample 20           at most 20 changes per module, always the same ones

The changes are mutmut's, and two of our own: a call that stands alone is left out, and a condition
is turned round. mutmut's own runner is not used: it leaves out every decorated function, which
``step`` and all properties are. Docstrings, annotations and texts for people are left alone.

Each change is made in a copy of the tree, so that processes which the tests start see it too. The
process that imports torch and pytest is forked for each change, which saves seconds per change.
"""

from __future__ import annotations

import argparse
import difflib
import importlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import libcst as cst
import libcst.matchers as m
from mutmut.mutation.mutators import mutation_operators

ROOT = Path(__file__).resolve().parents[1]
TABLE = Path(__file__).with_name("mutate.toml")
TYPES = m.Subscript(value=m.Name("Literal") | m.Name("Callable")) | m.BinaryOperation(
    left=m.Name("float"), operator=m.BitOr()
)
NO_TESTS = 5  # pytest's exit code
# Checks that what is never so is not so.
DECLARATIONS = ("strict=True", "frozen=True")
DECLARED = m.Arg(keyword=m.Name("strict") | m.Name("frozen"), value=m.Name("True"))
# What most tests import, but nothing of this package: its modules are imported after the change.
WARM = (
    "numpy", "pytest", "torch", "torch._dynamo", "pandas", "scipy.stats", "scipy.special",
    "hypothesis", "lightning.pytorch",
)  # fmt: skip


class Mutants(cst.CSTTransformer):
    """Collects all changes of a module: pairs of a node and what takes its place."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[cst.CSTNode, cst.CSTNode]] = []

    def on_visit(self, node: cst.CSTNode) -> bool:
        """Collects the changes of a node; False where its children are to be left alone."""
        if _has_no_meaning(node):
            return False
        changes = [*_own_changes(node)]
        for kind, change in mutation_operators:
            if isinstance(node, kind):
                changes += change(node)
        self.found += [(node, new) for new in changes if _may_matter(new)]
        return super().on_visit(node)


def _has_no_meaning(node: cst.CSTNode) -> bool:
    """Whether no test can or should notice a change within the node."""
    return (
        isinstance(node, cst.Annotation | cst.Raise | cst.Import | cst.ImportFrom)
        or m.matches(node, m.Call(func=m.Name("cast")) | m.If(test=m.Name("TYPE_CHECKING")))
        or m.matches(node, m.Expr(value=m.SimpleString()))  # a docstring
        or m.matches(node, m.Assign(targets=[m.AssignTarget(target=m.Name("__all__"))]))
        or m.matches(node, DECLARED)
        or m.matches(node, m.TypeAlias() | m.Assign(value=TYPES))
    )


def _own_changes(node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    if m.matches(node, m.Expr(value=m.Call())):
        yield cst.Pass()
    if isinstance(node, cst.If | cst.IfExp | cst.While):
        test = node.test.with_changes(lpar=[cst.LeftParen()], rpar=[cst.RightParen()])
        yield node.with_changes(test=cst.UnaryOperation(cst.Not(), test))


def _may_matter(new: cst.CSTNode) -> bool:
    # Of mutmut's three changes of a text, the first is enough; one with spaces is for people.
    if isinstance(new, cst.SimpleString):
        return new.value == '""' or (new.value[1:3] == "XX" and " " not in new.value)
    return True


def mutants(module: cst.Module) -> list[tuple[cst.CSTNode, cst.CSTNode]]:
    """The changes of a module, each one once: pairs of a node and what takes its place."""
    collector = Mutants()
    module.visit(collector)
    found: dict[tuple[int, str], tuple[cst.CSTNode, cst.CSTNode]] = {}
    for old, new in collector.found:
        before, after = module.code_for_node(old), module.code_for_node(new)
        if after != before and all(after.count(w) == before.count(w) for w in DECLARATIONS):
            found.setdefault((id(old), after), (old, new))
    return list(found.values())


@dataclass
class Tally:
    """What came of the changes of one module."""

    module: str
    total: int = 0
    possible: int = 0
    survivors: list[str] = field(default_factory=list)

    @property
    def killed(self) -> int:
        """How many of them a test noticed."""
        return self.total - len(self.survivors)


class Tree:
    """A copy of the repository, in which one module at a time is changed."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "tree"
        self.log = folder / "log"
        listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        names = subprocess.run(listed, cwd=ROOT, capture_output=True, check=True, text=True).stdout
        for name in filter(None, names.split("\0")):
            if (ROOT / name).exists():
                (self.root / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, self.root / name, follow_symlinks=False)
        self.clock = time.time()

    def write(self, module: str, code: str) -> None:
        """Puts the code in the place of a module."""
        path = self.root / module
        path.write_text(code, encoding="utf-8")
        # Compiled files know their source by time and size: no two versions may have the same.
        self.clock += 10
        os.utime(path, (self.clock, self.clock))

    def passes(self, tests: list[str], limit: float, keep: bool = False) -> bool:
        """Whether the tests pass in the tree, in a fork of this process, within ``limit`` seconds.

        ``keep`` lets Python store what it compiles.
        """
        child = os.fork()
        if child == 0:
            os._exit(self._test(tests, keep))
        deadline = time.monotonic() + limit
        while time.monotonic() < deadline:
            done, status = os.waitpid(child, os.WNOHANG)
            if done:
                return os.waitstatus_to_exitcode(status) == 0
            time.sleep(0.02)
        os.killpg(child, signal.SIGKILL)
        os.waitpid(child, 0)
        return False

    def _test(self, tests: list[str], keep: bool) -> int:
        os.setsid()  # so that what the tests start can be ended with them
        os.chdir(self.root)
        os.environ["PYTHONPATH"] = str(self.root)
        if not keep:
            os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
        sys.dont_write_bytecode = not keep
        sys.path.insert(0, str(self.root))
        output = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(output, 1)
        os.dup2(output, 2)
        pytest = importlib.import_module("pytest")
        files = [test for test in tests if test.startswith("tests/")]
        without = ["-pno:cacheprovider", "-pno:xdist", "-pno:anyio"]
        options = ["-x", "-q", *without, *tests[len(files) :]]
        found = NO_TESTS
        for file in files:  # one after the other, so that none is collected after a failure
            code = int(pytest.main([*options, file]))
            if code not in (0, NO_TESTS):
                return code
            found = min(found, code)
        return found


def try_out(tree: Tree, module: str, tests: list[str], sample: int, seed: int) -> Tally:
    """Tries a sample of the changes of a module."""
    code = (tree.root / module).read_text(encoding="utf-8")
    tree_of_code = cst.parse_module(code)
    possible = mutants(tree_of_code)
    draw = random.Random(f"{seed} {module}")
    chosen = sorted(draw.sample(range(len(possible)), min(sample, len(possible))))
    start = time.monotonic()
    if not tree.passes(tests, 1800, keep=True):
        log = tree.log.read_text()[-3000:]
        raise SystemExit(f"the tests of {module} fail without any change:\n{log}")
    limit = 10 + 5 * (time.monotonic() - start)
    tally = Tally(module, possible=len(possible))
    for index in chosen:
        changed = tree_of_code.deep_replace(*possible[index])
        assert isinstance(changed, cst.Module)
        tree.write(module, changed.code)
        tally.total += 1
        if tree.passes(tests, limit):
            lines = (text.splitlines() for text in (code, changed.code))
            diff = list(difflib.unified_diff(*lines, n=0, lineterm=""))[2:]
            tally.survivors.append("\n".join(diff))
            print(f"{module}: survived\n{tally.survivors[-1]}", flush=True)
    tree.write(module, code)
    seconds = time.monotonic() - start
    print(f"{module}: {tally.killed} of {tally.total} killed, {seconds:.0f} s", flush=True)
    return tally


def main() -> None:
    """Tries the modules that are named, else all, and prints a table."""
    parser = argparse.ArgumentParser(description="Mutation testing; see the head of this file.")
    parser.add_argument("modules", nargs="*", help="files, as in mutate.toml; default: all")
    parser.add_argument("--sample", type=int, default=60, help="changes per module, at most")
    parser.add_argument("--seed", type=int, default=0, help="which changes are chosen")
    parser.add_argument("--at-least", type=float, default=95.0, help="percent that must be killed")
    chosen = parser.parse_args()
    table: dict[str, list[str]] = tomllib.loads(TABLE.read_text(encoding="utf-8"))["near"]
    if unknown := set(chosen.modules) - set(table):
        parser.error(f"not in {TABLE.name}: {', '.join(sorted(unknown))}")
    os.environ["OMP_NUM_THREADS"] = "1"
    for name in WARM:
        importlib.import_module(name)
    with tempfile.TemporaryDirectory(prefix="mutate-") as folder:
        tree = Tree(Path(folder))
        tallies = [
            try_out(tree, module, table[module], chosen.sample, chosen.seed)
            for module in chosen.modules or table
        ]
    print(f"\n{'module':45} {'killed':>6} {'tried':>6} {'of':>6}")
    for tally in tallies:
        print(f"{tally.module:45} {tally.killed:6} {tally.total:6} {tally.possible:6}")
    killed, total = (sum(getattr(t, name) for t in tallies) for name in ("killed", "total"))
    print(f"{'all':45} {killed:6} {total:6}   {100 * killed / total:.1f} %")
    sys.exit(killed < total * chosen.at_least / 100)


if __name__ == "__main__":
    main()
