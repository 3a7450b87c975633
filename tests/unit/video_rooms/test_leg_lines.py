"""Orders and facts as lines: whatever goes in comes out, and nothing else does."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telephony.errors import UnsafeValue
from video_rooms.core import leg_lines
from video_rooms.core.leg import Describe, Gone, Join, LegFact, LegOrder, PlaySounds
from video_rooms.core.leg_lines import (
    FACTS,
    LONGEST,
    ORDERS,
    Alive,
    Begin,
    Do,
    Expect,
    Garbled,
    Listening,
    Ready,
    Stop,
    Told,
    from_worker,
    line,
    to_worker,
)

pytestmark = pytest.mark.unit

VALUES: dict[str, st.SearchStrategy[Any]] = {
    "str": st.text(max_size=40),
    "bool": st.booleans(),
    "int": st.integers(-(2**40), 2**40),
    "float": st.floats(0, 1e6),
    "tuple[Path, ...]": st.lists(st.sampled_from([Path("/a/b.wav"), Path("c d.wav")]), max_size=3).map(tuple),
    "Mapping[str, str]": st.dictionaries(st.text(max_size=9), st.text(max_size=9), max_size=4),
}


def any_of(kinds: tuple[type[Any], ...]) -> st.SearchStrategy[Any]:
    return st.one_of(
        *(st.builds(kind, **{one.name: VALUES[str(one.type)] for one in fields(kind)}) for kind in kinds)
    )


VALUES["LegOrder"] = any_of(ORDERS)
VALUES["LegFact"] = any_of(FACTS)


def test_every_order_and_fact_has_a_line() -> None:
    assert set(ORDERS) == set(get_args(LegOrder))
    assert set(FACTS) == set(get_args(LegFact))


@given(any_of((Begin, Expect, Do, Stop)))
@settings(max_examples=200, deadline=None)
def test_what_is_said_to_a_worker_arrives(message: Any) -> None:
    text = line(message)
    assert text.count(b"\n") == 1
    assert text.endswith(b"\n")
    assert to_worker(text) == message


@given(any_of((Listening, Ready, Told, Alive)))
@settings(max_examples=200, deadline=None)
def test_what_a_worker_says_arrives(message: Any) -> None:
    assert from_worker(line(message)) == message


@pytest.mark.parametrize(
    "told",
    [
        b"",
        b"\xff\n",
        b"[]",
        b"3",
        b'{"is":"Told"}',
        b'{"is":"Ready","number":true,"dial":""}',
        b'{"is":"Ready","number":1,"dial":2}',
        b'{"is":"Ready","number":1,"dial":"","more":1}',
        b'{"is":"Stop"}',
        b'{"is":"Told","leg":"a","fact":{"is":"Leave"}}',
        b'{"is":"Told","leg":"a","fact":{"is":"Gone"}}',
        b'{"is":"Told","leg":"a","fact":3}',
        b"[" * 5000,
        b" " * LONGEST + b"{}",
    ],
)
def test_nothing_else_is_understood(told: bytes) -> None:
    with pytest.raises(Garbled):
        from_worker(told)


@pytest.mark.parametrize(
    "order",
    [
        {"is": "PlaySounds", "id": "a", "paths": "x"},
        {"is": "Describe", "attributes": {"a": 1}},
        {"is": "Gone", "why": "hangup"},
    ],
)
def test_no_other_order_is_understood(order: object) -> None:
    with pytest.raises(Garbled):
        to_worker(json.dumps({"is": "Do", "leg": "a", "order": order}).encode())


def test_a_line_has_an_end() -> None:
    with pytest.raises(UnsafeValue):
        line(Do("leg", Describe({"a": "x" * LONGEST})))
    assert len(line(Do("leg", PlaySounds("id", (Path("/x.wav"),))))) < 200


def test_no_repr_shows_a_token() -> None:
    message = Do("leg", Join("ws://rooms", "secret-token", "phone"))
    assert "secret-token" not in repr(message)
    with pytest.raises(Garbled) as caught:
        leg_lines.from_worker(line(message))
    assert "secret-token" not in str(caught.value)
    assert from_worker(line(Told("leg", Gone("hangup")))) == Told("leg", Gone("hangup"))
