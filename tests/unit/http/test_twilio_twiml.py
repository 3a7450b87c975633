"""TwiML: the verbs that make sense for a call with an agent, and nothing that would be done by halves."""

import pytest

from gateway.http.twilio.twiml import Dial, HangUp, Stream, Verb, read
from telephony.errors import InvalidInput

pytestmark = pytest.mark.unit


def _doc(inner: str) -> str:
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<Response>{inner}</Response>'


@pytest.mark.parametrize(
    ("inner", "verb"),
    [
        ("<Hangup/>", HangUp()),
        ("<Hangup></Hangup>", HangUp()),
        ("<Dial>+14155552671</Dial>", Dial("+14155552671", 30)),
        ("<Dial timeout='10'>\n <Number> +14155552671 </Number></Dial>", Dial("+14155552671", 10)),
        (
            '<Connect><Stream url="wss://a.example/x?y=1&amp;z=2"/></Connect>',
            Stream("wss://a.example/x?y=1&z=2"),
        ),
        (
            '<Connect><Stream url="wss://a.example/" name="s"><Parameter name="a" value=""/>'
            "</Stream></Connect>",
            Stream("wss://a.example/", (("a", ""),)),
        ),
        ("<!-- said before --><Hangup/>", HangUp()),
    ],
)
def test_a_verb_is_read(inner: str, verb: Verb):
    assert read(_doc(inner)) == verb


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "12100"),
        ("<Response>", "12100"),
        ("Hangup", "12100"),
        ('<!DOCTYPE r [<!ENTITY a "b">]><Response><Hangup/></Response>', "12100"),
        ("<" + "<!--!DOCTYPE r><Response><Hangup/></Response>", "12100"),
        (_doc("<Say>" + "x" * 4000 + "</Say>"), "12100"),
        ("<response><Hangup/></response>", "12200"),
        (_doc(""), "12200"),
        (_doc("<Hangup/><Hangup/>"), "12200"),
        (_doc("words<Hangup/>"), "12200"),
        (_doc("<Hangup reason='x'/>"), "12200"),
        (_doc("<Say>Hello</Say>"), "12200"),
        (_doc("<Redirect>http://a.example/</Redirect>"), "12200"),
        (_doc("<Dial callerId='+12025550100'>+14155552671</Dial>"), "12200"),
        (_doc("<Dial record='true'>+14155552671</Dial>"), "12200"),
        (_doc("<Dial><Sip>sip:a@b</Sip></Dial>"), "12200"),
        (_doc("<Dial><Number>+1</Number><Number>+2</Number></Dial>"), "12200"),
        (_doc("<Dial><Number url='http://a/'>+14155552671</Number></Dial>"), "12200"),
        (_doc("<Dial timeout='1'>+14155552671</Dial>"), "13212"),
        (_doc("<Dial timeout='x'>+14155552671</Dial>"), "13212"),
        (_doc("<Connect/>"), "12200"),
        (_doc("<Connect action='/x'><Stream url='wss://a/'/></Connect>"), "12200"),
        (_doc("<Connect><Stream/></Connect>"), "31920"),
        (_doc("<Connect><Stream url='wss://a/' track='both_tracks'/></Connect>"), "12200"),
        (_doc("<Start><Stream url='wss://a/'/></Start>"), "12200"),
    ],
)
def test_anything_else_is_refused_by_twilios_number(text: str, code: str):
    with pytest.raises(InvalidInput) as caught:
        read(text)
    assert caught.value.code == code


def test_a_number_is_in_no_repr():
    assert "4155552671" not in repr(Dial("+14155552671", 30))
