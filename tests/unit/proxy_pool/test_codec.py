"""Terms and settings as JSON: round trips, bounds, and refusals that name the field."""

from __future__ import annotations

import json
from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_pool.core.codec import (
    ANSWERS,
    DAY_S,
    TERMS,
    UNKNOWN,
    all_settings,
    all_terms,
    settings_from,
    settings_json,
    terms_from,
    terms_json,
)
from proxy_pool.core.number import Geo
from proxy_pool.core.session import (
    Channel,
    Flow,
    Numbers,
    OnExpiry,
    PinMode,
    Redaction,
    Sticky,
    Terms,
)
from proxy_pool.core.settings import ServiceSettings, TextAnswers, UnknownCallers
from telephony.errors import InvalidInput
from telephony.numbers import E164

pytestmark = pytest.mark.unit

terms_made = st.builds(
    Terms,
    channels=st.sets(st.sampled_from(Channel), min_size=1).map(frozenset),
    numbers=st.sampled_from(Numbers),
    expires_at=st.just(0.0) | st.floats(1e9, 4e9),
    ttl_s=st.just(0) | st.integers(60, 90 * DAY_S),
    max_lifetime_s=st.integers(60, 365 * DAY_S),
    on_expiry=st.sampled_from(OnExpiry),
    warn_s=st.integers(5, 300),
    call_limit_s=st.integers(10, 14_400),
    warn_before_limit=st.booleans(),
    flow=st.sampled_from(Flow),
    record=st.booleans(),
    announce_a=st.sampled_from(["", "prompts/ten_1/hello"]),
    ring_timeout_s=st.integers(5, 120),
    pin_mode=st.sampled_from(PinMode),
    pin_length=st.integers(4, 10),
    quarantine_s=st.integers(0, 90 * DAY_S),
    sticky=st.sampled_from(Sticky),
    redaction=st.sampled_from(Redaction),
)


@given(terms_made)
def test_terms_survive_being_stored_and_being_shown(terms: Terms) -> None:
    assert terms_from(Terms(), json.loads(json.dumps(terms_json(terms)))) == terms
    assert terms_from(Terms(ttl_s=99, record=True), json.loads(json.dumps(all_terms(terms)))) == terms


def test_only_what_differs_is_stored() -> None:
    assert terms_json(Terms()) == {}
    assert terms_json(Terms(ttl_s=60, channels=frozenset({Channel.SMS}))) == {
        "ttl_s": 60,
        "channels": ["sms"],
    }
    assert settings_json(ServiceSettings()) == {}
    assert settings_json(ServiceSettings(geo=Geo.ANY, unknown=UnknownCallers(ask_pin=True))) == {
        "geo": "any",
        "unknown": {"ask_pin": True},
    }


def test_every_field_has_a_rule() -> None:
    assert set(TERMS) == {one.name for one in fields(Terms)}
    assert set(UNKNOWN) == {one.name for one in fields(UnknownCallers)}
    assert set(ANSWERS) == {one.name for one in fields(TextAnswers)}


def test_stored_differences_rest_on_these_defaults() -> None:
    """A default that changes changes every stored session and setting: then a migration writes it out."""
    assert all_terms(Terms()) == {
        "channels": ["sms", "voice"],
        "numbers": "per_side",
        "expires_at": 0.0,
        "ttl_s": 0,
        "max_lifetime_s": 7_776_000,
        "on_expiry": "finish",
        "warn_s": 30,
        "call_limit_s": 3600,
        "warn_before_limit": False,
        "flow": "both",
        "record": False,
        "announce_a": "",
        "announce_b": "",
        "ring_timeout_s": 30,
        "pin_mode": "off",
        "pin_length": 6,
        "quarantine_s": 604_800,
        "sticky": "prefer",
        "redaction": "off",
    }


def test_defaults_hold_where_nothing_is_said() -> None:
    ours = Terms(ttl_s=600, record=True)
    assert terms_from(ours, {}) is ours
    assert terms_from(ours, {"record": False}) == Terms(ttl_s=600)


@pytest.mark.parametrize(
    "said",
    [
        {"ttl_s": 59},
        {"ttl_s": 90 * DAY_S + 1},
        {"ttl_s": True},
        {"ttl_s": 60.0},
        {"ttl_s": "60"},
        {"ttl_s": None},
        {"ttl_s": 10**400},
        {"max_lifetime_s": 0},
        {"call_limit_s": 9},
        {"warn_s": 301},
        {"ring_timeout_s": 4},
        {"pin_length": 3},
        {"quarantine_s": -1},
        {"record": 1},
        {"flow": "sideways"},
        {"flow": ["both"]},
        {"channels": []},
        {"channels": "sms"},
        {"channels": ["sms", "fax"]},
        {"channels": [["sms"]]},
        {"expires_at": "tomorrow"},
        {"expires_at": "2026-03-08T12:00:00"},
        {"expires_at": float("nan")},
        {"expires_at": float("inf")},
        {"expires_at": -1},
        {"expires_at": True},
        {"announce_a": "../../etc/passwd"},
        {"announce_a": "a&b"},
        {"announce_b": "a\nb"},
        {"announce_b": "/a"},
    ],
)
def test_a_term_out_of_bounds_is_refused_by_name(said: dict[str, object]) -> None:
    with pytest.raises(InvalidInput) as refused:
        terms_from(Terms(), said, prefix="terms.")
    assert refused.value.field == f"terms.{next(iter(said))}"
    assert refused.value.expected


def test_an_unknown_name_is_refused() -> None:
    for wrong in ("tll_s", "", "__class__"):
        with pytest.raises(InvalidInput) as refused:
            terms_from(Terms(), {wrong: 1})
        assert refused.value.field == wrong


def test_an_end_may_be_told_as_a_date_or_in_seconds() -> None:
    for said in ("2026-03-08T12:00:00Z", "2026-03-08T13:00:00+01:00", 1772971200, 1772971200.0):
        assert terms_from(Terms(), {"expires_at": said}).expires_at == 1772971200.0
    for said in (None, 0):
        assert terms_from(Terms(expires_at=1.0), {"expires_at": said}).expires_at == 0.0


def test_settings_survive_being_stored_and_being_shown() -> None:
    settings = ServiceSettings(
        terms=Terms(ttl_s=600),
        geo=Geo.AREA,
        unknown=UnknownCallers(
            callback_url="https://a.example/x", fallback=E164("+14155550100"), fail_open=True
        ),
        answers=TextAnswers(stop="Bye."),
        expiring_notice_s=0,
        keep_bodies=True,
    )
    assert settings_from(json.loads(json.dumps(settings_json(settings)))) == settings
    assert settings_from(json.loads(json.dumps(all_settings(settings)))) == settings
    assert settings_from({"unknown": {"fallback": None}}, settings).unknown.fallback is None
    assert settings_from({"terms": None}, settings) == settings


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({"geo": "moon"}, "geo"),
        ({"no_such": 1}, "no_such"),
        ({"terms": 5}, "terms"),
        ({"terms": {"ttl_s": 5}}, "terms.ttl_s"),
        ({"terms": {"expires_at": 4e9}}, "terms.expires_at"),
        ({"unknown": {"fallback": "112"}}, "unknown.fallback"),
        ({"unknown": {"fallback": 5}}, "unknown.fallback"),
        ({"unknown": {"intercept_url": "ftp://a"}}, "unknown.intercept_url"),
        ({"unknown": {"intercept_url": "https://a b"}}, "unknown.intercept_url"),
        ({"unknown": {"hook_timeout_s": 60}}, "unknown.hook_timeout_s"),
        ({"answers": {"stop": "x" * 481}}, "answers.stop"),
        ({"answers": {"stop": "a\x00b"}}, "answers.stop"),
        ({"expiring_notice_s": 1}, "expiring_notice_s"),
        ({"keep_bodies": "no"}, "keep_bodies"),
    ],
)
def test_a_setting_out_of_bounds_is_refused_by_its_path(said: dict[str, object], field: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        settings_from(said)
    assert refused.value.field == field


def test_a_refusal_does_not_repeat_a_number() -> None:
    with pytest.raises(InvalidInput) as refused:
        settings_from({"unknown": {"fallback": "+1 415 555 0100"}})
    assert "0100" not in f"{refused.value} {refused.value.value}"
