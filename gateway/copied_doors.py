"""The doors of a session that the switch can open by itself, and how it writes them down. Pure.

An entry of family ``pb`` in the switch's database (AstDB) is one door::

    <proxy digits>/<who>  ->  until,tenant,session,seat,to_seat,target,CLI,ring,talk,cut

``who`` is the caller's digits without ``+``, ``@`` and the name of a phone of ours, or ``*`` for anybody.
``until`` and ``cut`` are epoch seconds (0 is no cut), ``ring`` and ``talk`` seconds, ``target`` what
``Dial()`` takes. The dialplan takes the value apart by its commas (``away`` in extensions.conf), so no part
may hold one: each has an alphabet, and a door whose parts do not fit is not copied.

What is left out, because it needs the gateway: doors behind a PIN or an extension, and those that lead to an
agent. What a call from the
copy lacks: recording, prompts, warning tones, hooks, and being counted as use while it is made.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from proxy_pool.core.opening import keys_of
from proxy_pool.core.party import ANYONE, EXTENSION, PHONE, PIN, AgentParty, Party, PhoneParty
from proxy_pool.core.reach import Approach, Reached, reach
from proxy_pool.core.session import Channel, Session
from telephony.numbers import E164

FAMILY: Final = "pb"
MADE: Final = "pbmade"
"""The family in which the dialplan notes the calls that it joined from the copy."""
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_NAME = re.compile(r"[A-Za-z0-9_-]{1,79}")
_LONGEST_S = 86_400


@dataclass(frozen=True, slots=True)
class Outside:
    """What a door depends on besides its session: the trunk of a number, and whom nobody may be sent to."""

    trunk_for: Callable[[E164], str]
    ours: Callable[[E164], bool] = lambda number: False
    emergency: Callable[[E164], bool] = lambda number: False


def copied_doors(session: Session, now: float, outside: Outside) -> Mapping[str, str | None]:
    """Every door of the session that could be in the copy: its key, and its value or None where it must not
    be there now. The values of a session that is closed or over are all None.

    An entry that nobody takes away any more, because we died before we could, ends by itself: no later
    than the session, and before its numbers could be given to anybody else (``quarantine_s`` from now).
    """
    return {
        key: _entry(session, seat, who, now, outside)
        for who, proxy, seat in keys_of(session)
        if (key := _key(who, proxy)) is not None
    }


def _key(who: str, proxy: E164) -> str | None:
    if who.startswith((EXTENSION, PIN)):
        return None
    digits = proxy.reveal().lstrip("+")
    if who.startswith(PHONE):
        name = who.removeprefix(PHONE)
        return f"{digits}/@{name}" if _NAME.fullmatch(name) else None
    return f"{digits}/{who.lstrip('+')}"


def _entry(session: Session, seat: int, who: str, now: float, outside: Outside) -> str | None:
    if not session.live or any(_ID.fullmatch(one) is None for one in (session.tenant, session.id)):
        return None
    approach = Approach("" if who == ANYONE else who, ours=outside.ours, emergency=outside.emergency)
    way = reach(session, seat, Channel.VOICE, now, approach)
    until = int(min(session.ends_at, now + session.terms.quarantine_s))
    target = _target(way.target, outside) if isinstance(way, Reached) else ""
    if not isinstance(way, Reached) or not target or until <= now:
        return None
    parts = (
        until,
        session.tenant,
        session.id,
        way.seat,
        way.to_seat,
        target,
        way.cli.reveal(),
        max(1, session.terms.ring_timeout_s),
        min(max(1, session.terms.call_limit_s), _LONGEST_S),
        0 if way.cut_at is None else int(way.cut_at),
    )
    return ",".join(map(str, parts))


def _target(party: Party, outside: Outside) -> str:
    """What ``Dial()`` takes for this party; empty where it cannot be called."""
    if isinstance(party, AgentParty):
        return ""  # only the gateway can put an agent on the line
    if isinstance(party, PhoneParty):
        return f"PJSIP/{party.name}" if _NAME.fullmatch(party.name) else ""
    trunk = outside.trunk_for(party)
    return f"PJSIP/{party.reveal()}@{trunk}" if _NAME.fullmatch(trunk) else ""
