"""Mutated inputs, each tried in a process that may end, hang or grow without harm to the others.

`Target.inputs` makes them, from a seed and from the corpus of those that once failed. `try_all`
forks one process after the other, each of which tries inputs until one of them kills it.
"""

from __future__ import annotations

import json
import os
import random
import resource
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from alig_deepobs.errors import AligDeepobsError

CORPUS = Path(__file__).parent / "corpus"
SECONDS = 5
MEMORY = 2 << 30
HOSTILE_TEXTS = (
    "", "[/x]", "[bold]", "../../x", "a/b", "\x1b[2J\x1b]52;c;cm0=\x07", "\u202ex", "\x9b31m", "\ud800",
    "<script>alert(1)</script>", "=1+1", "@x", "$x$", "\\input{x}", "|a|b|", "[a](http://b)", "a\nb", "\r",
    "x" * 300, "x" * 30_000, "\0", "inf", "nan", "1", "sgd", "os:system", "tuning", "done", "failed",
    "interrupted", "tensorflow", "validation", "quadratic_deep", "9999", "%s{}", "\u0301" * 50,
)  # fmt: skip
HOSTILE = (
    *HOSTILE_TEXTS, None, True, False, 0, 1, -1, 2, 50, 0.0, -0.0, 0.5, 5.0, -3.0, 1e-320, 1e99, 1e100,
    1e101, 1e308, -1e308, float("nan"), float("inf"), -float("inf"), 2**31, 2**53 + 1, 2**63 - 1, 2**63,
    -(2**63), 10**30, [], {}, [[]], [0.5], [0.1, 0.2, 0.3], [1e99] * 3, ["a"], {"a": 1}, {"a": {"b": 1}},
    {"": []}, [{"mean": 1}], [None], [True, False, True], [[[[]]]], [float("nan")], list(range(100)),
)  # fmt: skip
INTERESTING = (0, 1, 0x7F, 0x80, 0xFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 1 << 40, (1 << 63) - 1)


@dataclass
class Target:
    """Something that reads files of others.

    Attributes:
        name: of the kind of input, and of its folder in the corpus.
        good: inputs that are read.
        read: reads the input in a file; whatever it raises is looked at.
        suffix: of the file.
        words: pieces that mean something in this format.
        text: whether inputs are texts, which are mutated as such.
        names_file: whether messages must name the file.
        unpack, repack: what is compressed is changed below that, too.
        is_json: its lines are JSON, of which single values are replaced, too.
    """

    name: str
    good: Sequence[bytes]
    read: Callable[[Path], object]
    suffix: str = ""
    words: Sequence[bytes] = ()
    names_file: bool = True
    repack: Callable[[bytes], bytes] | None = None
    unpack: Callable[[bytes], bytes] | None = None
    is_json: bool = False

    def inputs(self, count: int, seed: int) -> Iterator[bytes]:
        """The corpus, what was made by hand, and mutated good inputs: so many together."""
        yield from self.corpus()
        rng = random.Random(f"{self.name} {seed}")
        for number in range(count):
            good = rng.choice(self.good)
            # Every second one is changed below its compression, where there is one.
            inside = self.unpack is not None and self.repack is not None and number % 2
            content = self.unpack(good) if inside else good
            if self.is_json and number % 4 != 1 and (inside or not self.unpack):
                content = replaced(content, rng)
            else:
                content = mutated(content, rng, self.words)
            yield self.repack(content) if inside else content

    def corpus(self) -> list[bytes]:
        """The inputs that once failed."""
        return [path.read_bytes() for path in sorted((CORPUS / self.name).glob("*"))]


def replaced(content: bytes, rng: random.Random) -> bytes:
    """Lines of JSON with one to four values, or keys, replaced by others."""
    lines = content.splitlines()
    at = rng.randrange(len(lines))
    record = json.loads(lines[at])
    for _ in range(rng.choice((1, 1, 2, 4))):
        place = record
        while True:
            key = rng.choice(list(place) if isinstance(place, dict) else range(len(place)))
            if not (isinstance(place[key], (dict, list)) and place[key] and rng.random() < 0.5):
                break
            place = place[key]
        action = rng.randrange(8)
        if action == 0:
            del place[key]
        elif action == 1 and isinstance(place, dict):
            place[rng.choice(HOSTILE_TEXTS)] = place.pop(key)
        elif action == 2 and isinstance(place[key], list):
            place[key] = place[key] * rng.choice((0, 2, 50)) + [rng.choice(HOSTILE)]
        else:
            place[key] = rng.choice(HOSTILE)
        if not record:
            break
    lines[at] = json.dumps(record).encode()
    return b"\n".join(lines)


def mutated(content: bytes, rng: random.Random, words: Sequence[bytes]) -> bytes:
    """A copy with one to eight changes."""
    data = bytearray(content)
    for _ in range(rng.choice((1, 1, 1, 2, 3, 8))):
        at = rng.randrange(len(data) + 1)
        length = rng.choice((1, 1, 2, 4, 8, 16, 100, 1000))
        kind = rng.randrange(9)
        if kind == 0 and data:
            data[at % len(data)] ^= 1 << rng.randrange(8)
        elif kind == 1 and data:
            data[at % len(data)] = rng.randrange(256)
        elif kind == 2:
            data[at : at + length] = rng.randbytes(length)
        elif kind == 3:
            del data[at : at + length]
        elif kind == 4:
            data[at:at] = data[at : at + length] * rng.choice((1, 2, 20))
        elif kind == 5:
            del data[at:]
        elif kind == 6:
            size = rng.choice((1, 2, 4, 8))
            value = rng.choice(INTERESTING) & ((1 << 8 * size) - 1)
            data[at : at + size] = value.to_bytes(size, rng.choice(("big", "little")))
        elif kind == 7 and words:
            data[at : at + rng.choice((0, 0, 1, 4))] = rng.choice(words)
        else:
            data[at:at] = data[rng.randrange(len(data) + 1) :][:length]
    return bytes(data)


def try_all(target: Target, inputs: Iterator[bytes], folder: Path) -> tuple[int, list[str]]:
    """Tries inputs.

    Args:
        target: reads them.
        inputs: one after the other.
        folder: empty, and afterwards again.

    Returns:
        How many were tried, and what was wrong with those that failed: a crash, no end, another
        error than one of ours, a message that does not name the file, a file that was written, a
        program that was started. Each is kept in the folder of the temporary files.
    """
    folder.mkdir(exist_ok=True)
    path = folder / f"input{target.suffix}"
    tried, failures = 0, []
    pending: list[bytes] = []
    iterator = iter(inputs)
    while True:
        if not pending:
            pending = [item for _, item in zip(range(200), iterator)]  # noqa: B905 - the rest stays
            if not pending:
                return tried, failures
        done, failure = _in_process(target, pending, path)
        tried += done + bool(failure)
        if failure:
            kept = folder.parent / f"failed-{target.name}-{len(failures)}{target.suffix}"
            kept.write_bytes(pending[done])
            failures.append(f"{kept}: {failure}")
            if len(failures) > 20:
                return tried, failures
        del pending[: done + bool(failure)]


def _in_process(target: Target, inputs: list[bytes], path: Path) -> tuple[int, str]:
    """Tries inputs in a process; how many were good, and what was wrong with the next."""
    out, into = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        os.close(out)
        _child(target, inputs, path, into)
    os.close(into)
    said = b""
    while piece := os.read(out, 65536):
        said += piece
    os.close(out)
    _, status = os.waitpid(child, 0)
    done = said.count(b".\n")
    problem = said.rpartition(b"!")[2].decode(errors="replace") if b"!" in said else ""
    if not problem and done < len(inputs):
        number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
        timers = {signal.SIGPROF: "no end", signal.SIGALRM: "waits for ever"}
        problem = timers.get(number, f"the process ended with status {status}")
    return done, problem


def _child(target: Target, inputs: list[bytes], path: Path, into: int) -> None:
    # Address space beyond what the libraries have taken already.
    taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (taken + MEMORY, taken + MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    os.dup2(quiet, 2)
    for number in (signal.SIGALRM, signal.SIGPROF):
        signal.signal(number, signal.SIG_DFL)
    sys.addaudithook(_refuse_programs)
    for content in inputs:
        path.write_bytes(content)
        before = sorted(path.parent.rglob("*"))
        # Seconds of the processor, which may have other work; of the clock where it waits for ever.
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        signal.setitimer(signal.ITIMER_REAL, 20 * SECONDS)
        problem = _problem(target, path)
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        if not problem and sorted(path.parent.rglob("*")) != before:
            problem = "files were written"
        os.write(into, f"!{problem}".encode(errors="replace") if problem else b".\n")
        if problem:
            break
    os._exit(0)


def _refuse_programs(event: str, arguments: tuple[object, ...]) -> None:
    if event in ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.startfile"):
        os.write(2, b"a program was started")
        raise RuntimeError(f"a program was started: {arguments}")


def _problem(target: Target, path: Path) -> str:
    try:
        target.read(path)
    except AligDeepobsError as error:
        text = str(error)
        if "a program was started" in text:
            return text
        return "" if not target.names_file or path.name in text else f"no file is named: {text}"
    except MemoryError:
        return f"more than {MEMORY >> 30} GB"
    except BaseException as error:  # noqa: BLE001 - that is what is looked for
        import traceback

        place = traceback.extract_tb(error.__traceback__)[-1]
        return f"{type(error).__name__}: {error} ({place.filename}:{place.lineno})"[:500]
    return ""
