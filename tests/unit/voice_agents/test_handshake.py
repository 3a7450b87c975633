"""What a handshake proves, and to whom."""

from __future__ import annotations

from dataclasses import replace

import pytest

import patchbay_agent
from telephony.errors import UnsafeValue
from tests.rig.conversations import spec_of
from voice_agents.core.agent import Auth
from voice_agents.core.audio import Codec
from voice_agents.core.talk import Begin
from voice_agents.wire import handshake

pytestmark = pytest.mark.unit

URL = "wss://agent.test/calls?shop=north"
BEGIN = Begin("ses_1", "call_1", "agt_1", 1, "inbound", "", "", Codec.ULAW)
NOW = 1_800_000_000.7


def headers(dialect: str, kind: str, secret: str = "s3cret") -> dict[str, str]:
    spec = replace(spec_of({"dialect": dialect}), auth=Auth(kind, secret))
    return dict(handshake.headers(spec, BEGIN, URL, NOW))


@pytest.mark.parametrize("proves", [handshake.proves, patchbay_agent.proves])
def test_a_signature_is_for_one_secret_session_address_and_moment(proves):
    signed = headers("native", "hmac")
    header = signed[handshake.SIGNATURE]
    assert signed[handshake.SESSION] == "ses_1"
    assert proves(header, "s3cret", "ses_1", URL, NOW)
    assert proves(header, "s3cret", "ses_1", URL, NOW + 299)
    assert proves(header, "s3cret", "ses_1", URL, NOW - 299)
    assert not proves(header, "s3cret", "ses_1", URL, NOW + 301)
    assert not proves(header, "s3cret", "ses_1", URL, NOW - 302)
    assert not proves(header, "other", "ses_1", URL, NOW)
    assert not proves(header, "s3cret", "ses_2", URL, NOW)
    assert not proves(header, "s3cret", "ses_1", URL + "x", NOW)
    later = header.replace("t=1800000000", "t=1800000001")
    assert not proves(later, "s3cret", "ses_1", URL, NOW)


@pytest.mark.parametrize("proves", [handshake.proves, patchbay_agent.proves])
@pytest.mark.parametrize(
    "header",
    ["", "t=,v1=", "t=1800000000", "v1=" + "0" * 64, "t=1800000000,v1=" + "0" * 64, "t=²,v1=é", "x" * 9000],
)
def test_what_is_no_signature_proves_nothing(proves, header: str):
    assert not proves(header, "s3cret", "ses_1", URL, NOW)


def test_a_signature_is_what_anybody_can_compute():
    # printf '1800000000.ses_1.wss://agent.test/calls?shop=north' | openssl dgst -sha256 -hmac s3cret
    assert headers("native", "hmac")[handshake.SIGNATURE] == (
        "t=1800000000,v1=0b04ab8d3f06df09f0ee0716ba26ad0aa3cd379e055b9e0abc129267ebc14f8e"
    )


def test_the_documented_example_of_the_other_signature():
    parameters = "CallSidCA1234567890ABCDECaller+12349013030Digits1234From+12349013030To+18005551212"
    url = "https://mycompany.com/myapp.php?foo=1&bar=2" + parameters
    assert handshake.twilio_signature("12345", url) == "0/KCTR6DLpKmkAf8muzZqo1nDgQ="


@pytest.mark.parametrize("dialect", ["twilio", "conversationrelay"])
def test_a_bot_written_for_twilio_finds_its_signature(dialect: str):
    wanted = handshake.twilio_signature("s3cret", URL)
    assert headers(dialect, "hmac")[handshake.TWILIO_SIGNATURE] == wanted


@pytest.mark.parametrize("dialect", ["native", "openai", "twilio"])
def test_a_bearer_and_nothing_else(dialect: str):
    given = headers(dialect, "bearer")
    assert given["Authorization"] == "Bearer s3cret"
    assert not {handshake.SIGNATURE, handshake.TWILIO_SIGNATURE} & set(given)


def test_nothing_is_proved_where_nothing_is_wanted():
    assert set(headers("native", "none")) == {"User-Agent", handshake.SESSION}


@pytest.mark.parametrize("secret", ["", "a b", "a\r\nX: y", "é", "x" * 5000])
def test_a_secret_that_a_header_cannot_hold_is_refused(secret: str):
    with pytest.raises(UnsafeValue) as caught:
        headers("openai", "bearer", secret)
    assert secret not in str(caught.value) or not secret
