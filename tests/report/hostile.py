"""Results of which every text field is hostile."""

from __future__ import annotations

import dataclasses
import json

from alig_deepobs.results import to_json
from alig_deepobs.run import RunResult

# Clears a terminal, writes a clipboard (OSC 52), sets a title, C1, turns text around, is a
# formula, a script, a command of LaTeX, a link.
PIECES = (
    "\x1b[2J\x1b]52;c;cm0=\x07", "\x1b]0;title\x1b\\", "\x9b31m\x9d52;c;cm0=\x9c", "\u202e\u2066txt",
    "\r\x08\x7f", "=cmd|'/c calc'!A1", "<script>document.title='ran'</script>",
    "<img src=x onerror=\"document.title='ran'\">", "javascript:document.title='ran'",
    "https://example.invalid/x", "\\input{/etc/passwd}\\write18{ls}", "[x](http://example.invalid)",
    "![x](http://example.invalid/x.png)", "$x$ | `y` | *z* | _w_", "[bold red]x[/bold red] [/x]",
    "' onclick='document.title=1", '" autofocus onfocus="document.title=1', "</svg></style><script>1",
    "{{ 7 * 7 }} {% raw %}", "\ufeff\u200b\u2028\u2029",
)  # fmt: skip
HOSTILE = " ".join(PIECES)
ACTING = {chr(c) for c in (*range(9), *range(11, 32), *range(127, 160))} | set(
    "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200b\ufeff\u2028\u2029"
)
"""What no terminal and no file of text may get."""

FREE = ("setting_source", "purpose", "outcome_reason", "data_label", "command", "optimizer_class",
        "started", "best_weights", "data_version", "data_source", "regularization")  # fmt: skip
SHORT = ("optimizer_name", "optimizer", "data_set")


def write_hostile(folder, make_run):
    """Runs of three optimizers with hostile names and a fourth with hostile texts everywhere."""
    place = folder / "digits_mlp" / "x" / "num_epochs__10__x"
    place.mkdir(parents=True)
    number = 0

    def write(**changes):
        nonlocal number
        number += 1
        hyperparams = changes.pop("hyperparams", None)
        result = dataclasses.replace(make_run(seed=42 + number % 3), **changes)
        record = to_json(result)
        if hyperparams is not None:
            record["optimizer_hyperparams"] = hyperparams
        (place / f"random_seed__{number}.json").write_text(json.dumps(record))

    for piece in PIECES:
        for _ in range(3):
            write(optimizer_name=f"{piece} name"[:150], hyperparams={"lr": 0.1, piece: piece})
    texts = {name: HOSTILE for name in FREE if name != "purpose"}
    texts |= dict.fromkeys(SHORT, HOSTILE[:150])
    for _ in range(3):
        write(**texts, environment={HOSTILE: HOSTILE, "torch": HOSTILE, "device_name": HOSTILE},
              hyperparams={"lr": HOSTILE, HOSTILE: HOSTILE}, guarded_steps={HOSTILE: 3},
              training_params={HOSTILE: HOSTILE}, problem_options={})  # fmt: skip
    for _ in range(2):
        write(testproblem=HOSTILE[:150], **texts)
    write(purpose=HOSTILE)
    (place / f"{PIECES[0].replace('/', '')}.json").write_text("{")
    (place / "broken\u202e\x1b[2J.json").write_text('{"test_losses": ["\x1b[2J"]}')
    return folder


def text_fields():
    """Every field of a result that is text, to be sure that none was forgotten."""
    return {item.name for item in dataclasses.fields(RunResult) if item.type == "str"}
