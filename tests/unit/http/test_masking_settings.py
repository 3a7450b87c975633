"""The settings of the masking service: replaced as a whole, judged, and shown as they can be given back."""

import pytest

from gateway.http.orbit.proxy_shown import SettingsShown
from proxy_pool.core.session import Terms
from proxy_pool.core.settings import ServiceSettings
from tests.unit.http.masked import PROXY, SESSIONS
from tests.unit.http.rig import FROM, OTHER, OURS, TO, Rig

pytestmark = pytest.mark.unit

PATH = f"{PROXY}/settings"
ONE, TWO = "+12025550301", "+12025550302"

EVERYTHING = {
    "terms": {
        "channels": ["voice"],
        "numbers": "shared",
        "ttl": 3600,
        "max_lifetime": 86_400,
        "on_expiry": "end_now",
        "warn_seconds": 20,
        "call_time_limit": 600,
        "warn_before_limit": True,
        "direction": "b_to_a",
        "record": True,
        "announcement_a": "Hello.",
        "announcement_b": {"prompt": "welcome"},
        "ring_timeout": 25,
        "pin_mode": "unknown",
        "pin_length": 8,
        "quarantine": 1800,
        "sticky": "avoid",
        "redaction": "block",
    },
    "geo": "any",
    "unknown": {
        "intercept_url": "https://example.com/intercept",
        "ask_pin": True,
        "callback_url": "https://example.com/callback",
        "fallback": TO,
        "announcement": {"text": "Nobody is here.", "voice": "en-US"},
        "fail_open": True,
        "hook_timeout": 2.5,
        "pin_attempts_per_caller": 3,
        "pin_attempts_per_number": 30,
        "pin_window": 600,
        "calls_per_caller": 10,
    },
    "answers": {"stop": "Bye.", "help": "", "start": "Hi\nagain."},
    "expiring_notice": 60,
    "keep_bodies": True,
}


async def test_without_a_word_the_defaults_hold(rig: Rig):
    shown = (await rig.client.get(PATH)).data
    SettingsShown.model_validate(shown)
    assert shown["terms"]["quarantine"] == Terms().quarantine_s
    assert shown["unknown"]["fallback"] is None
    assert shown["geo"] == "country"


async def test_every_setting_is_stored_and_shown(rig: Rig):
    shown = (await rig.client.ask("PUT", PATH, EVERYTHING)).data
    assert shown == {
        **EVERYTHING,
        "terms": {**EVERYTHING["terms"], "announcement_a": {"sound": "tts/1"}},  # type: ignore[dict-item]
        "unknown": {**EVERYTHING["unknown"], "announcement": {"sound": "tts/2"}},  # type: ignore[dict-item]
    }
    SettingsShown.model_validate(shown)
    assert (await rig.client.get(PATH)).data == shown
    stored = await rig.masked.masking.settings(OURS)
    assert stored.terms.announce_b == "prompts/ten_ours/welcome"
    assert stored.unknown.fallback is not None
    assert stored.unknown.fallback.reveal() == TO


async def test_what_is_shown_can_be_given_back(rig: Rig):
    shown = (await rig.client.ask("PUT", PATH, EVERYTHING)).data
    said = list(rig.prompts.said)
    assert (await rig.client.ask("PUT", PATH, shown)).data == shown
    assert rig.prompts.said == said


async def test_replacing_leaves_nothing_of_the_old(rig: Rig):
    fresh = (await rig.client.get(PATH)).data
    await rig.client.ask("PUT", PATH, EVERYTHING)
    assert (await rig.client.ask("PUT", PATH, {})).data == fresh
    assert await rig.masked.masking.settings(OURS) == ServiceSettings()


async def test_sessions_begin_with_the_services_terms(rig: Rig):
    await rig.pool(ONE, TWO)
    await rig.client.ask("PUT", PATH, {"terms": {"ttl": 600, "redaction": "mask", "max_lifetime": 3600}})
    made = (await rig.client.post(SESSIONS, {"party_a": TO, "party_b": OTHER, "redaction": "off"})).data
    assert (made["terms"]["ttl"], made["terms"]["redaction"]) == (600, "off")
    late = {"party_a": TO, "party_b": OTHER, "expires_at": "2026-03-08T13:00:01Z"}
    assert (await rig.client.post(SESSIONS, late)).code == "EXPIRY_TOO_FAR"
    assert (await rig.client.post(SESSIONS, {**late, "max_lifetime": 3601})).status == 201


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        ({"terms": {"expires_at": "2026-03-09T12:00:00Z"}}, "VALIDATION_ERROR", "terms.expires_at"),
        ({"terms": {"ttl": 5}}, "VALIDATION_ERROR", "terms.ttl"),
        ({"terms": {"pin_length": 3}}, "VALIDATION_ERROR", "terms.pin_length"),
        ({"terms": {"announcement_a": {"sound": "tts/9"}}}, "VALIDATION_ERROR", "terms.announcement_a.sound"),
        ({"terms": {"announcement_a": {"sound": "../x"}}}, "VALIDATION_ERROR", "terms.announcement_a.sound"),
        (
            {"terms": {"announcement_a": {"prompt": "gone"}}},
            "VALIDATION_ERROR",
            "terms.announcement_a.prompt",
        ),
        ({"terms": {"announcement_a": {}}}, "VALIDATION_ERROR", "terms.announcement_a"),
        ({"geo": "world"}, "VALIDATION_ERROR", "geo"),
        ({"unknown": {"intercept_url": "https://10.0.0.1/"}}, "INVALID_WEBHOOK_URL", "unknown.intercept_url"),
        ({"unknown": {"callback_url": "http://localhost/"}}, "INVALID_WEBHOOK_URL", "unknown.callback_url"),
        ({"unknown": {"fallback": "911"}}, "EMERGENCY_NUMBER", "unknown.fallback"),
        ({"unknown": {"fallback": "+19005551234"}}, "PREMIUM_NUMBER", "unknown.fallback"),
        ({"unknown": {"fallback": FROM}}, "PROXY_NUMBER_AS_PARTY", "unknown.fallback"),
        ({"unknown": {"hook_timeout": 60.0}}, "VALIDATION_ERROR", "unknown.hook_timeout"),
        ({"unknown": {"pin_attempts_per_caller": 0}}, "VALIDATION_ERROR", "unknown.pin_attempts_per_caller"),
        ({"answers": {"stop": "a\x00b"}}, "VALIDATION_ERROR", "answers.stop"),
        ({"answers": {"stop": "x" * 481}}, "VALIDATION_ERROR", "answers.stop"),
        ({"expiring_notice": 5}, "VALIDATION_ERROR", "expiring_notice"),
        ({"keep_bodies": "yes"}, "VALIDATION_ERROR", "keep_bodies"),
        ({"quiet": True}, "VALIDATION_ERROR", "quiet"),
    ],
)
async def test_what_breaks_a_rule_replaces_nothing(rig: Rig, body: dict[str, object], code: str, field: str):
    await rig.client.ask("PUT", PATH, EVERYTHING)
    before = await rig.masked.masking.settings(OURS)
    answer = await rig.client.ask("PUT", PATH, body)
    assert (answer.status, answer.code, answer.field) == (422, code, field), answer.body
    assert await rig.masked.masking.settings(OURS) == before


async def test_the_fallback_number_is_masked_like_any_other(rig: Rig):
    await rig.client.ask("PUT", PATH, EVERYTHING)
    shown = (await rig.as_role("viewer").get(PATH)).data
    assert shown["unknown"]["fallback"] == "+141••••••71"


async def test_one_tenants_settings_are_not_anothers(rig: Rig):
    await rig.client.ask("PUT", PATH, EVERYTHING)
    theirs = (await rig.client.having(rig.keys["theirs"]).get(PATH)).data
    assert theirs["terms"]["ttl"] == 0


async def test_replacing_is_in_the_audit_log(rig: Rig):
    await rig.client.ask("PUT", PATH, EVERYTHING)
    (entry,) = await rig.face.books.audit.entries(OURS)  # type: ignore[attr-defined]
    assert entry.action == "proxy.settings_replaced"
    assert TO not in repr(entry)
