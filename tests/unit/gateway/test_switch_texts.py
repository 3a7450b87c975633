"""Texts as the dialplan notes them, and long ones cut for the way out."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.switch_texts import PART_OCTETS, TrunkAddress, parts_of, read_text
from telephony.numbers import E164

pytestmark = pytest.mark.unit

KEY = "0" * 40


def noted(
    body: str, sender: str = "+14155550177", line: str = "trunk-alpha", to: str = "+12025550100"
) -> str:
    packed = [
        base64.b64encode((mark + text.replace(")", "\x1d")).encode()).decode()
        for mark, text in (("f", sender), ("t", body))
    ]
    return f"1795269149,{line},{to},{packed[0]},{len(body.encode())},{packed[1]}"


def test_a_text_is_read_as_it_was_noted() -> None:
    text = read_text(KEY, noted("hi :) \U0001f600\r\nthere"), "sip")
    assert text is not None
    assert (text.carrier, text.message_id, text.sender) == ("sip", KEY, "+14155550177")
    assert (text.to, text.body, text.sent_at) == (
        E164("+12025550100"),
        "hi :) \U0001f600\r\nthere",
        1795269149.0,
    )


@pytest.mark.parametrize(
    ("sender", "line", "read"),
    [
        ("4155550177", "trunk-alpha", "+4155550177"),
        ("0014155550177", "trunk-alpha", "+14155550177"),
        ("Shop", "trunk-alpha", "Shop"),
        ("12345", "trunk-alpha", "12345"),
        ("\r\n+14155550177", "trunk-alpha", ""),
        ("", "trunk-alpha", ""),
        ("+14155550177", "phone-alice-2", "phone:alice-2"),
    ],
)
def test_who_sent_it(sender: str, line: str, read: str) -> None:
    text = read_text(KEY, noted("x", sender, line), "sip")
    assert text is not None
    assert text.sender == read


@pytest.mark.parametrize(
    "value", ["", "a,b,c,d,e,f", noted("x") + ",", noted("x", to="12"), noted("x").replace("Z", "!")]
)
def test_what_is_none_of_ours_is_no_text(value: str) -> None:
    if value != noted("x"):
        assert read_text(KEY, value, "sip") is None


@given(st.text())
def test_reading_never_fails(value: str) -> None:
    read_text(KEY, value, "sip")


@given(st.text(max_size=3000))
def test_parts_make_the_text_again_and_each_fits(body: str) -> None:
    body = body.encode("utf-8", "ignore").decode()
    parts = parts_of(body)
    assert b"".join(parts).decode() == body
    assert all(len(part) <= PART_OCTETS for part in parts)
    assert all(part.decode() is not None for part in parts)


def test_a_long_text_is_cut_between_words() -> None:
    parts = parts_of("word " * 300)
    assert len(parts) == 3
    assert all(part.endswith(b"word ") for part in parts)


def test_a_trunk_far_end_as_an_address() -> None:
    number = E164("+442079460123")
    assert TrunkAddress("127.0.0.3", 5070).uri(number) == "sip:+442079460123@127.0.0.3:5070"
    assert TrunkAddress("2001:db8::1", 5061, "tls").uri(number) == (
        "sip:+442079460123@[2001:db8::1]:5061;transport=tls"
    )
