"""Result files: one strict JSON file for each run, in DeepOBS's folder tree.

``<output_dir>/<test problem>/<optimizer>/<setting>/random_seed__<seed>__<time>__<id>.json``. The
keys are those of DeepOBS 1.2, plus what the analyzer of DeepOBS 1.1.2 needs, plus ours. Files of
both DeepOBS versions, and of earlier schemas, can be read. A number that is not finite never gets
into a file: a diverged run has shorter lists, and says so in ``outcome``; nothing is padded.
"""

from __future__ import annotations

import dataclasses
import math
import re
import secrets
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from json import dumps  # ours, whatever a plug-in puts in its place
from pathlib import Path
from typing import Any

from alig_deepobs.entries import LEARNING_RATES
from alig_deepobs.errors import ResultError, UsageError
from alig_deepobs.files import write_text_atomically
from alig_deepobs.foreign import brief, parse_json, plain_scalar, read_regular, shown
from alig_deepobs.record_checks import (
    CURVES,
    LONGEST_KEY,
    LONGEST_TEXT,
    check_record,
    finite_length,
)
from alig_deepobs.registry import testproblems
from alig_deepobs.run import PARTS, Outcome, ResolvedRun, Run, RunResult, facets

SCHEMA_VERSION = 2

_KEYS = {facet.key or name: name for name, facet in facets(RunResult).items()}


def to_json(result: RunResult) -> dict[str, Any]:
    """The dictionary that is written: our keys and those of both DeepOBS versions."""
    values = dataclasses.asdict(result)
    record = {key: values[name] for key, name in _KEYS.items()}
    record["outcome"] = result.outcome.value
    record["schema_version"] = SCHEMA_VERSION
    record["identity"] = result.identity()
    for part in PARTS:
        if not record[f"{part}_accuracies"]:
            del record[f"{part}_accuracies"]
    # What the analyzer of DeepOBS 1.1.2 looks for, under its names.
    record["learning_rate"] = result.learning_rate
    record["hyperparams"] = {k: v for k, v in result.hyperparams.items() if k not in LEARNING_RATES}
    record["lr_sched_epochs"] = result.training_params.get("lr_sched_epochs")
    record["lr_sched_factors"] = result.training_params.get("lr_sched_factors")
    return {key: plain(value) for key, value in record.items()}


def setting_folder(run: Run) -> str:
    """Name of the setting's folder: DeepOBS 1.2's, and the digest of the whole setting.

    Two settings never share a folder, and no name is too long for a file system or unsafe in one.
    """
    parts = ["num_epochs", str(run.num_epochs), "batch_size", str(run.batch_size)]
    params = {**run.setting_params(), **run.problem_options}
    for key in ("weight_decay", *sorted(params.keys() - {"weight_decay"})):
        value = params.get(key)
        if value is not None:
            parts += [key, float_text(value) if isinstance(value, float) else str(value)]
    name = "__".join(parts)
    safe = "".join(c if c.isalnum() or c in "._-+()[], " else "-" for c in name)
    short = safe.encode()[:200].decode(errors="ignore")  # names are limited in bytes
    return f"{short}__id__{run.setting()[:10]}"


def float_text(value: float) -> str:
    """DeepOBS's way to write a float in a folder name.

    Example:
        >>> float_text(0.01), float_text(0.0), float_text(10**-0.8)
        ('1.e-02', '0.e+00', '1.5848931925e-01')
    """
    if not math.isfinite(value):
        return str(value)
    mantissa, _, exponent = f"{value:.10e}".partition("e")
    return f"{mantissa.rstrip('0')}e{exponent}"


def check_folder_name(name: str, of: str) -> str:
    """Returns a name that is a folder of the results, if it can be one.

    Raises:
        ResultError: it is empty, hidden, too long, or has characters that a path must not have.
    """
    if (
        re.fullmatch(r"(?!\.)[^/\\<>:\"|?*]+", name)
        and shown(name) == name  # nothing in it acts unseen
        and len(name.encode("utf-8", "replace")) <= 120
    ):
        return name
    raise ResultError(
        f"{of} {name[:60]!r} cannot be the name of a folder of results: use letters, digits, "
        "blanks and ._-+()[],= and at most 120 bytes"
    )


def write_result(result: RunResult, output_dir: str | Path) -> Path:
    """Writes a result atomically under a name that no other run has.

    Returns:
        The path of the file.

    Raises:
        ResultError: the folder is not writable, or the result holds something that a strict JSON
            file cannot hold.
    """
    # Local time, as DeepOBS writes it; which of two results is later is told by ``started``.
    stamp = time.strftime("%Y-%m-%d-%H-%M-%S")
    name = f"random_seed__{result.random_seed}__{stamp}__{secrets.token_hex(4)}.json"
    text = result_text(result)
    path = run_folder(result, output_dir) / name
    write_text_atomically(path, text)
    return path


def result_text(result: RunResult) -> str:
    """The content of a result's file.

    Raises:
        ResultError: the result holds something that a strict JSON file cannot hold.
    """
    try:
        return dumps(to_json(result), indent=4, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ResultError(f"result of {result.testproblem} cannot be written: {error}") from error


def run_folder(run: Run, output_dir: str | Path) -> Path:
    """The folder of a run's file, together with those of its other seeds.

    Raises:
        ResultError: a name cannot be that of a folder.
    """
    problem = check_folder_name(run.testproblem, "the test problem")
    optimizer = check_folder_name(run.optimizer_name, "the optimizer's label")
    return Path(output_dir) / problem / optimizer / setting_folder(run)


def newest(first: RunResult, second: RunResult) -> RunResult:
    """Which of two results of the same run counts.

    A run that came to its end counts before one that did not; of two alike, the later.
    """
    rank = [(result.outcome.is_final, result.started) for result in (first, second)]
    return second if rank[1] >= rank[0] else first


def now() -> str:
    """The time for `RunResult.started`."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


def read_result(path: str | Path) -> RunResult:
    """Reads a result of ours, of DeepOBS 1.2 or of DeepOBS 1.1.

    Lists of DeepOBS's files that contain NaN or infinity are cut before the first such entry, and
    the outcome is ``diverged``.

    Raises:
        ResultError: the file cannot be read, is not JSON, or is not a complete result: it lacks
            something, or a value is of a wrong kind or makes no sense (`check_record`).
    """
    path = Path(path)
    try:
        raw = read_regular(path)
    except OSError as error:
        raise ResultError(f"cannot read {path}: {error.strerror or error}") from error
    return parse_result(raw, path)


def parse_result(raw: bytes, path: Path) -> RunResult:
    """Reads the bytes of a result, of any dialect.

    Args:
        raw: the content of the file.
        path: its name, for messages; files of DeepOBS that do not name their problem are told by
            their folder.

    Raises:
        ResultError: as in `read_result`.
    """
    try:
        record = parse_json(raw)
    except ValueError as error:
        raise ResultError(f"{path} is not a JSON file: {error}") from error
    if not isinstance(record, dict) or "test_losses" not in record:
        raise ResultError(f"{path} is not a result: it has no test_losses")
    schema = record.get("schema_version", 0)
    if type(schema) is not int or schema < 0:
        raise ResultError(f"{path} is not a result: its schema_version is {brief(schema)}")
    if schema > SCHEMA_VERSION:
        raise ResultError(
            f"{path} has schema version {schema}; this version of alig-deepobs reads up to "
            f"{SCHEMA_VERSION}: update it"
        )
    return _from_ours(record, path, schema) if schema else _from_deepobs(record, path)


def _from_ours(record: Mapping[str, Any], path: Path, schema: int) -> RunResult:
    try:
        values = {_KEYS[key]: value for key, value in record.items() if key in _KEYS}
        values["hyperparams"] = dict(record[facets(Run)["hyperparams"].key])
        values["outcome"] = Outcome(record["outcome"])
        if schema == 1:
            values |= _from_schema_1(values)
        result = RunResult(**values)
        check_record(result)
        if result.numbers_version == 0:
            result.schema_version = 0  # DeepOBS's, in a file of ours
    except KeyError as error:
        raise ResultError(f"{path} is not a complete result: it has no {error}") from error
    except (AttributeError, OverflowError, TypeError, ValueError) as error:
        raise ResultError(f"{path} is not a complete result: {error}") from error
    return result


def _from_schema_1(values: Mapping[str, Any]) -> dict[str, Any]:
    """What schema 1 had in another form, or only in the label of the data."""
    label = str(values.get("data_label", ""))
    marks = {
        "(synthetic twin)": "synthetic",
        "(unverified": "unverified",
        "(scikit-learn)": "bundled",
    }
    started = str(values.get("environment", {}).get("started", ""))
    if started:
        started = datetime.strptime(started, "%Y-%m-%dT%H:%M:%S%z").astimezone(UTC).isoformat()
    return {
        "hyperparams": {
            name: float(value) if value in ("inf", "-inf") else value
            for name, value in values["hyperparams"].items()
        },
        "weight_decay": _in_force(values.get("testproblem"), values.get("weight_decay")),
        "synthetic": "(synthetic twin)" in label,
        "data_source": next((source for mark, source in marks.items() if mark in label), ""),
        "started": started,
    }


def _in_force(testproblem: Any, weight_decay: float | None) -> float | None:
    """The L2 factor of a run whose record has None for the problem's default."""
    entry = testproblems().get(testproblem)
    return entry.weight_decay if weight_decay is None and entry is not None else weight_decay


def _from_deepobs(record: Mapping[str, Any], path: Path) -> RunResult:
    """Reads the dialects of DeepOBS 1.2 (``optimizer_name``) and 1.1 (``optimizer``)."""
    new = "optimizer_name" in record or "optimizer_hyperparams" in record
    try:
        hyperparams = dict(record["optimizer_hyperparams"] if new else record["hyperparams"])
        training = dict(record.get("training_params", {}))
        if not new:
            hyperparams["learning_rate"] = record["learning_rate"]
            if record.get("lr_sched_epochs") is not None:
                training["lr_sched_epochs"] = record["lr_sched_epochs"]
                training["lr_sched_factors"] = record["lr_sched_factors"]
        lists = {name: _numbers(name, record.get(name, [])) for name in _DEEPOBS_LISTS}
        testproblem = record["testproblem"] if "testproblem" in record else path.parents[2].name
        stamp = re.search(r"__(\d{4}-\d\d-\d\d)-(\d\d)-(\d\d)-(\d\d)(__|\.)", path.name)
        result = RunResult(
            testproblem,
            record.get("optimizer_name", record.get("optimizer", "")),
            hyperparams,
            batch_size=record["batch_size"],
            num_epochs=record["num_epochs"],
            random_seed=record["random_seed"],
            weight_decay=_in_force(testproblem, record.get("weight_decay", record.get("l2_reg"))),
            training_params=training,
            train_log_interval=record.get("train_log_interval", 10),
            framework="pytorch" if new else "tensorflow",
            numbers_version=0,
            started=f"{stamp[1]}T{stamp[2]}:{stamp[3]}:{stamp[4]}" if stamp else "",
            schema_version=0,
            **lists,  # type: ignore[arg-type]
        )
        if not any(lists[name] for name in lists if name != "minibatch_train_losses"):
            raise ValueError("its lists are empty")
        cut_at_first_non_finite(result)
        check_record(result)
    except KeyError as error:
        raise ResultError(f"{path} is not a complete result of DeepOBS: no {error}") from error
    except (AttributeError, IndexError, OverflowError, TypeError, ValueError) as error:
        raise ResultError(f"{path} is not a complete result of DeepOBS: {error}") from error
    return result


_DEEPOBS_LISTS = (
    "train_losses", "valid_losses", "test_losses", "train_accuracies", "valid_accuracies",
    "test_accuracies", "minibatch_train_losses",
)  # fmt: skip


def _numbers(name: str, values: Any) -> list[float]:
    """A list of DeepOBS's, in which numbers need not be finite."""
    if type(values) is not list or not set(map(type, values)) <= {float, int}:
        raise ValueError(f"{name} is {brief(values)}; expected numbers")
    return list(map(float, values))


def cut_at_first_non_finite(result: RunResult) -> None:
    """Ends all lists per epoch before the first epoch with a number that is not finite.

    If there is one, or among the losses of mini-batches, the run has diverged, and the outcome
    says so.
    """
    curves = {name: getattr(result, name) for name in CURVES if getattr(result, name)}
    good = min((finite_length(curve) for curve in curves.values()), default=0)
    if any(good < len(curve) for curve in curves.values()):
        result.outcome = Outcome.DIVERGED
        result.outcome_reason = f"not finite at epoch {good}"
    for name, curve in curves.items():
        setattr(result, name, curve[:good])
    minibatch = result.minibatch_train_losses
    result.minibatch_train_losses = minibatch[: finite_length(minibatch)]
    if len(result.minibatch_train_losses) < len(minibatch) and result.outcome is Outcome.DONE:
        result.outcome = Outcome.DIVERGED
        result.outcome_reason = "the loss of a mini-batch was not finite"


def plain(value: Any) -> Any:
    """Plain data for values that JSON has no form for: tuples, scalars of NumPy and torch.

    Texts become such as can be read again: not too long, and without halves of characters.
    """
    if isinstance(value, dict):
        return {_readable(key, LONGEST_KEY): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return _readable(plain_scalar(value), LONGEST_TEXT)


def _readable(value: Any, longest: int) -> Any:
    if not isinstance(value, str):
        return value
    text = value.encode(errors="backslashreplace").decode()
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def check_readable(run: ResolvedRun) -> None:
    """Finds out before a run whether its file can be written, and read again.

    Raises:
        UsageError: it holds something that no file can hold, or that no reader takes.
    """
    try:
        result = run.result(outcome=Outcome.INTERRUPTED)  # which may lack any epoch
        parse_result(result_text(result).encode(), Path("run"))
    except ResultError as error:
        reason = str(error).partition(": ")[2]
        raise UsageError(f"the run cannot be recorded: {reason}") from None
