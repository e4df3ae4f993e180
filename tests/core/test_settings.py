"""Settings written as text."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alig_deepobs.errors import UsageError
from alig_deepobs.registry import find_optimizer
from alig_deepobs.settings import Setting, parse_setting, split_settings


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sgd", {}),
        ("sgd[]", {}),
        ("sgd[lr=1e-3]", {"lr": 1e-3}),
        ("adam[betas=(0.9, 0.99), eps=1e-8]", {"betas": (0.9, 0.99), "eps": 1e-8}),
        ("alig[max_lr=None]", {"max_lr": None}),
        ("alig[max_lr=inf]", {"max_lr": math.inf}),
        ("momentum[nesterov=true]", {"nesterov": True}),
        ("x[mode=fast]", {"mode": "fast"}),
        ("x[a='1,2',b={'k': 1, 'j': 2}]", {"a": "1,2", "b": {"k": 1, "j": 2}}),
        ('x[a="(" ,b=1]', {"a": "(", "b": 1}),
        (" sgd [ lr = 0.1 ] ", {"lr": 0.1}),
    ],
)
def test_forms(text, expected):
    assert parse_setting(text).params == expected


@pytest.mark.parametrize(
    "text", ["", "[lr=1]", "sgd[lr]", "sgd[lr=]", "sgd[=1]", "sgd[lr=1", "sgd]", "sgd[lr=1,lr=2]",
             "sgd[1x=2]", "sgd[lr=1]x", "a[b[c=1]", "alig(max_lr=0.1)", "alig,sgd"],
)  # fmt: skip
def test_malformed(text):
    with pytest.raises(UsageError, match=r"malformed setting .*name\[param=value"):
        parse_setting(text)


@given(
    st.dictionaries(
        st.from_regex(r"[a-z_]{1,8}", fullmatch=True),
        st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False)),
        max_size=4,
    )
)
def test_round_trip(params):
    setting = Setting("name", params)
    assert parse_setting(str(setting)) == setting


def test_split_leaves_brackets_alone():
    assert split_settings("a[x=1,y=(2,3)], b,, c[z=[1,2]]") == ["a[x=1,y=(2,3)]", "b", "c[z=[1,2]]"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("NONE", None),
        ("None", None),
        ("TRUE", True),
        ("false", False),
        ("-inf", -math.inf),
        ("Inf", math.inf),
        ("a=b", "a=b"),
        ("'a,b'", "a,b"),
        ('"a\'b"', "a'b"),
        ("'a(b'", "a(b"),
        ("'a]b'", "a]b"),
        ("[1, [2, 3]]", [1, [2, 3]]),
        ("{'k': (1, 2)}", {"k": (1, 2)}),
        ("X", "X"),
    ],
)
def test_values(text, value):
    found = parse_setting(f"x[a={text},b=1]").params
    assert found == {"a": value, "b": 1}
    assert type(found["a"]) is type(value)


def test_no_settings():
    assert split_settings("") == split_settings(" , ") == []
    assert split_settings("a,b") == ["a", "b"]
    assert Setting("sgd").params == {}
    assert str(Setting("sgd")) == "sgd"
    assert parse_setting("sgd [ ]") == Setting("sgd")


@pytest.mark.parametrize(
    "value",
    ["(" * 5000, "-" * 5000 + "1", "[" * 9000, "9" * 5000, "{" * 150 + "}" * 150, "lambda: 0",
     "9**9**9", "'" * 9000, "\\N{x}", "\0", "\ud800"],
)  # fmt: skip
def test_values_that_break_parsers_are_text(value):
    def read():
        found = parse_setting(f"sgd[lr={value}]").params["lr"]
        find_optimizer("sgd").complete({"lr": found})

    with pytest.raises(UsageError, match=r"malformed setting|lr must be a number") as caught:
        read()
    assert len(str(caught.value)) < 20_000


def test_settings_that_are_too_long_or_too_large():
    with pytest.raises(UsageError, match="malformed setting") as caught:
        parse_setting("sgd[lr=" + "(" * 100_000)
    assert len(str(caught.value)) < 600
    with pytest.raises(UsageError, match="too large an integer"):
        find_optimizer("sgd").complete({"lr": 10**400})
