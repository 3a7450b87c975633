"""The Reply order as the one channel variable that the dialplan reads, and what comes back. Pure.

``entry,action,call,destination,CLI,ring,max,tape``, and where there is something to hear
``,caller's prompt,callee's prompt,limit:warning`` (milliseconds). The entry is where the dialplan goes first:
``say`` to play the caller's prompt, ``tape`` to record, else the action itself. Of a detour the destination
is the number of digits wanted, and ring the seconds to wait for each, or in all. Of an agent, or a video
room, it is the parts of its socket, of which the dialplan makes what is dialled. Commas never occur inside
a part, so the dialplan takes it apart with ARRAY(). Every part comes from values with an alphabet of its own.
An empty CLI is a withheld number.
"""

from __future__ import annotations

import re

from dialplan.core.agent_dial import dial_parts
from dialplan.core.call import (
    AgentSocket,
    Announcement,
    Connect,
    Gather,
    HoldMusic,
    Later,
    Phone,
    Reject,
    Trunk,
    VideoRoom,
    is_virtual,
)
from dialplan.core.orders import Reply
from telephony.errors import UnsafeValue

_CALL = re.compile(r"[A-Za-z0-9_]{1,64}")
_NAME = re.compile(r"[A-Za-z0-9_-]{1,79}")
_CALLER = re.compile(r"\+?[0-9*#]{1,32}")
MOST_DIGITS = 32
_TYPED = re.compile(rf"[0-9*#]{{0,{MOST_DIGITS}}}")
_SOUND = re.compile(r"(?=.{1,160}$)[A-Za-z0-9_-]+(?:/[A-Za-z0-9_-]+)*")


def encode_reply(reply: Reply) -> str:
    """The value of PB_ROUTE. Raises UnsafeValue rather than let a part break out of its place."""
    route = reply.route
    if isinstance(route, Gather | Later):
        return _detour(reply, route)
    action, destination, cli = _target(route, reply.caller)
    joins = isinstance(route, Connect) and not is_virtual(route.endpoint)
    heard = _heard(reply, route) if joins and isinstance(route, Connect) else ("", "", "")
    said, told, warned = heard
    if action == "connect":
        action = "offer" if reply.again else "join" if told or warned else action
    tape = f"{_safe(reply.tape_id, _NAME)}.raw" if reply.tape_id else ""
    parts = (
        "say" if said else "tape" if tape else action,
        action,
        _safe(reply.call_id, _CALL),
        destination,
        cli,
        str(reply.backstop_ring_s),
        str(reply.backstop_max_s),
        tape,
    )
    return ",".join((*parts, *heard) if any(heard) else parts)


def _heard(reply: Reply, route: Connect) -> tuple[str, str, str]:
    """What the caller hears first, what the far end hears first, and when both are warned."""
    said, told = (
        _safe(prompt, _SOUND) if prompt else "" for prompt in (route.caller_prompt, route.callee_prompt)
    )
    warned = f"{reply.limit_s * 1000}:{reply.warn_s * 1000}" if reply.limit_s else ""
    return said, told, warned


def _detour(reply: Reply, route: Gather | Later) -> str:
    """Digits to collect, or seconds to wait, before the dialplan asks again."""
    call, most = _safe(reply.call_id, _CALL), str(reply.backstop_max_s)
    if isinstance(route, Later):
        return f"later,later,{call},,,{reply.backstop_ring_s},{most},"
    if not 1 <= route.digits <= MOST_DIGITS:
        raise UnsafeValue("not a number of digits that can be asked for")
    prompt = _safe(route.prompt, _SOUND)
    return f"gather,gather,{call},{route.digits},,{reply.backstop_ring_s},{most},,{prompt}"


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
        case AgentSocket(dial=dial) | VideoRoom(dial=dial):
            return *dial_parts(dial), cli
        case HoldMusic():
            return "hold", "", ""


def digits_of(argument: str) -> str:
    """What a caller typed; "" where it is anything but digits, ``*`` and ``#``."""
    return argument if _TYPED.fullmatch(argument) else ""


_FROM = re.compile(
    r"""(?:^|^(?!sips?:).*<)sips?:([^@;<>\s]+)@[^<>"\s]*  # the address: in brackets, or all there is
        (?:>(?:;[^<>"]*)?)?$                   # and its parameters, with nothing quoted in them
    """,
    re.VERBOSE,
)


def caller_of(from_header: str) -> str:
    """The number in a From header's URI, or "" where it is withheld or is no number.

    The switch is told to make nothing of From itself: it would decode ``%0D%0A`` in the user part and put
    a line break into every event about the channel. Read here, undecoded, such a user is no number. Neither
    a display name before the address nor a quoted parameter behind it can pass for the address.
    """
    found = _FROM.match(from_header)
    return found[1] if found and _CALLER.fullmatch(found[1]) else ""
