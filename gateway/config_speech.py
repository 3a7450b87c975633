"""Settings of speech: who speaks and who listens for agents that read and write words.

A part of ``gateway.config.Settings``, which reads them. The address of a service is the operator's alone: no
request picks it. So it may be on this machine or in a private network, which addresses from requests may not.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final, Literal, Protocol

from gateway.config_edge import EdgeFields, EdgeSettings, edge_fields
from gateway.secret import Secret
from gateway.webhooks.core.ssrf import Policy, check_url
from telephony.errors import InvalidInput
from voice_agents.core.text import ESPEAK_VOICES

OPERATORS: Final = Policy(allow_private=True)
"""Where the operator's own addresses may lead: anywhere but metadata services; plain http not across the
Internet."""
_TAG = re.compile(r"[A-Za-z]{2,3}(?:-[A-Za-z0-9]{2,8}){0,4}")
_VOICE = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._:/@+-]{0,99}")
_TOKEN = re.compile(r"[!-~]{1,2000}")
_MOST = 200
_SCHEMES: Final = {"http": ("https", "http"), "websocket": ("wss", "ws")}
"""The engines that are asked at an address, and how it begins: with TLS, and without."""
_AS_HTTP: Final = {"wss": "https", "ws": "http"}
Tts = Literal["espeak", "http"]
Stt = Literal["pocketsphinx", "http", "websocket"]


class Variables(Protocol):
    """The environment's reader, as far as it is needed here."""

    def text(self, name: str, default: str) -> str: ...

    def flag(self, name: str, default: bool) -> bool: ...

    def choice(self, name: str, options: tuple[str, ...]) -> str: ...

    def secret(self, name: str, at_least: int) -> Secret | None: ...


@dataclass(frozen=True, slots=True)
class SpeechSettings(EdgeSettings):
    """``tts_voices``: language tags and what the service calls the voice of each; ``stt_languages``: what it
    understands (``*``: any). ``speech_standby``: the offline engines stand in for a service that is away."""

    tts: Tts
    tts_url: str = field(repr=False)
    tts_token: Secret | None
    tts_voices: tuple[tuple[str, str], ...]
    stt: Stt
    stt_url: str = field(repr=False)
    stt_token: Secret | None
    stt_languages: frozenset[str]
    speech_standby: bool


class SpeechFields(EdgeFields):
    tts: Tts
    tts_url: str
    tts_token: Secret | None
    tts_voices: tuple[tuple[str, str], ...]
    stt: Stt
    stt_url: str
    stt_token: Secret | None
    stt_languages: frozenset[str]
    speech_standby: bool


def speech_fields(env: Variables) -> SpeechFields:
    """The fields of ``SpeechSettings``. Raises InvalidInput."""
    tts, stt = _tts(env), _stt(env)
    return SpeechFields(
        **edge_fields(env),
        tts=tts,
        tts_url=_url(env, "TTS", tts),
        tts_token=_token(env, "TTS", tts in _SCHEMES),
        tts_voices=_voices(env, tts in _SCHEMES),
        stt=stt,
        stt_url=_url(env, "STT", stt),
        stt_token=_token(env, "STT", stt in _SCHEMES),
        stt_languages=_languages(env, stt in _SCHEMES),
        speech_standby=env.flag("SPEECH_STANDBY", True),
    )


def speech_variables(settings: SpeechSettings) -> dict[str, str]:
    """These settings as the variables, without their prefix, that make them again."""
    found = {
        "tts": settings.tts,
        "tts_url": settings.tts_url,
        "tts_token": "" if settings.tts_token is None else settings.tts_token.reveal(),
        "stt": settings.stt,
        "stt_url": settings.stt_url,
        "stt_token": "" if settings.stt_token is None else settings.stt_token.reveal(),
        "speech_standby": "1" if settings.speech_standby else "0",
    }
    if settings.tts != "espeak":
        found["tts_voices"] = ",".join(f"{tag}={name}" for tag, name in settings.tts_voices)
    if settings.stt != "pocketsphinx":
        found["stt_languages"] = ",".join(sorted(settings.stt_languages))
    return found


def _tts(env: Variables) -> Tts:
    return "http" if env.choice("TTS", ("espeak", "http")) == "http" else "espeak"


def _stt(env: Variables) -> Stt:
    chosen = env.choice("STT", ("pocketsphinx", "http", "websocket"))
    return "http" if chosen == "http" else "websocket" if chosen == "websocket" else "pocketsphinx"


def _url(env: Variables, what: str, chosen: str) -> str:
    """Where the service is, where one is chosen: an address that the guard will let us connect to."""
    name, given = f"{what}_URL", env.text(f"{what}_URL", "")
    if chosen not in _SCHEMES:
        return _alone(name, what, given)
    secure, plain = _SCHEMES[chosen]
    if not given:
        raise _refuse(name, f"set when PATCHBAY_{what} is {chosen}")
    scheme, colon, rest = given.partition(":")
    if not colon or scheme.lower() not in (secure, plain):
        raise _refuse(name, f"an address starting with {secure}:// or {plain}://")
    try:
        target = check_url(f"{_AS_HTTP.get(scheme.lower(), scheme.lower())}:{rest}", OPERATORS)
    except InvalidInput as error:
        expected = str(error.expected).replace("https", secure)
        raise _refuse(name, f"an address that may be connected to: {expected}") from None
    return scheme.lower() + target.url.removeprefix(target.scheme)


def _alone(name: str, what: str, given: str) -> str:
    """A variable that means nothing, since no service is chosen."""
    if given:
        raise _refuse(name, f"left out unless PATCHBAY_{what} names a service to be asked")
    return ""


def _token(env: Variables, what: str, asked: bool) -> Secret | None:
    name = f"{what}_TOKEN"
    given = env.secret(name, 1)
    if given is None:
        return None
    if not asked:
        _alone(name, what, "given")
    if _TOKEN.fullmatch(given.reveal()) is None:
        raise _refuse(name, "ASCII without spaces, as an Authorization header can carry it")
    return given


def _voices(env: Variables, asked: bool) -> tuple[tuple[str, str], ...]:
    given = env.text("TTS_VOICES", "")
    if not asked:
        _alone("TTS_VOICES", "TTS", given)
    if not given:
        return tuple((tag, tag) for tag in sorted(ESPEAK_VOICES))
    expected = "language tags joined by commas, each with =NAME where the service calls its voice otherwise"
    found: dict[str, str] = {}
    for part in given.split(","):
        tag, equals, voice = (piece.strip() for piece in part.partition("="))
        name = voice if equals else tag
        if _TAG.fullmatch(tag) is None or _VOICE.fullmatch(name) is None or tag in found:
            raise _refuse("TTS_VOICES", expected)
        found[tag] = name
    if len(found) > _MOST:
        raise _refuse("TTS_VOICES", f"at most {_MOST} voices")
    return tuple(sorted(found.items()))


def _languages(env: Variables, asked: bool) -> frozenset[str]:
    given = env.text("STT_LANGUAGES", "")
    if not asked:
        _alone("STT_LANGUAGES", "STT", given)
    tags = frozenset(part.strip() for part in given.split(",")) if given else frozenset({"*"})
    if tags != {"*"} and (len(tags) > _MOST or any(_TAG.fullmatch(tag) is None for tag in tags)):
        raise _refuse("STT_LANGUAGES", "language tags joined by commas, or *")
    return tags


def _refuse(name: str, expected: str) -> InvalidInput:
    """Nothing that was given is quoted: an address may hold a secret too."""
    return InvalidInput(f"PATCHBAY_{name} must be {expected}", field=f"PATCHBAY_{name}", expected=expected)
