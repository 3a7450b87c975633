"""A call as JSON and back, so that a restarted gateway goes on where it was."""

from __future__ import annotations

from typing import Any

from dialplan.core.call import (
    AgentSocket,
    Announcement,
    Call,
    Connect,
    Direction,
    Ender,
    Endpoint,
    Former,
    Gather,
    HoldMusic,
    Later,
    Leg,
    Move,
    Phone,
    Rank,
    Reject,
    Role,
    Route,
    Tape,
    TapeState,
    Terms,
    Trunk,
    VideoRoom,
)
from telephony.causes import CallStatus, Result, Termination
from telephony.ids import CallId, ChannelId, LegId, TenantId
from telephony.numbers import E164

Snapshot = dict[str, Any]
"""JSON with string keys; ``version`` guards its shape across upgrades."""

VERSION = 1


def _fields(value: Terms | Leg | Tape | Move) -> Snapshot:
    """The value's fields as they are: all of them are JSON already (enums of text and number included).
    ``dataclasses.asdict`` copies deeply and costs ten times as much, on every event of every call."""
    return {name: getattr(value, name) for name in value.__slots__}


def encode(call: Call) -> Snapshot:
    """A JSON-ready form of the whole call."""
    return {
        "version": VERSION,
        "id": call.id,
        "terms": _fields(call.terms),
        "created_at": call.created_at,
        "caller": _fields(call.caller),
        "callee": _fields(call.callee),
        "route": _encode_route(call.route),
        "status": call.status.value,
        "sequence": call.sequence,
        "asked": call.asked,
        "connected_at": call.connected_at,
        "cancel_asked": call.cancel_asked,
        "ring_expired": call.ring_expired,
        "ended_by": None if call.ended_by is None else call.ended_by.value,
        "ended_why": call.ended_why,
        "ending_at": call.ending_at,
        "answered_at": call.answered_at,
        "talking_at": call.talking_at,
        "ended_at": call.ended_at,
        "termination": None
        if call.termination is None
        else [call.termination.result.value, call.termination.reason],
        "late_facts": call.late_facts,
        "tapes": [_fields(tape) for tape in call.tapes],
        "detours": call.detours,
        "detour_at": call.detour_at,
        "lost_at": call.lost_at,
        "end_at": call.end_at,
        "end_why": call.end_why,
        "former": [_encode_former(former) for former in call.former],
        "move": None if call.move is None else {**_fields(call.move), "left": _encode_route(call.move.left)},
    }


def decode(snapshot: Snapshot) -> Call:
    """The call from its snapshot. Raises ValueError on a version this release cannot read.

    What snapshots of earlier releases lack has its default.
    """
    if snapshot.get("version") != VERSION:
        raise ValueError(
            f"call snapshot has version {snapshot.get('version')!r}, this release reads {VERSION}"
        )
    s = snapshot
    ended = s["termination"]
    return Call(
        id=CallId(s["id"]),
        terms=_terms(s["terms"]),
        created_at=s["created_at"],
        caller=_leg(s["caller"]),
        callee=_leg(s["callee"]),
        route=_decode_route(s["route"]),
        status=CallStatus(s["status"]),
        sequence=s["sequence"],
        asked=s["asked"],
        connected_at=s["connected_at"],
        cancel_asked=s["cancel_asked"],
        ring_expired=s["ring_expired"],
        ended_by=None if s["ended_by"] is None else Ender(s["ended_by"]),
        ended_why=s["ended_why"],
        ending_at=s["ending_at"],
        answered_at=s["answered_at"],
        talking_at=s["talking_at"],
        ended_at=s["ended_at"],
        termination=None if ended is None else Termination(Result(ended[0]), ended[1]),
        late_facts=s["late_facts"],
        tapes=tuple(Tape(**{**tape, "state": TapeState(tape["state"])}) for tape in s["tapes"]),
        detours=s.get("detours", 0),
        detour_at=s.get("detour_at"),
        lost_at=s.get("lost_at"),
        end_at=s.get("end_at"),
        end_why=s.get("end_why"),
        former=tuple(_decode_former(former) for former in s.get("former", ())),
        move=_decode_move(s.get("move")),
    )


def _terms(raw: Snapshot) -> Terms:
    return Terms(
        **{
            **raw,
            "tenant": TenantId(raw["tenant"]),
            "direction": Direction(raw["direction"]),
            "metadata": tuple((key, value) for key, value in raw["metadata"]),
        }
    )


def _leg(raw: Snapshot) -> Leg:
    channel = raw["channel"]
    return Leg(
        **{
            **raw,
            "id": LegId(raw["id"]),
            "role": Role(raw["role"]),
            "rank": Rank(raw["rank"]),
            "channel": None if channel is None else ChannelId(channel),
        }
    )


def _encode_former(former: Former) -> Snapshot:
    return {
        "leg": _fields(former.leg),
        "endpoint": _encode_endpoint(former.endpoint),
        "why": former.why,
        "parted_at": former.parted_at,
    }


def _decode_former(raw: Snapshot) -> Former:
    return Former(_leg(raw["leg"]), _decode_endpoint(raw["endpoint"]), raw["why"], raw["parted_at"])


def _decode_move(raw: Snapshot | None) -> Move | None:
    if raw is None:
        return None
    left = _decode_route(raw["left"])
    if not isinstance(left, Connect):
        raise ValueError("call snapshot names a move from something that is no connection")
    return Move(**{**raw, "leg": LegId(raw["leg"]), "left": left})


def _encode_route(route: Route | None) -> Snapshot | None:
    match route:
        case None:
            return None
        case Reject(cause=cause, reason=reason):
            return {"kind": "reject", "cause": cause, "reason": reason}
        case Gather(prompt=prompt, digits=digits, timeout_s=timeout_s):
            return {"kind": "gather", "prompt": prompt, "digits": digits, "timeout_s": timeout_s}
        case Later(wait_s=wait_s):
            return {"kind": "later", "wait_s": wait_s}
        case Connect():
            return {
                "kind": "connect",
                "cli": None if route.cli is None else route.cli.reveal(),
                "endpoint": _encode_endpoint(route.endpoint),
                "caller_prompt": route.caller_prompt,
                "callee_prompt": route.callee_prompt,
                "warn_s": route.warn_s,
                "ring_s": route.ring_s,
            }


def _encode_endpoint(endpoint: Endpoint) -> Snapshot:
    match endpoint:
        case Trunk(number=number, trunk=trunk):
            return {"kind": "trunk", "number": number.reveal(), "trunk": trunk}
        case Phone(name=name):
            return {"kind": "phone", "name": name}
        case Announcement(sound=sound, text=text):
            return {"kind": "announcement", "sound": sound, "text": text}
        case HoldMusic():
            return {"kind": "hold_music"}
        case AgentSocket(dial=dial, agent_id=agent_id):
            return {"kind": "agent", "dial": dial, "agent_id": agent_id}
        case VideoRoom():
            return {"kind": "room", **{name: getattr(endpoint, name) for name in endpoint.__slots__}}


def _decode_route(raw: Snapshot | None) -> Route | None:
    if raw is None:
        return None
    match raw["kind"]:
        case "reject":
            return Reject(raw["cause"], raw["reason"])
        case "gather":
            return Gather(raw["prompt"], raw["digits"], raw["timeout_s"])
        case "later":
            return Later(raw["wait_s"])
        case "connect":
            return Connect(
                _decode_endpoint(raw["endpoint"]),
                None if raw["cli"] is None else E164(raw["cli"]),
                raw.get("caller_prompt", ""),
                raw.get("callee_prompt", ""),
                raw.get("warn_s", 0),
                raw.get("ring_s", 0),
            )
        case kind:
            raise ValueError(f"call snapshot names a route of kind {kind!r}, unknown to this release")


def _decode_endpoint(raw: Snapshot) -> Endpoint:
    match raw["kind"]:
        case "trunk":
            return Trunk(E164(raw["number"]), raw["trunk"])
        case "phone":
            return Phone(raw["name"])
        case "announcement":
            return Announcement(raw["sound"], raw["text"])
        case "hold_music":
            return HoldMusic()
        case "agent":
            return AgentSocket(raw["dial"], raw["agent_id"])
        case "room":
            return VideoRoom(raw["dial"], raw["room_id"], raw["language"], raw["entered"])
        case kind:
            raise ValueError(f"call snapshot names an endpoint of kind {kind!r}, unknown to this release")
