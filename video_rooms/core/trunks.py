"""What the media server must know so that our switch can bring telephones into its rooms by SIP. Pure.

Three kinds of objects of LiveKit's SIP interface (docs.livekit.io, "SIP APIs"): one trunk for calls that come
from the switch, one towards the switch, and for each call a dispatch rule of its own, which leads one
caller's name into one room. That name is random, and the rule is gone once the call has been taken: a rule
that made a room's name of what is dialled would let whoever reaches the service name any room. What is
dialled is always the same number, this installation's own: a trunk that took whatever is dialled would
collide with another's (LiveKit allows one of that sort).

The other way round, LiveKit calls the switch over the outbound trunk: what is dialled then is the name of one
media socket of ours, which works once, so that neither a rule nor an inbound trunk is needed.

Each object of ours says so in its metadata, with the installation's mark; what does not is never touched.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

HEADER_LEG: Final = "X-Gw-Call"
HEADER_NAME: Final = "X-Gw-Name"
LEG_ATTRIBUTE: Final = "patchbay.leg"
NAME_ATTRIBUTE: Final = "display_name"
SHOWN: Final = {HEADER_LEG: LEG_ATTRIBUTE, HEADER_NAME: NAME_ATTRIBUTE}
"""Headers of an INVITE, and the attributes of the participant that LiveKit makes of them."""
RULE_LASTS_S: Final = 60
"""For how long a rule is worth something; the next look takes away one that is older."""
_MARK: Final = "patchbay"
ThingKind = Literal["inbound", "outbound", "rule"]


@dataclass(frozen=True, slots=True)
class Inbound:
    """Calls from the switch to LiveKit. ``number``: what it dials; ``allowed``: networks it may call from."""

    number: str
    user: str
    password: str = field(repr=False)
    allowed: tuple[str, ...] = ()
    ringing_s: int = 10
    longest_s: int = 86_400

    kind = "inbound"


@dataclass(frozen=True, slots=True)
class Outbound:
    """Calls from LiveKit to the switch, at ``address`` (``host:port``). LiveKit wants a number for them."""

    address: str
    user: str
    password: str = field(repr=False)
    number: str = "rooms"

    kind = "outbound"


@dataclass(frozen=True, slots=True)
class OneCall:
    """One call from the switch into one room: what it dials and as whom, worth something until ``until``
    (Unix seconds). ``trunk`` is the id of our inbound trunk."""

    room: str
    trunk: str
    number: str
    caller: str = field(repr=False)
    until: int = 0
    attributes: Mapping[str, str] = field(default_factory=dict)

    kind = "rule"


Thing = Inbound | Outbound | OneCall


@dataclass(frozen=True, slots=True)
class CallOut:
    """One call that LiveKit makes to the switch, for somebody who is in this room as ``identity`` from its
    beginning. ``trunk`` is the id of our outbound trunk; ``number`` what is dialled, the name of a media
    socket that works once; ``ring_s`` how long it may ring, ``longest_s`` last."""

    trunk: str
    number: str = field(repr=False)
    room: str
    identity: str
    name: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)
    ring_s: int = 3
    longest_s: int = 86_400


@dataclass(frozen=True, slots=True)
class TrunkPlan:
    """What is wanted. ``mark`` names this installation among others at the same media server. ``inbound``
    None: the switch calls nobody there."""

    mark: str
    inbound: Inbound | None
    outbound: Outbound | None = None


@dataclass(frozen=True, slots=True)
class There:
    """An object as the media server shows it. ``thing`` None: it is of no shape that we make."""

    kind: ThingKind
    id: str
    metadata: str
    thing: Inbound | Outbound | None = None


# ---------------------------------------------------------------- marks


def metadata_of(mark: str, thing: Thing) -> str:
    """What our object says of itself."""
    told: dict[str, str | int] = {_MARK: mark, "kind": thing.kind}
    if isinstance(thing, OneCall):
        told["until"] = thing.until
    return json.dumps(told, sort_keys=True)


def _said(there: There, mark: str) -> Mapping[str, object] | None:
    """What one of our own objects says; None for everybody else's."""
    try:
        told = json.loads(there.metadata)
    except (ValueError, RecursionError):
        return None
    if not isinstance(told, dict) or told.get(_MARK) != mark or told.get("kind") != there.kind:
        return None
    return told


def is_ours(there: There, mark: str) -> bool:
    return _said(there, mark) is not None


# ---------------------------------------------------------------- what is to be done


@dataclass(frozen=True, slots=True)
class Make:
    thing: Thing


@dataclass(frozen=True, slots=True)
class Change:
    """Make this object say what is wanted."""

    id: str
    thing: Inbound | Outbound


@dataclass(frozen=True, slots=True)
class Drop:
    kind: ThingKind
    id: str


Deed = Make | Change | Drop


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is to be done, and the ids of our trunks that stay; "" where one is yet to be made."""

    deeds: tuple[Deed, ...]
    inbound: str = ""
    outbound: str = ""


def judge(plan: TrunkPlan, found: Sequence[There], now: float) -> Verdict:
    """What makes the media server have what is wanted, and nothing of ours besides. A trunk of ours that is
    there twice stays once: the same one whoever looks. ``now``: Unix seconds."""
    kept: dict[str, str] = {}
    deeds: list[Deed] = []
    wanted: dict[str, Inbound | Outbound | None] = {"inbound": plan.inbound, "outbound": plan.outbound}
    for there in sorted(found, key=lambda one: one.id):
        said = _said(there, plan.mark)
        if said is None:
            continue
        if there.kind == "rule":
            until = said.get("until")
            if not isinstance(until, int) or until < now:
                deeds.append(Drop("rule", there.id))
            continue
        thing = wanted[there.kind]
        if thing is None or there.kind in kept:
            deeds.append(Drop(there.kind, there.id))
            continue
        kept[there.kind] = there.id
        if there.thing != thing:
            deeds.append(Change(there.id, thing))
    made = [Make(thing) for kind, thing in wanted.items() if thing is not None and kind not in kept]
    return Verdict((*deeds, *made), kept.get("inbound", ""), kept.get("outbound", ""))


def all_ours(mark: str, found: Sequence[There]) -> tuple[Drop, ...]:
    """What takes everything of ours away: rules first, which name a trunk."""
    ours = [there for there in found if is_ours(there, mark)]
    return tuple(Drop(one.kind, one.id) for one in sorted(ours, key=lambda one: (one.kind != "rule", one.id)))


def one_call(
    number: str, trunk: str, room: str, *, caller: str, now: float, attributes: Mapping[str, str]
) -> OneCall:
    """The rule of a call that is made now."""
    until = int(now) + RULE_LASTS_S
    return OneCall(room, trunk, number, caller, until, attributes)


# ---------------------------------------------------------------- who a telephone is in the room


def identity_of(caller: str) -> str:
    """The identity that LiveKit gives whoever calls by this name, where the rule hides it: ``sip_`` and the
    first 16 hexadecimal digits of its SHA-256 (protocol/sip, EvaluateDispatchRule)."""
    return "sip_" + hashlib.sha256(caller.encode()).hexdigest()[:16]
