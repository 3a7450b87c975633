"""Recordings: turn them on a live call, show, download and delete them."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, Final

from pydantic import Field

from gateway.http.answers import Answer, FileSlice, Plain
from gateway.http.files import slice_of
from gateway.http.operation import Ask
from gateway.http.orbit.audit import note
from gateway.http.orbit.calls import known_call
from gateway.http.orbit.views import links, recording_view, tape_view
from gateway.http.schema import QueryInt, Strict
from gateway.http.signing import RECORDING_ID
from gateway.storage.records import Recording, RecordingState
from telephony.errors import Conflict, NotFound

_WAV: Final = b"audio/wav"
_MISSING: Final = "there is no such recording"


class SignedLink(Strict):
    """The permission that an address carries."""

    expires: QueryInt = Field(ge=0, le=2**53, description="When the address ends, epoch seconds.")
    signature: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


async def start(ask: Ask) -> Answer:
    return await _turn(ask, "start")


async def stop(ask: Ask) -> Answer:
    return await _turn(ask, "stop")


async def pause(ask: Ask) -> Answer:
    return await _turn(ask, "pause")


async def resume(ask: Ask) -> Answer:
    return await _turn(ask, "resume")


async def _turn(ask: Ask, verb: str) -> Answer:
    call = await known_call(ask)
    if call.ended_at is not None:
        raise Conflict("the call has ended", code="CALL_ENDED")
    try:
        live = await ask.face.desk.turn_tape(call.id, verb)
    except NotFound:
        raise Conflict("the call is not live (any more)", code="CALL_ENDED") from None
    return Answer(tape_view(live))


async def list_of_call(ask: Ask) -> Answer:
    """All recordings of a call, oldest first."""
    call = await known_call(ask)
    recordings = await ask.face.books.recordings.of_call(ask.caller.tenant, call.id)
    return Answer([recording_view(ask, recording) for recording in recordings])


async def get(ask: Ask) -> Answer:
    return Answer(recording_view(ask, await _known(ask)))


async def download(ask: Ask) -> FileSlice:
    """The file behind a signed address; no key is asked for."""
    query: SignedLink = ask.query
    recording_id = _id_of(ask)
    links(ask).check(recording_id, query.expires, query.signature, ask.exchange.at.timestamp())
    path = _file(ask, f"{recording_id}.wav")
    size = await asyncio.to_thread(_size, path)
    if size is None:
        raise NotFound(_MISSING)
    return slice_of(path, size, ask.exchange.headers.get(b"range"), _WAV)


async def delete(ask: Ask) -> Plain:
    """Remove a finished recording for good: the file first, so that nothing can be heard any more."""
    recording = await _known(ask)
    if recording.state not in (RecordingState.READY, RecordingState.FAILED):
        raise Conflict("the recording is still being made", code="RECORDING_IN_PROGRESS")
    if recording.file is not None:
        await asyncio.to_thread(_file(ask, recording.file).unlink, missing_ok=True)
    await ask.face.books.recordings.forget(ask.caller.tenant, recording.id)
    await note(ask, "recording.deleted", recording.id, {"call_id": recording.call_id})
    return Plain(b"", b"")


async def _known(ask: Ask) -> Recording:
    recording = await ask.face.books.recordings.get(ask.caller.tenant, _id_of(ask))
    if recording is None:
        raise NotFound(_MISSING)
    return recording


def _id_of(ask: Ask) -> str:
    text = ask.path["recording_id"]
    if RECORDING_ID.fullmatch(text) is None:
        raise NotFound(_MISSING)
    return text


def _file(ask: Ask, name: str) -> Path:
    """A file of the recordings folder; the name is one of ours, never a path."""
    return ask.face.settings.recordings_dir / Path(name).name


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return None
