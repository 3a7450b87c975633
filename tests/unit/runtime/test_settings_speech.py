"""Who speaks and who listens: chosen by settings, and every wrong choice is named."""

from __future__ import annotations

import pytest

from gateway.config import Settings
from gateway.stack import to_environment
from telephony.errors import InvalidInput
from voice_agents.core.text import ESPEAK_VOICES

pytestmark = pytest.mark.unit

TTS = {"TTS": "http", "TTS_URL": "https://speech.example.com/v1/speak?model=a"}
STT = {"STT": "websocket", "STT_URL": "wss://speech.example.com/v1/listen"}


def settings(**variables: str) -> Settings:
    named = {f"PATCHBAY_{name}": value for name, value in variables.items()}
    return Settings.from_env({"HOME": "/home/somebody"} | named)


def test_nothing_said_means_the_offline_engines() -> None:
    found = settings()
    assert (found.tts, found.stt, found.speech_standby) == ("espeak", "pocketsphinx", True)
    assert (found.tts_url, found.stt_url, found.tts_token, found.stt_token) == ("", "", None, None)


def test_services_are_chosen_by_their_addresses() -> None:
    found = settings(**TTS, **STT, TTS_TOKEN="t", STT_TOKEN="s", STT_LANGUAGES="en, de-AT")
    assert (found.tts, found.tts_url) == ("http", TTS["TTS_URL"])
    assert (found.stt, found.stt_url) == ("websocket", STT["STT_URL"])
    assert found.stt_languages == {"en", "de-AT"}
    assert dict(found.tts_voices) == {tag: tag for tag in ESPEAK_VOICES}
    assert settings(STT="HTTP", STT_URL="https://a.example/").stt == "http"
    assert settings(**STT).stt_languages == {"*"}


def test_voices_go_by_the_services_names() -> None:
    voices = settings(**TTS, TTS_VOICES="en-US, en-US-nova=nova, de-DE=Clara 2 , fr=a/b.c").tts_voices
    assert dict(voices) == {"en-US": "en-US", "en-US-nova": "nova", "de-DE": "Clara 2", "fr": "a/b.c"}


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:9000/speak", "http://localhost/", "http://10.1.2.3", "http://tts.lan:5000/x"]
)
def test_the_operators_own_service_may_be_nearby(url: str) -> None:
    assert settings(TTS="http", TTS_URL=url).tts_url.rstrip("/") == url.rstrip("/")


WRONG: list[tuple[str, str, dict[str, str]]] = [
    ("TTS", "one of espeak, http", {"TTS": "festival"}),
    ("STT", "one of pocketsphinx, http, websocket", {"STT": "vosk"}),
    ("TTS_URL", "set when PATCHBAY_TTS is http", {"TTS": "http"}),
    ("STT_URL", "set when PATCHBAY_STT is websocket", {"STT": "websocket"}),
    ("TTS_URL", "left out unless PATCHBAY_TTS", {"TTS_URL": "https://a.example/"}),
    ("TTS_TOKEN", "left out unless PATCHBAY_TTS", {"TTS_TOKEN": "x"}),
    ("TTS_VOICES", "left out unless PATCHBAY_TTS", {"TTS_VOICES": "en"}),
    ("STT_LANGUAGES", "left out unless PATCHBAY_STT", {"STT_LANGUAGES": "en"}),
    ("STT_TOKEN", "left out unless PATCHBAY_STT", {"STT_TOKEN": "x"}),
    ("TTS_URL", "starting with https:// or http://", TTS | {"TTS_URL": "wss://a.example/"}),
    ("TTS_URL", "starting with https:// or http://", TTS | {"TTS_URL": "speech.example.com"}),
    ("STT_URL", "starting with wss:// or ws://", STT | {"STT_URL": "https://a.example/"}),
    ("STT_URL", "starting with https:// or http://", STT | {"STT": "http"}),
    ("TTS_URL", "no user name or password", TTS | {"TTS_URL": "https://a:hidden@a.example/"}),
    ("TTS_URL", "metadata", TTS | {"TTS_URL": "http://169.254.169.254/"}),
    ("STT_URL", "needs wss", STT | {"STT_URL": "ws://8.8.8.8/"}),
    ("TTS_TOKEN", "ASCII without spaces", TTS | {"TTS_TOKEN": "two words"}),
    ("TTS_TOKEN", "ASCII without spaces", TTS | {"TTS_TOKEN": "schlüssel"}),
    ("TTS_VOICES", "language tags", TTS | {"TTS_VOICES": "alloy"}),
    ("TTS_VOICES", "language tags", TTS | {"TTS_VOICES": "en,en=x"}),
    ("TTS_VOICES", "language tags", TTS | {"TTS_VOICES": "en="}),
    ("TTS_VOICES", "language tags", TTS | {"TTS_VOICES": "en=<voice>"}),
    ("STT_LANGUAGES", "language tags", STT | {"STT_LANGUAGES": "en;de"}),
    ("STT_LANGUAGES", "language tags", STT | {"STT_LANGUAGES": "*,de"}),
    ("SPEECH_STANDBY", "1 or 0", {"SPEECH_STANDBY": "perhaps"}),
]


@pytest.mark.parametrize(("name", "expected", "given"), WRONG, ids=lambda value: str(value)[:24])
def test_a_wrong_choice_is_said_in_plain_words(name: str, expected: str, given: dict[str, str]) -> None:
    with pytest.raises(InvalidInput) as caught:
        settings(**given)
    assert caught.value.field == f"PATCHBAY_{name}"
    assert caught.value.message.startswith(f"PATCHBAY_{name} must be ")
    assert expected in caught.value.message
    assert "hidden" not in str(caught.value)


def test_addresses_and_tokens_do_not_show_themselves() -> None:
    found = settings(**{**TTS, "TTS_URL": "https://a.example/?key=hidden-one"}, TTS_TOKEN="hidden-two")
    assert "hidden" not in repr(found)
    assert found.tts_token is not None
    assert found.tts_token.reveal() == "hidden-two"


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"SPEECH_STANDBY": "0"},
        TTS | STT | {"TTS_TOKEN": "t", "STT_TOKEN": "s", "TTS_VOICES": "en,de=Clara 2"},
        STT | {"STT_LANGUAGES": "de,en"},
    ],
)
def test_the_gateway_below_is_told(given: dict[str, str]) -> None:
    found = settings(**given)
    again = Settings.from_env({"HOME": "/home/somebody"} | to_environment(found))
    names = ("tts", "tts_url", "tts_token", "tts_voices", "stt", "stt_url", "stt_token", "stt_languages")
    for name in (*names, "speech_standby"):
        assert getattr(again, name) == getattr(found, name), name
