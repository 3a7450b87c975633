"""The Reply order as the one channel variable that the dialplan reads. Pure.

``entry,action,call,destination,CLI,ring,max,tape``; the entry is where the dialplan goes first: ``tape`` to
record, else the action itself. Commas never occur inside a part, so the dialplan takes it apart
with ARRAY(). Every part comes from values with an alphabet of their own.
"""

from __future__ import annotations

import re

from dialplan.core.call import Announcement, Connect, HoldMusic, Phone, Reject, Trunk
from dialplan.core.orders import Reply
from telephony.errors import UnsafeValue

_PART = re.compile(r"[A-Za-z0-9+@._/-]*")


def encode_reply(reply: Reply) -> str:
    """The value of PB_ROUTE. Raises UnsafeValue rather than let a part break out of its place."""
    action, destination, cli = _target(reply.route)
    tape = f"{reply.tape_id}.raw" if reply.tape_id else ""
    parts = (
        "tape" if tape else action,
        action,
        reply.call_id,
        destination,
        cli,
        str(reply.backstop_ring_s),
        str(reply.backstop_max_s),
        tape,
    )
    for part in parts:
        if _PART.fullmatch(part) is None:
            raise UnsafeValue("a part of the route answer is outside its alphabet")
    return ",".join(parts)


def refusal(cause: int) -> str:
    """The answer to a caller for whom there is no call."""
    return f"reject,reject,,{cause},,0,20,"


def _target(route: Connect | Reject) -> tuple[str, str, str]:
    if isinstance(route, Reject):
        return "reject", str(route.cause), ""
    cli = "" if route.cli is None else route.cli.reveal()
    dial = "connect" if cli else "pass"
    match route.endpoint:
        case Trunk(number=number, trunk=trunk):
            return dial, f"PJSIP/{number.reveal()}@{trunk}", cli
        case Phone(name=name):
            return dial, f"PJSIP/{name}", cli
        case Announcement(sound=sound):
            return "announce", sound, ""
        case HoldMusic():
            return "hold", "", ""
