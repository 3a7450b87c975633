"""The settings of a tenant's masking service: show them, replace them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from gateway.auth import Caller
from gateway.http.answers import Answer
from gateway.http.operation import Ask
from gateway.http.orbit.placing import announcement
from gateway.http.orbit.proxy_desk import desk, noted
from gateway.http.orbit.proxy_fields import KeptSound
from gateway.http.orbit.proxy_people import judged_number, judges_of
from gateway.http.orbit.proxy_schemas_pool import CallerLadder, DefaultTerms, PutSettings
from gateway.http.orbit.proxy_terms import OURS, plain_terms
from gateway.http.orbit.views import number_for
from proxy_pool.core.codec import Json, all_terms, settings_from
from proxy_pool.core.settings import ServiceSettings, UnknownCallers
from proxy_pool.core.views import WORDS
from telephony.errors import UnknownReference

_SOUNDS: Final = ("announcement_a", "announcement_b")
_LADDER: Final[Mapping[str, str]] = {"hook_timeout": "hook_timeout_s", "pin_window": "pin_window_s"}
"""The words of requests for fields of ``UnknownCallers`` that are named otherwise there."""
_STORED = re.compile(r"prompts/[A-Za-z0-9_-]+/([a-z0-9][a-z0-9_-]*)")


async def get_settings(ask: Ask) -> Answer:
    return Answer(shown_settings(ask.caller, await desk(ask).settings(ask.caller.tenant)))


async def put_settings(ask: Ask) -> Answer:
    """Replace all settings. They hold for sessions opened, and callers met, from now on."""
    wanted: PutSettings = ask.body
    masking, tenant = desk(ask), ask.caller.tenant
    before = await masking.settings(tenant)
    said: dict[str, object] = {
        "terms": await _terms(ask, wanted.terms, before),
        "unknown": await _ladder(ask, wanted.unknown, before),
        "answers": wanted.answers.model_dump(exclude_none=True),
        "geo": wanted.geo,
        "expiring_notice_s": wanted.expiring_notice,
        "keep_bodies": wanted.keep_bodies,
    }
    settings = settings_from({name: value for name, value in said.items() if value is not None})
    stored = await masking.set_settings(tenant, settings)
    await noted(ask, "proxy.settings_replaced", tenant, {"fields": [*sorted(wanted.model_fields_set)]})
    return Answer(shown_settings(ask.caller, stored))


def shown_settings(caller: Caller, settings: ServiceSettings) -> dict[str, Json]:
    """The settings in the words of the request that replaces them."""
    terms = all_terms(settings.terms)
    del terms["expires_at"]
    spoken = {WORDS.get(name, name): value for name, value in terms.items()}
    sounds = {word: _sound(str(spoken[word])) for word in _SOUNDS}
    answers = settings.answers
    return {
        "terms": spoken | sounds,
        "geo": settings.geo.value,
        "unknown": _shown_ladder(caller, settings.unknown),
        "answers": {"stop": answers.stop, "help": answers.help, "start": answers.start},
        "expiring_notice": settings.expiring_notice_s,
        "keep_bodies": settings.keep_bodies,
    }


def _shown_ladder(caller: Caller, unknown: UnknownCallers) -> dict[str, Json]:
    fallback = unknown.fallback
    return {
        "intercept_url": unknown.intercept_url or None,
        "ask_pin": unknown.ask_pin,
        "callback_url": unknown.callback_url or None,
        "fallback": None if fallback is None else number_for(caller, fallback.reveal()),
        "announcement": _sound(unknown.announcement),
        "fail_open": unknown.fail_open,
        "hook_timeout": unknown.hook_timeout_s,
        "pin_attempts_per_caller": unknown.pin_attempts_per_caller,
        "pin_attempts_per_number": unknown.pin_attempts_per_number,
        "pin_window": unknown.pin_window_s,
        "calls_per_caller": unknown.calls_per_caller,
    }


def _sound(name: str) -> Json:
    """A stored prompt by the name it was stored under, any other sound as it is called here."""
    if not name:
        return None
    stored = _STORED.fullmatch(name)
    return {"sound": name} if stored is None else {"prompt": stored.group(1)}


async def _terms(ask: Ask, wanted: DefaultTerms, before: ServiceSettings) -> dict[str, object]:
    plain = {"numbers": wanted.numbers, "pin_mode": wanted.pin_mode, "pin_length": wanted.pin_length}
    terms = plain_terms(wanted) | {name: value for name, value in plain.items() if value is not None}
    for word in _SOUNDS:
        sound = await _played(ask, getattr(wanted, word), f"terms.{word}", before)
        if sound is not None:
            terms[OURS[word]] = sound
    return terms


async def _ladder(ask: Ask, wanted: CallerLadder, before: ServiceSettings) -> dict[str, object]:
    said = {_LADDER.get(word, word): value for word, value in wanted if value is not None}
    for word in ("intercept_url", "callback_url"):
        url = getattr(wanted, word)
        if url is not None:
            said[word] = ask.face.webhooks.check_url(url, f"unknown.{word}")
    if wanted.fallback is not None:
        judges = judges_of(ask.face)
        tenant = ask.caller.tenant
        said["fallback"] = await judged_number(judges, tenant, "unknown.fallback", wanted.fallback)
    sound = await _played(ask, wanted.announcement, "unknown.announcement", before)
    if sound is not None:
        said["announcement"] = sound
    return said


async def _played(ask: Ask, wanted: KeptSound | None, field: str, before: ServiceSettings) -> str | None:
    """The name of the sound that is asked for. A sound by its own name is only taken if it is set already."""
    if wanted is None:
        return None
    if wanted.sound is None:
        return (await announcement(ask.face.prompts, ask.caller.tenant, wanted, field)).sound
    terms = before.terms
    if wanted.sound in (terms.announce_a, terms.announce_b, before.unknown.announcement):
        return wanted.sound
    raise UnknownReference(
        f"{field} names no sound that is set", field=f"{field}.sound", expected="a text, or a prompt's name"
    )
