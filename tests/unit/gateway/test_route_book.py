"""The number book: every stored route read, every unreadable one refused, none of them in another's way."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialplan.core.call import Announcement, Connect, HoldMusic, Phone, Reject, Route, Trunk, VideoRoom
from dialplan.core.routing import Offered, RouteFacts
from gateway.route_book import NumberRoutes, RouteDefaults, read_route
from gateway.storage.records import Json, OwnedNumber
from telephony.ids import ChannelId, TenantId
from telephony.numbers import E164

pytestmark = pytest.mark.unit

DID, OTHER = E164("+12025550100"), E164("+12025550101")
FAR = E164("+14155550102")
OURS, THEIRS = TenantId("tnt_1"), TenantId("tnt_2")
UNREADABLE = Reject(41, "route_unreadable")


def owned(route: dict[str, Json] | None, number: E164 = DID, tenant: TenantId = OURS) -> OwnedNumber:
    return OwnedNumber("num_1", tenant, number, datetime(2026, 3, 8, tzinfo=UTC), route=route)


def book(*numbers: OwnedNumber) -> NumberRoutes:
    routes = NumberRoutes(RouteDefaults(lambda _: "carrier"))
    routes.replace(numbers)
    return routes


def dialled(number: str) -> Offered:
    return Offered(ChannelId("pb-1.1"), number, "+14155550103", "from-trunk", "carrier")


READ: list[tuple[dict[str, Json] | None, Route]] = [
    (None, Reject(1, "no_route")),
    ({}, Reject(1, "no_route")),
    ({"type": "phone", "phone": "alice"}, Connect(Phone("alice"))),
    ({"type": "number", "number": FAR.reveal()}, Connect(Trunk(FAR, "carrier"), DID)),
    ({"type": "announcement", "sound": "tts/a1", "text": "Hi"}, Connect(Announcement("tts/a1", "Hi"))),
    ({"type": "announcement", "sound": "tts/a1"}, Connect(Announcement("tts/a1"))),
    ({"type": "hold"}, Connect(HoldMusic())),
    ({"type": "rooms"}, Connect(VideoRoom(""))),
    ({"type": "rooms", "language": "de"}, Connect(VideoRoom("", language="de"))),
    ({"type": "reject", "cause": "busy"}, Reject(17, "rejected_by_route")),
    ({"type": "reject", "cause": "rejected"}, Reject(21, "rejected_by_route")),
    ({"type": "reject", "cause": "unallocated"}, Reject(1, "rejected_by_route")),
    ({"type": "reject", "cause": "congestion"}, Reject(34, "rejected_by_route")),
    ({"type": "reject", "cause": 19}, Reject(19, "rejected_by_route")),
]


@pytest.mark.parametrize(("stored", "route"), READ)
async def test_a_stored_route(stored: dict[str, Json] | None, route: Route) -> None:
    assert (await book(owned(stored)).facts_for(dialled("+12025550100"))).route == route
    assert read_route(stored or {}, DID, lambda _: "carrier") == route


@pytest.mark.parametrize(
    "stored",
    [
        {"type": "fax"},
        {"type": 7},
        {"type": "phone"},
        {"type": "number"},
        {"type": "number", "number": "12"},
        {"type": "number", "number": None},
        {"type": "announcement"},
        {"type": "reject"},
        {"type": "rooms", "language": 7},
        {"type": "rooms", "language": "en us"},
        {"type": "reject", "cause": "because"},
        {"type": "reject", "cause": None},
        {"type": "reject", "cause": 0},
        {"type": "reject", "cause": 128},
        {"type": "reject", "cause": -1},
        {"type": "reject", "cause": 1.5},
        {"type": "reject", "cause": [17]},
        {"type": "phone", "phone": "alice/evil"},
        {"type": "phone", "phone": "+14155550199@carrier"},
        {"type": "phone", "phone": ""},
        {"type": "phone", "phone": None},
        {"type": "phone", "phone": ["alice"]},
    ],
)
async def test_a_route_that_cannot_be_read_refuses_and_leaves_the_others(stored: dict[str, Json]) -> None:
    routes = book(owned(stored), owned({"type": "hold"}, OTHER))
    assert (await routes.facts_for(dialled("+12025550100"))).route == UNREADABLE
    assert (await routes.facts_for(dialled("+12025550101"))).route == Connect(HoldMusic())


@pytest.mark.parametrize("spelled", ["+12025550100", "12025550100"])
async def test_carriers_dial_with_and_without_the_plus(spelled: str) -> None:
    facts = await book(owned({"type": "hold"})).facts_for(dialled(spelled))
    assert (facts.tenant, facts.did) == (OURS, DID)


@pytest.mark.parametrize("number", ["+12025550199", "", "+", "outbound", "2025550100", "120255501000"])
async def test_nobodys_number_has_no_tenant(number: str) -> None:
    assert (await book(owned({"type": "hold"})).facts_for(dialled(number))) == RouteFacts(
        tenant=None, route=None
    )


async def test_each_number_is_its_owners() -> None:
    routes = book(owned({"type": "hold"}), owned({"type": "hold"}, OTHER, THEIRS))
    assert (await routes.facts_for(dialled("+12025550100"))).tenant == OURS
    assert (await routes.facts_for(dialled("+12025550101"))).tenant == THEIRS


async def test_the_book_is_replaced_whole() -> None:
    routes = book(owned({"type": "hold"}), owned({"type": "hold"}, OTHER))
    assert len(routes) == 2
    routes.replace([owned({"type": "phone", "phone": "bob"}, OTHER)])
    assert len(routes) == 1
    assert (await routes.facts_for(dialled("+12025550100"))).tenant is None
    assert (await routes.facts_for(dialled("+12025550101"))).route == Connect(Phone("bob"))


async def test_what_a_route_says_besides() -> None:
    said: dict[str, Json] = {
        "type": "hold",
        "record": True,
        "webhook_url": "https://example.com/h",
        "ring_timeout": 12,
        "max_duration": 600,
    }
    facts = await book(owned(said)).facts_for(dialled("+12025550100"))
    assert (facts.record, facts.webhook_url) == (True, "https://example.com/h")
    assert (facts.ring_timeout_s, facts.max_duration_s) == (12, 600)


@pytest.mark.parametrize("wrong", [None, 0, -1, "12", 1.5, True, [12]])
async def test_what_a_route_says_wrongly_is_as_if_unsaid(wrong: Json) -> None:
    said: dict[str, Json] = {"type": "hold", "ring_timeout": wrong, "max_duration": wrong, "webhook_url": 7}
    facts = await book(owned({**said, "record": "yes"})).facts_for(dialled("+12025550100"))
    assert (facts.ring_timeout_s, facts.max_duration_s) == (30, 3600)
    assert (facts.record, facts.webhook_url) == (False, None)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
TYPES = st.sampled_from(["phone", "number", "announcement", "hold", "reject", "fax", None])
KEYS = st.sampled_from(["phone", "number", "sound", "text", "cause", "record", "ring_timeout"])


@given(TYPES, st.dictionaries(KEYS, JSON, max_size=4))
async def test_no_stored_route_breaks_the_book(type_: str | None, rest: dict[str, Json]) -> None:
    facts = await book(owned({"type": type_, **rest})).facts_for(dialled("+12025550100"))
    assert facts.tenant == OURS
    assert isinstance(facts.route, Connect | Reject)
