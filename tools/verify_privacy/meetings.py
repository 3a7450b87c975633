"""Sessions of every kind: who may reach whom by dialling what."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from tools.verify_privacy.people import ALPHA, BETA, Side, other
from tools.verify_privacy.world import EXTENSION_NUMBERS, Json, World

MODELS: Final = ("pair", "pair", "pair", "pair", "pair", "group", "anyone", "extension")
BRIEF_S: Final = 5


@dataclass(frozen=True, slots=True)
class Way:
    """Somebody who may reach somebody. ``types``: digits to be typed on the way, ``#`` included."""

    side: Side
    caller: str
    dialled: str
    callee: str
    shown: str = ""
    """The number that the callee sees."""
    types: str = ""


@dataclass(slots=True)
class Meeting:
    """An open session."""

    id: str
    model: str
    ways: list[Way]
    redaction: str = "off"
    on_expiry: str = "finish"
    second_phone: Way | None = None
    """In by the PIN: only where strangers are asked for one."""
    brief: bool = False
    closed: bool = False
    last: str = ""
    """The member of a group who was heard from last: whom party A reaches."""


async def open_meeting(world: World, model: str, chance: random.Random, *, brief: bool = False) -> Meeting:
    """A session between people nobody knows yet; every second one is opened by a key that sees no numbers."""
    side = chance.choice((ALPHA, BETA))
    a, b = world.person(side), world.person(other(side))
    body = {"party_a": a, **_terms(world, chance), **_brief(brief)}
    members: list[str] = []
    match model:
        case "group":
            members = [b, world.person(other(side))]
            body |= {"model": "group", "members": members}
        case "anyone":
            body |= {"model": "anyone", "party_b": b, "quarantine": 0}
        case "extension":
            body |= {"model": "extension", "quarantine": 0, "proxy_number": chance.choice(EXTENSION_NUMBERS)}
        case _:
            body |= {"party_b": b, "numbers": chance.choice(("per_side", "per_side", "shared"))}
    pins = {}
    if model == "pair" and chance.random() < 0.3:
        pins = {"a": f"71{chance.randrange(10**7, 10**8)}", "b": f"82{chance.randrange(10**7, 10**8)}"}
        body["pin"] = {"mode": "unknown", **pins}
    session = await _opened(world, body, chance)
    meeting = Meeting(
        str(session["id"]),
        model,
        _ways(world, session, side, a, members or [b], chance),
        redaction=str(body["redaction"]),
        on_expiry=str(body["on_expiry"]),
        brief=brief,
    )
    if pins:
        first = meeting.ways[0]
        phone = world.stranger(first.side, chance)
        meeting.second_phone = Way(
            first.side, phone, first.dialled, first.callee, first.shown, f"{pins['a']}#"
        )
    return meeting


async def _opened(world: World, body: Json, chance: random.Random) -> Json:
    who = world.owner if chance.random() < 0.5 else world.reader
    return dict(await who.ok("POST", "/api/v1/proxy/sessions", body))


def _terms(world: World, chance: random.Random) -> Json:
    terms: Json = {
        "channels": ["voice", "sms"],
        "redaction": chance.choice(("off", "mask", "block", "flag")),
        "on_expiry": chance.choice(("finish", "warn_then_end", "end_now")),
        "record": chance.random() < 0.2,
        "ring_timeout": 5,
        "quarantine": 300,
        "call_time_limit": 60,
        "sticky": chance.choice(("prefer", "avoid")),
        "ttl": 3600,
        "unique_name": f"order {chance.getrandbits(40):x}",
        "metadata": {"order": f"{chance.getrandbits(40):x}"},
    }
    if chance.random() < 0.15:
        terms["announcement_a"] = "Hello."
    if chance.random() < 0.15:
        terms["announcement_b"] = "Hello."
    if chance.random() < 0.5:
        terms["webhook_url"] = world.listener.url("session")
    return terms


def _brief(brief: bool) -> Json:
    """Terms of a session that ends under its first call."""
    if not brief:
        return {}
    until = datetime.now(UTC) + timedelta(seconds=BRIEF_S)
    return {"expires_at": until.isoformat(), "on_expiry": "end_now"}


def _ways(
    world: World, session: Json, side: Side, a: str, others: list[str], chance: random.Random
) -> list[Way]:
    """``others`` are behind the other side; the first is whom A reaches."""
    far = other(side)
    to_a, to_others = session["proxy_number_a"], session["proxy_number_b"]
    if session["model"] == "pair":
        return [Way(side, a, to_a, others[0], to_others), Way(far, others[0], to_others, a, to_a)]
    if session["model"] == "group":
        doors = {one["seat"]: one["proxy_number"] for one in session["members"]}
        inward = [Way(far, who, doors[seat], a, to_a) for seat, who in enumerate(others, 1)]
        return [*inward, Way(side, a, to_a, others[0])]
    typed = f"{session['extension']}#" if session["model"] == "extension" else ""
    visitors = [world.stranger(far, chance) for _ in range(2)]
    inward = [Way(far, who, to_a, a, to_a, typed) for who in visitors]
    if typed:
        return inward
    return [*inward, Way(side, a, to_a, others[0], to_a)]
