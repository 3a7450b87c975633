"""LiveKit's messages in our words (livekit-protocol: ``models``, ``egress``, ``webhook``)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from livekit import api

from telephony.errors import InvalidInput
from video_rooms.core.live import (
    EgressNews,
    Happened,
    Kind,
    LiveEvent,
    LivePerson,
    LiveRoom,
    LiveTrack,
    MediaKind,
)

_KINDS: Final = {
    api.ParticipantInfo.INGRESS: Kind.INGRESS,
    api.ParticipantInfo.EGRESS: Kind.EGRESS,
    api.ParticipantInfo.SIP: Kind.SIP,
    api.ParticipantInfo.AGENT: Kind.AGENT,
}
_MEDIA: Final[dict[int, MediaKind]] = {api.TrackType.AUDIO: "audio", api.TrackType.VIDEO: "video"}
_TOLD: Final = frozenset(happened.value for happened in Happened)
_LATEST_S: Final = 253_402_300_799
"""The last second of the year 9999, where Python's calendar ends."""
_RUNNING: Final = {
    api.EgressStatus.EGRESS_STARTING,
    api.EgressStatus.EGRESS_ACTIVE,
    api.EgressStatus.EGRESS_ENDING,
}
_WHOLE: Final = {api.EgressStatus.EGRESS_COMPLETE, api.EgressStatus.EGRESS_LIMIT_REACHED}
"""Ended with a file: by order, or because it grew to its limit."""


def room_of(told: api.Room) -> LiveRoom:
    return LiveRoom(
        name=told.name,
        sid=told.sid,
        people=told.num_participants,
        max_people=told.max_participants,
        created_at=_moment(told.creation_time, told.creation_time_ms),
        metadata=told.metadata,
        recording=told.active_recording,
    )


def person_of(told: api.ParticipantInfo) -> LivePerson:
    return LivePerson(
        sid=told.sid,
        identity=told.identity,
        name=told.name,
        kind=_KINDS.get(told.kind, Kind.STANDARD),
        joined_at=_moment(told.joined_at, told.joined_at_ms),
        publishing=told.is_publisher,
        hidden=told.permission.hidden,
        attributes=dict(told.attributes),
        metadata=told.metadata,
        tracks=tuple(track_of(track) for track in told.tracks if track.type in _MEDIA),
    )


def track_of(told: api.TrackInfo) -> LiveTrack:
    return LiveTrack(told.sid, _MEDIA[told.type], told.muted, source_name(told.source))


def source_name(number: int) -> str:
    """``camera``, ``microphone``, ``screen_share``, ``screen_share_audio``; ``unknown`` for others."""
    known = number in api.TrackSource.values()
    return api.TrackSource.Name(number).lower() if known else "unknown"


def egress_of(told: api.EgressInfo) -> EgressNews:
    """``duration`` is in nanoseconds there."""
    file = told.file_results[0] if told.file_results else api.FileInfo()
    done = told.status not in _RUNNING
    failed = ""
    if done and told.status not in _WHOLE:
        failed = told.error or told.details or "the recorder gave it up"
    return EgressNews(
        id=told.egress_id,
        room=told.room_name,
        done=done,
        failed=failed,
        location=file.location,
        duration_ms=file.duration // 1_000_000,
        size=file.size,
    )


def event_of(told: api.WebhookEvent) -> LiveEvent | None:
    """None for a kind that we pass over. Raises InvalidInput for one that says too little."""
    if told.event and told.event not in _TOLD:
        return None
    if not told.event or not told.id:
        raise InvalidInput("a report without an id or an event", field="id")
    what = Happened(told.event)
    of_egress = what in (Happened.EGRESS_STARTED, Happened.EGRESS_UPDATED, Happened.EGRESS_ENDED)
    if of_egress != told.HasField("egress_info") or not (of_egress or told.room.name):
        raise InvalidInput(f"a report of {what} without what it is of", field="event")
    return LiveEvent(
        id=told.id,
        what=what,
        at=_moment(told.created_at),
        room=room_of(told.room) if told.room.name else None,
        person=_reported(told) if told.participant.identity else None,
        egress=egress_of(told.egress_info) if of_egress else None,
        why=_why(told.participant.disconnect_reason) if what in (Happened.LEFT, Happened.ABORTED) else "",
    )


def _reported(told: api.WebhookEvent) -> LivePerson:
    """The person of a report; the track that it is of is among theirs, whether they list it or not."""
    person, track = told.participant, told.track
    if track.sid and all(known.sid != track.sid for known in person.tracks):
        person.tracks.append(track)
    return person_of(person)


def _why(number: int) -> str:
    known = number in api.DisconnectReason.values()
    return api.DisconnectReason.Name(number).lower() if known else "unknown_reason"


def _moment(seconds: int, milliseconds: int = 0) -> datetime:
    """The finer of the two where it is told (older servers tell whole seconds)."""
    exact = milliseconds / 1000 if milliseconds else seconds
    if not 0 <= exact <= _LATEST_S:
        raise InvalidInput("a moment that no calendar has", field="created_at")
    return datetime.fromtimestamp(exact, UTC)
