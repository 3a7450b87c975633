"""What a person reads on the command line about masking sessions and the pool."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.cli.masking_lines import (
    forecast_story,
    hidden,
    interaction_table,
    pool_number_of,
    pool_story,
    session_story,
    session_table,
)
from gateway.cli.session import session_body
from telephony.errors import InvalidInput

pytestmark = pytest.mark.unit

A, B, PROXY_A, PROXY_B = "+14155552671", "+14155552672", "+12025550101", "+12025550102"
TERMS: dict[str, Any] = {
    "numbers": "per_side",
    "ttl": 3600,
    "max_lifetime": 7_776_000,
    "on_expiry": "finish",
    "direction": "a_to_b",
    "record": True,
    "pin_mode": "unknown",
    "redaction": "mask",
    "quarantine": 604_800,
}
SESSION: dict[str, Any] = {
    "id": "ses_1",
    "model": "pair",
    "status": "in_progress",
    "party_a": A,
    "party_b": B,
    "members": [],
    "proxy_number_a": PROXY_A,
    "proxy_number_b": PROXY_B,
    "channels": ["sms", "voice"],
    "extension": None,
    "has_pin_a": True,
    "has_pin_b": False,
    "pin_a": "482913",
    "pin_b": None,
    "unique_name": "order 17",
    "metadata": {"city": "Bern"},
    "terms": TERMS,
    "interactions": 2,
    "created_at": "2026-03-08T12:00:00.123Z",
    "expires_at": "2026-03-08T14:00:00.123Z",
    "last_interaction_at": None,
    "closed_at": None,
    "close_reason": None,
    "quarantine_until": None,
}
GROUP = {
    **SESSION,
    "model": "group",
    "party_b": None,
    "proxy_number_b": None,
    "members": [{"seat": 1, "party": B, "proxy_number": PROXY_B, "has_pin": True, "pin": None}],
}
CLOSED = {
    **SESSION,
    "status": "closed",
    "close_reason": "api",
    "closed_at": "2026-03-08T13:00:00.000Z",
    "quarantine_until": "2026-03-15T13:00:00.000Z",
}


@pytest.mark.parametrize("session", [SESSION, GROUP, CLOSED])
def test_people_are_masked_unless_asked_for_and_proxy_numbers_are_whole(session: dict[str, Any]):
    for told in (session_story(session, reveal=False), session_table([session], reveal=False)):
        assert A not in told
        assert B not in told
        assert PROXY_A in told
    assert A not in str(hidden(session, reveal=False))
    assert B not in str(hidden(session, reveal=False))
    assert A in session_story(session, reveal=True)
    assert hidden(session, reveal=True) is session


def test_a_session_is_told_with_what_its_people_dial_and_its_terms():
    told = session_story(SESSION, reveal=True).splitlines()
    assert told[0] == "ses_1  pair  in_progress"
    assert told[1] == f"party a     {A}  dials {PROXY_A}  PIN 482913"
    assert told[2] == f"party b     {B}  dials {PROXY_B}"
    assert "ends        2026-03-08 14:00:00Z" in told
    assert told[-2].endswith(
        "per_side, ends 1 h after the last use, at most 90 d, then finish, a_to_b, record, PIN unknown, "
        "texts: mask, quarantine 7 d"
    )
    assert told[-1] == "  city      Bern"


def test_a_pin_that_is_no_longer_shown_is_told_to_be_there():
    assert "has a PIN" in session_story({**SESSION, "pin_a": None}, reveal=True)
    assert "has a PIN" in session_story(GROUP, reveal=True)


def test_a_closed_session_tells_how_long_its_numbers_rest():
    told = session_story(CLOSED, reveal=True)
    assert "closed (api)" in told
    assert "rests until 2026-03-15 13:00:00Z" in told
    assert "last used" not in told


def test_a_group_is_one_line_of_the_table():
    assert "1 members" in session_table([GROUP], reveal=True)


def test_interactions_name_seats_and_say_what_became_of_them():
    one = {
        "created_at": "2026-03-08T12:00:00.123Z",
        "id": "int_1",
        "kind": "message",
        "from": "party_a",
        "to": "party_b",
        "proxy_number": PROXY_A,
        "status": "blocked",
        "outcome": "redaction",
        "flags": ["number"],
        "duration_seconds": None,
    }
    line = interaction_table([one]).splitlines()[1]
    assert line.endswith("redaction, number     –")
    call = interaction_table([{**one, "kind": "voice", "outcome": "", "flags": [], "duration_seconds": 0}])
    assert call.splitlines()[1].endswith("0 s")


BUCKET: dict[str, Any] = {
    "use": "pairs",
    "country": "US",
    "area": "202",
    "numbers": 3,
    "usable": 2,
    "live": 4,
    "quarantined": 1,
    "busiest": 2,
    "headroom": 0,
}
NUMBER: dict[str, Any] = {
    "id": "num_1",
    "e164": PROXY_A,
    "use": "pairs",
    "capabilities": ["sms", "voice"],
    "reserved": False,
    "suspended": True,
    "carrier": None,
    "live": 3,
    "quarantined": 1,
}


def test_the_pool_is_told_by_bucket_and_by_number():
    buckets, numbers = pool_story({"buckets": [BUCKET], "numbers": [NUMBER]}).split("\n\n")
    assert buckets.splitlines()[1].split() == ["pairs", "US", "202", "3", "2", "4", "1", "2", "0"]
    assert numbers.splitlines()[1].split() == [PROXY_A, "pairs", "3", "1", "sms,", "voice", "–", "suspended"]


def test_an_empty_pool_says_how_to_fill_it():
    assert "patchbay pool add" in pool_story({"buckets": [], "numbers": []})


def test_a_pool_number_is_found_with_and_without_its_plus():
    pool = {"numbers": [NUMBER]}
    assert pool_number_of(pool, PROXY_A[1:]) == NUMBER
    assert pool_number_of(pool, PROXY_B) is None


@pytest.mark.parametrize(("left", "says"), [(None, "never"), (0, "now"), (7200.0, "2 h"), (9000.0, "2.5 h")])
def test_a_forecast_says_when_the_pool_is_full(left: float | None, says: str):
    told = forecast_story(
        {
            "supposed": {"sessions_factor": 2.0, "ttl": None, "quarantine": None, "extra_numbers": 1},
            "quarantine": 604_800,
            "mean_lifetime_seconds": 86_400.0,
            "buckets": [
                {
                    "bucket": BUCKET,
                    "arrivals_per_hour": 3.25,
                    "busiest": 4,
                    "needed_per_side": 4,
                    "needed_shared": 7,
                    "needed_by_load": 1,
                    "shortfall": 1,
                    "exhausted_in_seconds": left,
                }
            ],
        }
    )
    assert told.startswith("sessions x 2, open for 1 d, then 7 d of quarantine, 1 numbers more")
    cells = [cell.strip() for cell in told.splitlines()[3].split("  ") if cell.strip()]
    assert cells == ["pairs", "US", "202", "2", "3.2", "4", "7", "1", "1", says]


@pytest.mark.parametrize(
    ("others", "model", "sets", "body"),
    [
        (["+1"], "pair", [], {"party_b": "+1"}),
        ([], "anyone", [], {}),
        (["+1", "+2"], "group", [], {"members": ["+1", "+2"]}),
        ([], "extension", ["extension=204", "ttl=60"], {"extension": "204", "ttl": 60}),
        (["+1"], "pair", ["channels=voice"], {"party_b": "+1", "channels": ["voice"]}),
        (["+1"], "pair", ["record=true"], {"party_b": "+1", "record": True}),
        (["+1"], "pair", ["pin.length=8"], {"party_b": "+1", "pin": {"length": 8}}),
        (["+1"], "pair", ["metadata.order=17"], {"party_b": "+1", "metadata": {"order": "17"}}),
        (["+1"], "pair", ["country=US", "area=415"], {"party_b": "+1", "country": "US", "area": "415"}),
        (["+1"], "pair", ["announcement_a=a=b"], {"party_b": "+1", "announcement_a": "a=b"}),
    ],
)
def test_the_request_is_what_was_said(others: list[str], model: str, sets: list[str], body: dict[str, Any]):
    assert session_body("+9", others, model, sets) == {"party_a": "+9", "model": model, **body}


@pytest.mark.parametrize(
    ("others", "sets"), [(["+1", "+2"], []), (["+1"], ["ttl"]), (["+1"], ["=3600"]), (["+1"], [""])]
)
def test_what_cannot_be_a_request_is_refused_at_once(others: list[str], sets: list[str]):
    with pytest.raises(InvalidInput):
        session_body("+9", others, "pair", sets)
