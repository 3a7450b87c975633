"""Calls of masking sessions become interactions, inside the transaction that stores the call.

Fits ``gateway.storage.calls.Announcer``. A call's first event that names a session opens its interaction and
counts as a use of the session, whose sliding end moves on with it; the last one closes it. A participant who
was not let through (``to_seat`` -1) leaves an interaction, but has not used the session.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from sqlalchemy import Connection

from dialplan.core.call import Direction
from dialplan.core.record import CallEvent, CallRecord
from gateway.storage.masking_events import MaskingTold
from gateway.storage.masking_interactions import SqlInteractions
from gateway.storage.masking_ledger import SqlLedger
from proxy_pool.core.holding import moves_doors
from proxy_pool.core.interaction import Interaction, InteractionId, Kind
from proxy_pool.core.session import SEAT_A, SessionId
from proxy_pool.ports import SessionEvent
from telephony.errors import InvalidInput
from telephony.ids import CallId, TenantId
from telephony.numbers import E164

_USED: Final = "used"
_LANE: Final = "lane"
_SPLIT: Final = "\x1f"

Used = Callable[[TenantId, SessionId], None]
"""Told, once it is durable, that a session's end may have moved."""


class CallInteractions:
    """Joins calls to sessions. What it tells never holds a participant's number."""

    def __init__(
        self, ledger: SqlLedger, interactions: SqlInteractions, told: MaskingTold, used: Used
    ) -> None:
        self._ledger = ledger
        self._interactions = interactions
        self._told = told
        self._used = used

    def announce(self, conn: Connection, events: Sequence[CallEvent]) -> Sequence[str]:
        """Store the interactions as they stand after these events."""
        out: list[str] = []
        for event in events:
            if event.call.session_id is not None and event.type.startswith("call."):
                out.extend(self._fold(conn, event, SessionId(event.call.session_id)))
        return out

    def _fold(self, conn: Connection, event: CallEvent, session_id: SessionId) -> Sequence[str]:
        interaction = interaction_of(event, session_id)
        if interaction is None:
            return ()
        begun = self._interactions.is_known_in(conn, interaction.id)
        lanes: list[str] = []
        out: list[str] = []
        if not begun and interaction.to_seat >= SEAT_A:
            used = self._ledger.use_in(conn, event.tenant, session_id, interaction.from_seat, event.at)
            if used is not None:
                lanes.extend(used[1])
            if used is not None and moves_doors(used[0]):
                out.append(_SPLIT.join((_USED, event.tenant, session_id)))
        lanes.extend(self._interactions.keep_in(conn, interaction, _told_of(interaction, begun, event)))
        return [*out, *(_SPLIT.join((_LANE, lane)) for lane in lanes)]

    def committed(self, announced: Sequence[str]) -> None:
        """Wake the webhooks, and let the sessions' new ends be known."""
        parts = [one.split(_SPLIT) for one in announced]
        self._told.committed([part[1] for part in parts if part[0] == _LANE])
        for part in parts:
            if part[0] == _USED:
                self._used(TenantId(part[1]), SessionId(part[2]))


def interaction_id(call_id: CallId) -> InteractionId:
    """The interaction that a call is: its ULID is the call's.

    >>> interaction_id(CallId("call_01"))
    'int_01'
    """
    return InteractionId(f"int_{call_id.partition('_')[2]}")


def interaction_of(event: CallEvent, session_id: SessionId) -> Interaction | None:
    """The interaction as it stands after a call's event; None where no proxy number was dialled, or shown to
    a participant whom we call."""
    call = event.call
    ours = call.from_number if call.direction is Direction.OUTBOUND else call.to_number
    try:
        proxy = E164(ours if ours.startswith("+") else f"+{ours}")
    except InvalidInput:
        return None
    return Interaction(
        id=interaction_id(event.call_id),
        tenant=event.tenant,
        session=session_id,
        kind=Kind.VOICE,
        from_seat=call.seat,
        to_seat=call.to_seat,
        proxy=proxy,
        subject=event.call_id,
        status=call.status.value,
        created_at=call.created_at,
        answered_at=call.answered_at,
        ended_at=call.ended_at,
        duration_s=call.duration_s,
        outcome=_outcome(call),
        sequence=event.sequence,
    )


def _outcome(call: CallRecord) -> str:
    return "" if call.termination is None else call.termination.reason


def _told_of(interaction: Interaction, begun: bool, event: CallEvent) -> Sequence[SessionEvent]:
    """The events of one step: a call that ends at once began as well."""
    if interaction.to_seat < SEAT_A:
        return [] if begun else [SessionEvent("interaction.refused", event.at)]
    types = [] if begun else ["interaction.started"]
    if interaction.over:
        types.append("interaction.ended")
    elif begun:
        types.append("interaction.updated")
    return [SessionEvent(kind, event.at) for kind in types]
