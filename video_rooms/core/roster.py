"""Who was in a room and who is: each line folded from what is heard, in whatever order it comes.

One line is one identity, and shows its latest coming. A coming is named by the media server's ``sid`` and
placed by its moment; what is told of an earlier one changes nothing. A departure that was reported is final
for its coming; one that was only found out by looking is not, where a later look finds the person there.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from video_rooms.core.live import ROLE, Kind, LivePerson
from video_rooms.core.lobby import waits
from video_rooms.core.names import identity_shown, shown
from video_rooms.core.room import Person, Presence, Role, Room

LOST: Final = "lost"
"""Why somebody left whose leaving nobody reported."""
LEFT: Final = "left"
KICKED: Final = "kicked"
DENIED: Final = "denied"
ROOM_ENDED: Final = "room_ended"
REPLACED: Final = "replaced"
_REASONS: Final = {
    "duplicate_identity": REPLACED,
    "participant_removed": KICKED,
    "room_deleted": ROOM_ENDED,
    "room_closed": ROOM_ENDED,
}
_CLOCK_STEP: Final = timedelta(seconds=1)
"""The media server's reports are dated in whole seconds."""
_HERE: Final = (Presence.JOINED, Presence.WAITING)
_CALLED: Final = (Presence.PENDING, Presence.RINGING)


def is_seen(person: LivePerson) -> bool:
    """Whether somebody stands on the roster: recorders do not, nor helpers that have no role."""
    if person.hidden or person.kind is Kind.EGRESS:
        return False
    return role_of(person) is not Role.RECORDER and (
        person.kind is not Kind.AGENT or ROLE in person.attributes
    )


def counts(person: LivePerson) -> bool:
    """Whether somebody takes a place in the room, as the media server counts: telephones do, and who waits in
    the lobby; agents and recorders do not."""
    return person.kind not in (Kind.AGENT, Kind.EGRESS) and not person.hidden


def role_of(person: LivePerson) -> Role:
    """The role that the token gave."""
    told = person.attributes.get(ROLE, "")
    known = next((role for role in Role if role.value == told), None)
    return known or (Role.PHONE if person.kind is Kind.SIP else Role.PARTICIPANT)


def why_left(reason: str) -> str:
    """What the media server's word for the end of a coming says on the roster."""
    return _REASONS.get(reason, LEFT)


def is_present(line: Person) -> bool:
    """Whether this identity is somebody's now: in the room, in the lobby, or called."""
    return line.presence is not Presence.LEFT


def line_of(room: Room, person: LivePerson) -> Person:
    """Somebody's line as the media server tells of them."""
    heard = [track.muted for track in person.tracks if track.kind == "audio"]
    return Person(
        room_id=room.id,
        identity=person.identity,
        display_name=shown(person.name) or identity_shown(person.identity),
        role=role_of(person),
        presence=Presence.WAITING if waits(person.attributes) else Presence.JOINED,
        joined_at=person.joined_at,
        muted=bool(heard) and all(heard),
        sid=person.sid,
        session=room.live_name,
    )


def came(before: Person | None, now: Person, *, seen: bool, admitted: bool = False) -> Person:
    """The line once this coming is known. ``seen``: by looking, so it is so now; else it was reported, maybe
    late. ``admitted``: the pass was let in from the lobby before."""
    arrived = replace(now, presence=Presence.JOINED) if admitted else now
    if before is None:
        return arrived
    if before.sid == now.sid:
        return _again(before, arrived, seen)
    if not before.sid:
        return _appears(before, arrived)
    return _carried(before, arrived) if _later(arrived, before) else before


def went(before: Person | None, now: Person, at: datetime, why: str) -> Person:
    """The line once it is known that this coming is over."""
    if before is not None and before.sid not in ("", now.sid) and not _later(now, before):
        return before
    if before is None or before.sid not in ("", now.sid):
        return left(now if before is None else _carried(before, now), at, why)
    known = replace(before, sid=now.sid, session=now.session, joined_at=before.joined_at or now.joined_at)
    return left(known, at, why)


def left(before: Person, at: datetime, why: str) -> Person:
    """Somebody is there no more since this moment, or earlier. A reason that is known stays. Nobody leaves
    before they came, whatever a clock that counts whole seconds says."""
    at = at if before.joined_at is None else max(at, before.joined_at)
    if before.presence is not Presence.LEFT:
        return replace(before, presence=Presence.LEFT, left_at=at, why_left=why, hand_raised=False)
    since = at if before.left_at is None else min(at, before.left_at)
    guessed = before.why_left in (None, LOST)
    if before.why_left == ROOM_ENDED and before.left_at is not None:
        guessed = at < before.left_at - _CLOCK_STEP  # they had left by themselves before the room was ended
    return replace(before, left_at=since, why_left=why if guessed else before.why_left)


def missing(before: Person, session: str, asked_at: datetime) -> bool:
    """Whether somebody who was not found by a look at the live session is gone: not who has come since, nor
    who waits or is called outside the media server."""
    if before.presence not in _HERE or (before.presence is Presence.WAITING and not before.sid):
        return False
    if before.session not in ("", session):
        return True
    return before.joined_at is None or before.joined_at < asked_at


def told(before: Person | None, after: Person | None) -> tuple[tuple[str, Person], ...]:
    """What the world hears of this change, and of whom. Somebody who came anew before their leaving was
    reported has been replaced."""
    if after is None:
        return ()
    was = None if before is None else before.presence
    if before is not None and was is Presence.JOINED is after.presence and before.sid not in ("", after.sid):
        replaced = replace(before, presence=Presence.LEFT, left_at=after.joined_at, why_left=REPLACED)
        return ("room.participant.left", replaced), ("room.participant.joined", after)
    if was is after.presence:
        return ()
    match after.presence:
        case Presence.JOINED if was is Presence.WAITING:
            return ("room.participant.admitted", after), ("room.participant.joined", after)
        case Presence.JOINED if was in _CALLED:
            return ("room.phone.joined", after), ("room.participant.joined", after)
        case Presence.JOINED:
            return (("room.participant.joined", after),)
        case Presence.RINGING:
            return (("room.phone.ringing", after),)
        case Presence.WAITING:
            return (("room.participant.waiting", after),)
        case Presence.LEFT if was in _HERE and after.why_left == KICKED:
            return ("room.participant.kicked", after), ("room.participant.left", after)
        case Presence.LEFT if was in _HERE:
            return (("room.participant.left", after),)
    return ()


def _again(before: Person, now: Person, seen: bool) -> Person:
    """The same coming is told of once more."""
    if before.presence is Presence.LEFT:
        back = replace(before, presence=now.presence, left_at=None, why_left=None, muted=now.muted)
        return back if seen and before.why_left == LOST else before
    let_in = before.presence is Presence.WAITING and now.presence is Presence.JOINED
    known = replace(before, presence=Presence.JOINED) if let_in else before
    return replace(known, muted=now.muted) if seen and known.role is not Role.PHONE else known


def _appears(before: Person, now: Person) -> Person:
    """Somebody who was known before the media server told of them: a telephone."""
    over = before.presence is Presence.LEFT and before.left_at is not None
    if over and now.joined_at is not None and before.left_at is not None and now.joined_at <= before.left_at:
        return replace(before, sid=now.sid, session=now.session)
    return replace(
        before,
        presence=now.presence,
        joined_at=now.joined_at,
        left_at=None,
        why_left=None,
        sid=now.sid,
        session=now.session,
    )


def _carried(before: Person, now: Person) -> Person:
    """A new coming; what was let in stays let in for the session, a telephone keeps its call."""
    same = before.session == now.session
    return replace(now, admitted=before.admitted if same else "", call_id=before.call_id if same else None)


def _later(one: Person, other: Person) -> bool:
    if one.joined_at is None or other.joined_at is None:
        return other.joined_at is None
    return (one.joined_at, one.sid) > (other.joined_at, other.sid)
