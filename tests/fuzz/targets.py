"""Everything that reads what others wrote, with good inputs to begin with."""

from __future__ import annotations

import gzip
import io
import json
import os
import tarfile
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import torch
from scipy.io import savemat

from alig_deepobs.analysis.loading import load_results
from alig_deepobs.analysis.render import to_csv, to_latex, to_markdown, to_text
from alig_deepobs.analysis.report import build_report
from alig_deepobs.analysis.report.tables import all_tables, markdown_report
from alig_deepobs.archives import read_members
from alig_deepobs.baselines.archive import result_members
from alig_deepobs.baselines.imports import ImportReport, parsed
from alig_deepobs.bundles import read_bundle
from alig_deepobs.cli.compare import compare
from alig_deepobs.errors import AligDeepobsError
from alig_deepobs.registry import resolve_optimizer
from alig_deepobs.results import read_result, run_folder, to_json, write_result
from alig_deepobs.run import Outcome, RunResult
from alig_deepobs.runners.store import Store
from alig_deepobs.runners.weights import load_weights
from alig_deepobs.settings import parse_setting, split_settings
from alig_deepobs.testproblems.datasets import mat_process, records
from alig_deepobs.testproblems.datasets.embeddings import VectorTable
from alig_deepobs.testproblems.datasets.idx import read_images, read_labels
from alig_deepobs.testproblems.datasets.imagenet import read_image
from alig_deepobs.testproblems.datasets.records import parse, read_file, read_mat
from alig_deepobs.testproblems.datasets.snli_files import read_pairs
from alig_deepobs.testproblems.datasets.tolstoi_files import read_ids, tokenize

from .harness import Target

RNG = np.random.RandomState(1)
HINT = "hint"


def run(problem="digits_mlp", label="SGD", seed=42, **changes):
    accuracies = [] if problem == "quadratic_deep" else [0.1, 0.5, 0.7 + seed % 7 / 100]
    losses = [2.3, 1.1, 0.8 - seed % 7 / 100]
    values = {
        "testproblem": problem, "optimizer_name": label, "optimizer": label.lower(),
        "hyperparams": {"lr": 0.1}, "batch_size": 32, "num_epochs": 2, "random_seed": seed,
        "train_losses": losses, "test_losses": losses, "train_data_losses": losses,
        "test_data_losses": losses, "train_accuracies": accuracies, "test_accuracies": accuracies,
        "minibatch_train_losses": losses, "training_seconds": [1.0, 1.0], "reshuffle": True,
        "evaluation_seconds": [0.1] * 3, "steps": 20, "data_set": "digits", "data_label": "Digits",
        "step_sizes": [{"mean": 0.1, "median": 0.1, "min": 0.0, "max": 0.2}] * 2,
        "guarded_steps": {"zero_norm": 1}, "environment": {"torch": "2.13", "threads": 2},
        "setting_source": "by hand", "started": "2026-01-01T00:00:00.000001+00:00",
    }  # fmt: skip
    return RunResult(**{**values, **changes})


DEEPOBS = {
    "train_losses": [2.1, 1.9], "test_losses": [2.3, 2.05], "test_accuracies": [0.1, 0.2],
    "train_accuracies": [0.1, 0.2], "minibatch_train_losses": [2.0, float("nan")],
    "optimizer_name": "SGD", "optimizer_hyperparams": {"lr": 0.01}, "training_params": {},
    "testproblem": "mnist_mlp", "batch_size": 128, "num_epochs": 1, "random_seed": 43,
}  # fmt: skip
OLDER = {
    "testproblem": "mnist_mlp", "optimizer": "MomentumOptimizer", "batch_size": 64,
    "num_epochs": 1, "random_seed": 7, "learning_rate": 0.1, "hyperparams": {"momentum": 0.99},
    "train_losses": [3.0, 2.0], "test_losses": [3.5, 2.5], "train_accuracies": [0.1, 0.5],
    "test_accuracies": [0.2, 0.6], "weight_decay": None, "train_log_interval": 3,
}  # fmt: skip
DIVERGED = {"outcome": Outcome.DIVERGED, "outcome_reason": "not finite at epoch 3", "num_epochs": 9}
RESULTS = [
    json.dumps(record).encode()
    for record in (
        to_json(run()), to_json(run("quadratic_deep", seed=43)), to_json(run(**DIVERGED)),
        DEEPOBS, OLDER,
    )
]  # fmt: skip
JSON_WORDS = [
    b"NaN", b"-Infinity", b"1e999", b"1e300", b"-1", b"99999999999999999999999", b"null", b"true",
    b'"\\ud800"', b'"\\u202e"', b'"\\u001b[2J"', b"[]", b"{}", b"[[[[", b'{"a":', b'"', b",", b":",
    b'"[/x]"', b'"../../x"', b'"<script>"', b'"=1+1"', b'"$x$"', b"0.5", b"[1, 2, 3]", b"9" * 5000,
    b'"schema_version": 1', b'"purpose": "tuning"', b'"num_epochs": 0', b"\xed\xa0\x80",
    b'"testproblem": ["a"]', b'"random_seed": 9223372036854775807', b'"lr": {"a": []}', b'"lr": [[1]]',
]  # fmt: skip


def report(path: Path) -> None:
    """A report over good results and the input must come about, whatever the input is."""
    with tempfile.TemporaryDirectory() as folder:
        for seed in (42, 43):
            for label in ("SGD", "Adam"):
                write_result(run(seed=seed, label=label), folder)
        place = Path(folder) / "digits_mlp" / "SGD" / "num_epochs__2__x"
        place.mkdir(parents=True)
        (place / path.name).write_bytes(path.read_bytes())
        try:
            found = build_report([folder])
            tables = all_tables(found)
            texts = [markdown_report(found)]
            for render in (to_text, to_markdown, to_latex, to_csv):
                texts += [render(table) for table in tables]
            for text in texts:
                _check_text(text)
        except AligDeepobsError as error:
            raise AssertionError(f"one file stopped the report: {error}") from error
        if not any(path.name in str(item) for item in found.skipped):
            load_results(folder)  # it counts


def _check_text(text: str) -> None:
    acting = set(text) & {*map(chr, [*range(9), *range(11, 32), *range(127, 160)]), "\u202e"}
    assert not acting, acting


def store(path: Path) -> None:
    """What a study finds in a folder is a result of the run, or nothing."""
    with tempfile.TemporaryDirectory() as folder:
        wanted = run()
        place = run_folder(wanted, folder)
        place.mkdir(parents=True)
        name = f"random_seed__{wanted.random_seed}__x.json"
        (place / name).write_bytes(path.read_bytes())
        claims = Path(folder) / ".claims"
        claims.mkdir()
        (claims / f"run-{wanted.identity()}").write_bytes(path.read_bytes())
        store = Store(Path(folder))
        found = store.find(wanted)
        assert found is None or found.identity() == wanted.identity()
        with store.claim(wanted) as free:
            assert free
        store.write(wanted)
        assert store.find(wanted) is not None


def mat_in_a_fork(path: Path) -> object:
    """`read_mat` of an unverified file, whose process is a fork, which is quicker to start."""

    def read_variables(path: Path) -> dict[str, np.ndarray]:
        with tempfile.TemporaryDirectory() as folder:
            child = os.fork()
            if child == 0:
                code = 1
                try:
                    mat_process._limit_memory(3 << 30)
                    mat_process.convert(str(path), folder)
                    code = 0
                finally:
                    os._exit(code)
            if os.waitpid(child, 0)[1]:
                raise ValueError("its reader ended")
            return {
                name: np.load(found, allow_pickle=False)
                for name in mat_process.VARIABLES
                if (found := Path(folder) / f"{name}.npy").is_file()
            }

    records.read_variables = read_variables
    return read_mat(path, HINT, official=False)


def study_file(path: Path) -> None:
    """What `compare --study` makes of a file."""
    compare.make_context("compare", ["digits_mlp", "--study", str(path)])


def setting(path: Path) -> object:
    text = path.read_bytes().decode(errors="surrogateescape")
    for part in split_settings(text):
        found = parse_setting(part)
        str(found)
        if found.name in ("sgd", "alig", "adam"):
            resolve_optimizer(found)
    return None


def imported(path: Path) -> object:
    seen = ImportReport("x")
    return list(parsed(result_members(path), seen)), seen


def npz(**arrays):
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


def npy(array):
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def mat(compressed):
    stream = io.BytesIO()
    images = RNG.randint(0, 256, (32, 32, 3, 2)).astype(np.uint8)
    savemat(stream, {"X": images, "y": np.array([[1], [10]], np.uint8)}, do_compression=compressed)
    return stream.getvalue()


def idx(shape):
    head = (0x800 + len(shape)).to_bytes(4, "big") + b"".join(n.to_bytes(4, "big") for n in shape)
    return gzip.compress(head + RNG.randint(0, 10, shape).astype(np.uint8).tobytes(), mtime=0)


def tar(files):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return stream.getvalue()


def zipped(files):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return stream.getvalue()


def weights():
    stream = io.BytesIO()
    state = {"a.weight": torch.ones(3, 2), "a.bias": torch.zeros(3, dtype=torch.float16)}
    content = {"testproblem": "x", "problem_options": {}, "epoch": 3, "state_dict": state}
    torch.save(content, stream)
    return [stream.getvalue()]


def picture(kind, size=(40, 30)):
    from PIL import Image

    stream = io.BytesIO()
    pixels = RNG.randint(0, 256, (*size, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(stream, kind)
    return stream.getvalue()


def ungzip(content):
    return gzip.decompress(content)


def regzip(content):
    return gzip.compress(content, 1, mtime=0)


CIFAR = {
    name: RNG.randint(0, 10, 2 * 3073).astype(np.uint8).tobytes() for name in ("a.bin", "b.bin")
}
SNLI = b"\n".join(
    json.dumps({"gold_label": label, "sentence1": "A man walks.", "sentence2": "He isn't \u00e9."}).encode()
    for label in ("entailment", "-", "neutral", "contradiction")
)  # fmt: skip
GLOVE = b"the 0.1 0.2 -0.3\nman 1e-3 2 3\n. . 0.5 0.25 0.125\n"
STUDY = b"""
testproblems = ["digits_mlp", "quadratic_deep"]
optimizers = ["alig", "sgd[lr=0.1]"]
seeds = 3
num_epochs = 5
weight_decay = 0.0
synthetic = true
"""
RESULT_PATH = "x/num_epochs__1/random_seed__42.json"
TEXT = ("a line of text\n" * 40).encode()

TARGETS = [
    Target("idx-images", [idx((3, 28, 28)), idx((1, 28, 28))],
           lambda path: read_images(path, HINT), ".gz", unpack=ungzip, repack=regzip),
    Target("idx-labels", [idx((20,)), idx((1,))], lambda path: read_labels(path, HINT), ".gz",
           unpack=ungzip, repack=regzip),
    Target("cifar", list(CIFAR.values()),
           lambda path: parse(read_file(path, HINT, 30_730_000), str(path), HINT, classes=10)),
    Target("mat", [mat(True), mat(False)], mat_in_a_fork, ".mat"),
    Target("snli", [SNLI], lambda path: read_pairs(read_file(path, HINT), str(path), HINT, {}),
           ".jsonl", JSON_WORDS, is_json=True),
    Target("glove", [GLOVE, b"2 3\n" + GLOVE[:30]],
           lambda path: VectorTable("x", (path,)).read({"the", "man", "."}), ".txt",
           [b" ", b"\n", b"nan", b"1e999", b"inf", b"\x00", b"9" * 5000, b" 1" * 9000]),
    Target("npz", [npz(words=np.array(["a", "bc"]), vectors=np.ones((2, 3), np.float32))],
           lambda path: VectorTable("x", (path,)).read({"a"}), ".npz",
           [b"PK\x03\x04", b"\x93NUMPY", b"'descr': '|O'", b"(99999999999, 3)", b"<U9999999"]),
    Target("npy", [npy(np.arange(20)), npy(np.asfortranarray(np.arange(20)[::2]))],
           lambda path: read_ids(path, HINT), ".npy",
           [b"'|O'", b"(99999999999,)", b"'<i8'", b"True", b"(((((("]),
    Target("tolstoi", [TEXT], lambda path: tokenize(read_file(path, HINT), str(path), HINT), ".txt"),
    Target("result", RESULTS, read_result, ".json", JSON_WORDS, is_json=True),
    Target("report", RESULTS, report, ".json", JSON_WORDS, names_file=False, is_json=True),
    Target("study", RESULTS[:1], store, ".json", JSON_WORDS, is_json=True),
    Target("study-file", [STUDY], study_file, ".toml",
           [b"[", b"]", b"[[", b"{", b"'''", b'"', b" = ", b"9" * 5000, b"inf", b"nan", b"1979-05-27",
            b"true", b"\x00", b"a." * 500, b"jobs = -1", b'seeds = "x"', b"\xff", b"optimizers = [1]"]),
    Target("baselines", [regzip(b"\n".join(RESULTS))], read_bundle, ".jsonl.gz", JSON_WORDS,
           unpack=ungzip, repack=regzip, is_json=True),
    Target("checkpoint", weights(), load_weights, ".pt",
           [b"c__builtin__\neval\n", b"cos\nsystem\n(S'id'\ntR.", b"\x80\x02", b"ctorch\nload\n"]),
    Target("setting", [b"alig[max_lr=0.1, momentum=0.9]", b"sgd[lr=1e-3],adam[betas=(0.9, 0.99)]",
                       b"torch.optim:RAdam[lr=0.1]"], setting, "",
           [b"[", b"]", b"(" * 300, b"-" * 300, b"{", b"'", b"9" * 5000, b"9**9**9", b"\x00", b"=",
            b"__import__('os')", b"1e999", b"1e400", b"inf", b"None", b"\xff", b"lambda: 0", b"\\"],
           names_file=False),
    Target("tar", [tar({f"x/{name}": content for name, content in CIFAR.items()})],
           lambda path: read_members(path, dict.fromkeys(CIFAR, 10_000), HINT), ".tar.gz",
           [b"../../", b"/etc/passwd", b"\xff" * 11 + b"\x00", b"\x80" + b"\xff" * 11, b"77777777777",
            b"00000000000", b"x", b"L", b"2", b"S", b"ustar\x0000"], unpack=ungzip, repack=regzip),
    Target("zip", [zipped({f"x/{name}": content for name, content in CIFAR.items()})],
           lambda path: read_members(path, dict.fromkeys(CIFAR, 10_000), HINT), ".zip",
           [b"../../", b"PK\x01\x02", b"PK\x03\x04", b"PK\x05\x06", b"PK\x06\x06", b"\xff\xff\xff\xff"]),
    Target("import", [tar({RESULT_PATH: RESULTS[0], "x/num_epochs__2/b.json": RESULTS[3]}),
                      zipped({RESULT_PATH: RESULTS[4]})], imported, ".archive", JSON_WORDS),
    Target("image", [picture("JPEG"), picture("PNG")], lambda path: read_image(path, HINT), ".JPEG",
           [b"\xff\xd8", b"\xff\xc0", b"IHDR", b"IDAT", b"%!PS-Adobe", b"\xff\xff"]),
]  # fmt: skip
