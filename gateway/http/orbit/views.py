"""Stored things as the Orbit face shows them. Numbers are whole only for keys that may see them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

from dialplan.core.call import Call, TapeState
from dialplan.core.record import CallRecord, Json, masked_end, shown
from gateway.auth import Caller
from gateway.http.answers import PageMeta
from gateway.http.exchange import epoch_stamp
from gateway.http.operation import Ask
from gateway.http.signing import RecordingLinks
from gateway.storage.records import Page, Recording, RecordingState, TimelineEntry
from telephony.ids import CallId
from telephony.numbers import mask, mask_text

T = TypeVar("T")

_TAPE_STATUS = {
    TapeState.WAITING: "waiting",
    TapeState.RECORDING: "recording",
    TapeState.PAUSED: "paused",
    TapeState.STOPPED: "processing",
    TapeState.FILED: "processing",
}


def links(ask: Ask) -> RecordingLinks:
    """The maker of this installation's recording addresses."""
    settings = ask.face.settings
    base = f"{settings.public_url}/api/v1/voice"
    return RecordingLinks(ask.face.signing_secret, base, settings.recording_url_ttl_s)


def page_meta(page: Page[T]) -> PageMeta:
    return PageMeta(page.cursor, page.has_more, page.total)


def number_for(caller: Caller, digits: str) -> str:
    """A number whole or masked, as the caller may see it."""
    return digits if caller.sees_numbers else mask(digits)


def call_view(ask: Ask, call: CallRecord, recording: Recording | None = None) -> dict[str, Json]:
    """A call, with the address of its newest finished recording where the caller may hear it."""
    view = shown(call, whole=ask.caller.sees_numbers)
    if not ask.caller.sees_numbers:
        view["to"], view["from"] = masked_end(call.to_number), masked_end(call.from_number)
    url = None
    if recording is not None and ask.caller.may("recordings:read"):
        url = links(ask).link(recording.id, ask.exchange.at.timestamp())[0]
    view["recording_url"] = url
    if ask.caller.call is not None:
        view["webhook_url"] = None  # an agent has no use for its tenant's address
    return view


def recording_view(ask: Ask, recording: Recording) -> dict[str, Json]:
    """A recording; its address only while there is a file and the caller may hear it."""
    url, ends = None, None
    if recording.state is RecordingState.READY and ask.caller.may("recordings:read"):
        url, until = links(ask).link(recording.id, ask.exchange.at.timestamp())
        ends = epoch_stamp(until)
    return {
        "id": recording.id,
        "call_id": recording.call_id,
        "status": recording.state.value,
        "created_at": epoch_stamp(recording.created_at),
        "ended_at": epoch_stamp(recording.ended_at),
        "duration_seconds": None if recording.duration_ms is None else recording.duration_ms / 1000,
        "channels": recording.channels,
        "bytes": recording.bytes,
        "url": url,
        "url_expires_at": ends,
        "failure": recording.failure,
    }


def tape_view(call: Call) -> dict[str, Json]:
    """The newest recording of a live call as the switch has just confirmed it."""
    tape = call.tapes[-1]
    return {
        "id": tape.id,
        "call_id": call.id,
        "status": _TAPE_STATUS[tape.state],
        "created_at": epoch_stamp(tape.started_at),
        "ended_at": epoch_stamp(tape.stopped_at),
        "duration_seconds": None,
        "channels": None,
        "bytes": None,
        "url": None,
        "url_expires_at": None,
        "failure": None,
    }


def event_view(ask: Ask, entry: TimelineEntry) -> dict[str, Json]:
    """One event of a timeline."""
    detail: Mapping[str, str] = dict(entry.detail)
    if not ask.caller.sees_numbers:
        detail = {
            name: value if name.endswith("_id") or name == "file" else mask_text(value)
            for name, value in detail.items()
        }
    return {
        "sequence": entry.sequence,
        "type": entry.type,
        "at": epoch_stamp(entry.at),
        "status": entry.status,
        "detail": dict(detail),
    }


def call_views(
    ask: Ask, calls: Sequence[CallRecord], ready: Mapping[CallId, Recording]
) -> list[dict[str, Json]]:
    """A page of calls, each with its finished recording if it has one."""
    return [call_view(ask, call, ready.get(call.id)) for call in calls]
