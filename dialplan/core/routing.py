"""Where an inbound call goes: gather the facts once, then decide purely."""

from __future__ import annotations

from dataclasses import dataclass

from dialplan.core.call import Route
from telephony.ids import CallId, ChannelId, TenantId
from telephony.numbers import E164


@dataclass(frozen=True, slots=True)
class Offered:
    """A call arrived at the switch: the channel, what was dialled, who it claims to be, and by which door.

    ``dialled`` is the DID or a phone's digits; ``caller`` is empty when withheld. ``door`` is the
    dialplan context (``from-trunk`` or ``from-phone``); ``line`` the endpoint's name.
    """

    channel: ChannelId
    dialled: str
    caller: str
    door: str
    line: str


@dataclass(frozen=True, slots=True)
class RouteFacts:
    """All that is needed to decide: whose call it is and where its number leads.

    ``tenant`` is None when nobody owns the dialled number. ``session_id``, ``seat``, ``to_seat`` and
    ``private`` are those of ``Terms``. A call may become private by the answer after a detour and never
    ceases to be; one that may become so had better be so from its first answer, for it is told at once.
    ``agent_id`` and ``agent_version`` name the agent whose call it is, if any. ``call_id`` is the id that a
    new call must have, where somebody outside knows of it already.
    """

    tenant: TenantId | None
    route: Route | None
    did: E164 | None = None
    record: bool = False
    webhook_url: str | None = None
    ring_timeout_s: int = 30
    max_duration_s: int = 3600
    session_id: str | None = None
    seat: int = -1
    to_seat: int = -1
    private: bool = False
    agent_id: str | None = None
    agent_version: int | None = None
    call_id: CallId | None = None
