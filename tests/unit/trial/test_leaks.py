"""The search for a telephone number in what a far end received: it must find every way of writing one."""

from __future__ import annotations

import base64
import json
import quopri
from urllib.parse import quote

import pytest

from tests.rig.leaks import find_leaks, national

pytestmark = pytest.mark.unit

NUMBER, OTHER = "+12025550111", "+12025550112"
IRISH = "+353861234567"

NOTATIONS = {
    "e164": "+12025550111",
    "digits": "12025550111",
    "national": "2025550111",
    "international prefix": "0012025550111",
    "other prefix": "01112025550111",
    "spaced": "+1 202 555 0111",
    "dashed": "1-202-555-0111",
    "dotted": "202.555.0111",
    "bracketed": "+1 (202) 555 0111",
    "underscored": "202_555_0111",
    "single digits": "2 0 2 5 5 5 0 1 1 1",
    "uri": "sip:+12025550111@127.0.0.1:5060;user=phone",
    "tel uri": "tel:+1-202-555-0111;phone-context=example",
    "percent plus": "%2B12025550111",
    "percent digits": quote("+12025550111").replace("2025", "%32%30%32%35"),
    "percent twice": "%252B1%2532025550111",
    "percent thrice": "%25253120%32555%30111",
    "html": "&#43;1&#50;&#48;&#50;5550111",
    "json": json.dumps("+12025550111").replace("202", "\\u0032\\u0030\\u0032"),
    "backslash": r"+1\x32\x30\x325550111",
    "quoted-printable": "=2B1=32=30=325550111",
    "soft line break": "1202555=\r\n0111",
    "base64": base64.b64encode(b"Hello, call +12025550111 please").decode(),
    "base64 url": base64.urlsafe_b64encode(b"\xfb\xff\xfe+12025550111?").decode().rstrip("="),
    "base64 in lines": base64.encodebytes(b"x" * 50 + b"+12025550111" + b"y" * 50).decode(),
    "base64 in json": json.dumps({"body": base64.b64encode(b"2025550111").decode()}),
    "hexadecimal": b"+12025550111".hex(),
    "full width": "２０２５５５０１１１",
    "arabic": "٢٠٢٥٥٥٠١١١",
    "emoji": "".join(f"{digit}\ufe0f\u20e3" for digit in "2025550111"),
    "emoji spaced": " ".join(f"{digit}\ufe0f\u20e3" for digit in "2025550111"),
    "circled": "②⓪②⑤⑤⑤⓪①①①",
    "zero width": "\u200b".join("2025550111"),
    "words": "two zero two five five five zero one one one",
    "words and digits": "Two-oh-2, five five five; 0111",
    "folded header": "X-Note: 202\r\n 5550111",
    "enum": "1.1.1.0.5.5.5.2.0.2.1.e164.arpa",
    "semi-octets": "2120550511F1",
    "utf-16": "+12025550111".encode("utf-16-le").decode("latin-1"),
}


@pytest.mark.parametrize("notation", NOTATIONS)
def test_a_number_is_found_in_this_notation(notation: str) -> None:
    text = f"before {NOTATIONS[notation]} after"
    assert find_leaks(NUMBER, text)
    assert find_leaks(NUMBER, text.encode())
    assert not find_leaks(OTHER, text)
    assert not find_leaks(OTHER, text.encode())


def test_a_report_says_how_it_was_read_and_what_stands_around() -> None:
    assert find_leaks(NUMBER, "From: <sip:%2B12025550111@h>") == [
        "as it stands: From: <sip:%2B12025550111@h>",
        "unescaped: From: <sip:+12025550111@h>",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "INVITE sip:+12025550112@127.0.0.2 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bK2025\r\n",
        "v=0\r\no=- 2025 551011 IN IP4 127.0.0.2\r\nt=0 0\r\nm=audio 20255 RTP/AVP 0 101",
        "202555011 and 1",
        "202 and then 5550111",
        base64.b64encode(b"nothing at all to be seen in here").decode(),
        "",
    ],
)
def test_other_digits_are_not_it(text: str) -> None:
    assert find_leaks(NUMBER, text) == []
    assert find_leaks(NUMBER, text.encode()) == []


def test_what_was_decoded_in_two_places_makes_no_number_together() -> None:
    halves = [base64.b64encode(half).decode() for half in (b"padding 20255", b"50111 padding")]
    assert find_leaks(NUMBER, " ".join(halves)) == []


@pytest.mark.parametrize("text", ["+353861234567", "353 86 123 4567", "0861234567", "00353861234567"])
def test_numbers_of_other_countries_are_found_by_their_national_form(text: str) -> None:
    assert national(IRISH) == "861234567"
    assert find_leaks(IRISH, text)
    assert find_leaks(IRISH, quopri.encodestring(text.encode()))


@pytest.mark.parametrize("number", ["", "+1", "alice", "phone:alice"])
def test_what_is_no_number_cannot_be_looked_for(number: str) -> None:
    with pytest.raises(ValueError):
        find_leaks(number, "anything")
