"""The Reply order as the one channel variable that the dialplan reads. Pure.

``entry,action,call,destination,CLI,ring,max,tape``; the entry is where the dialplan goes first: ``tape`` to
record, else the action itself. Commas never occur inside a part, so the dialplan takes it apart
with ARRAY(). Every part comes from values with an alphabet of their own. An empty CLI is a withheld number.
"""

from __future__ import annotations

import re

from dialplan.core.call import Announcement, Connect, HoldMusic, Phone, Reject, Trunk
from dialplan.core.orders import Reply
from telephony.errors import UnsafeValue

_CALL = re.compile(r"[A-Za-z0-9_]{1,64}")
_NAME = re.compile(r"[A-Za-z0-9_-]{1,79}")
_CALLER = re.compile(r"\+?[0-9*#]{1,32}")
_SOUND = re.compile(r"(?=.{1,160}$)[A-Za-z0-9_-]+(?:/[A-Za-z0-9_-]+)*")


def encode_reply(reply: Reply) -> str:
    """The value of PB_ROUTE. Raises UnsafeValue rather than let a part break out of its place."""
    action, destination, cli = _target(reply.route, reply.caller)
    tape = f"{_safe(reply.tape_id, _NAME)}.raw" if reply.tape_id else ""
    parts = (
        "tape" if tape else action,
        action,
        _safe(reply.call_id, _CALL),
        destination,
        cli,
        str(reply.backstop_ring_s),
        str(reply.backstop_max_s),
        tape,
    )
    return ",".join(parts)


def _safe(part: str, alphabet: re.Pattern[str]) -> str:
    if alphabet.fullmatch(part) is None:
        raise UnsafeValue("a part of the route answer is outside its alphabet")
    return part


def refusal(cause: int) -> str:
    """The answer to a caller for whom there is no call."""
    return f"reject,reject,,{cause},,0,20,"


def _target(route: Connect | Reject, caller: str) -> tuple[str, str, str]:
    if isinstance(route, Reject):
        if not 1 <= route.cause <= 127:
            raise UnsafeValue("not a cause of Q.850")
        return "reject", str(int(route.cause)), ""
    shown = caller if _CALLER.fullmatch(caller) else ""
    cli = shown if route.cli is None else route.cli.reveal()
    match route.endpoint:
        case Trunk(number=number, trunk=trunk):
            return "connect", f"PJSIP/{number.reveal()}@{_safe(trunk, _NAME)}", cli
        case Phone(name=name):
            return "connect", f"PJSIP/{_safe(name, _NAME)}", cli
        case Announcement(sound=sound):
            return "announce", _safe(sound, _SOUND), ""
        case HoldMusic():
            return "hold", "", ""


_FROM_USER = re.compile(r"sips?:([^@;>\s]+)@")


def caller_of(from_header: str) -> str:
    """The number in a From header's URI, or "" where it is withheld or is no number.

    The switch is told to make nothing of From itself: it would decode ``%0D%0A`` in the user part and put
    a line break into every event about the channel. Read here, undecoded, such a user is no number.
    """
    users = _FROM_USER.findall(from_header)
    return users[-1] if users and _CALLER.fullmatch(users[-1]) else ""
