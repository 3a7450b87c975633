"""The file behind a recording's address."""

from pathlib import Path
from urllib.parse import urlsplit

import pytest

from gateway.http.errors import RangeNotSatisfiable
from gateway.http.files import slice_of
from tests.unit.http.asgi import Answer
from tests.unit.http.rig import CALLS, OURS, Rig

pytestmark = pytest.mark.unit

WAV = bytes(range(256)) * 4


async def _address(rig: Rig) -> str:
    call_id = await rig.ended(record=True)
    (rig.folder / f"{call_id}-1.wav").write_bytes(WAV)
    url = (await rig.client.get(f"{CALLS}/{call_id}")).data["recording_url"]
    split = urlsplit(url)
    return f"{split.path}?{split.query}"


async def _fetch(rig: Rig, address: str, method: str = "GET", **headers: str) -> Answer:
    return await rig.client.having(None).ask(method, address, headers=headers)


async def test_the_address_needs_no_key(rig: Rig):
    answer = await _fetch(rig, await _address(rig))
    assert (answer.status, answer.body) == (200, WAV)
    assert answer.headers["content-type"] == "audio/wav"
    assert answer.headers["content-length"] == str(len(WAV))
    assert answer.headers["accept-ranges"] == "bytes"
    assert "no-store" in answer.headers["cache-control"]
    assert 'filename="call_' in answer.headers["content-disposition"]


async def test_the_address_ends(rig: Rig):
    address = await _address(rig)
    rig.clock.advance(899)
    assert (await _fetch(rig, address)).status == 200
    rig.clock.advance(1)
    answer = await _fetch(rig, address)
    assert (answer.status, answer.code) == (403, "LINK_EXPIRED")


async def test_a_changed_address_opens_nothing(rig: Rig):
    address = await _address(rig)
    for wrong in (
        address.replace("expires=1", "expires=2"),
        address[:-1] + ("0" if address[-1] != "0" else "1"),
        address.replace("-1/file", "-2/file"),
    ):
        answer = await _fetch(rig, wrong)
        assert (answer.status, answer.code) == (403, "INVALID_SIGNATURE"), wrong
    for wrong in (
        address.split("?")[0],
        address + "&x=1",
        address[:-3],
        address.replace("signature=", "signature=Z"),
    ):
        assert (await _fetch(rig, wrong)).status == 422


async def test_a_file_that_is_gone_is_not_found(rig: Rig):
    address = await _address(rig)
    for file in rig.folder.glob("*.wav"):
        file.unlink()
    assert (await _fetch(rig, address)).status == 404


@pytest.mark.parametrize(
    ("wanted", "span", "body"),
    [
        ("bytes=0-99", "bytes 0-99/1024", WAV[:100]),
        ("bytes=1000-", "bytes 1000-1023/1024", WAV[1000:]),
        ("bytes=-24", "bytes 1000-1023/1024", WAV[1000:]),
        ("bytes=-5000", "bytes 0-1023/1024", WAV),
        ("bytes=1000-9999", "bytes 1000-1023/1024", WAV[1000:]),
    ],
)
async def test_ranges(rig: Rig, wanted: str, span: str, body: bytes):
    answer = await _fetch(rig, await _address(rig), Range=wanted)
    assert (answer.status, answer.headers["content-range"], answer.body) == (206, span, body)
    assert answer.headers["content-length"] == str(len(body))


@pytest.mark.parametrize("wanted", ["bytes=1024-", "bytes=9-3", "bytes=-0"])
async def test_ranges_outside(rig: Rig, wanted: str):
    answer = await _fetch(rig, await _address(rig), Range=wanted)
    assert (answer.status, answer.code) == (416, "RANGE_NOT_SATISFIABLE")
    assert answer.headers["content-range"] == "bytes */1024"


@pytest.mark.parametrize("wanted", ["bytes=0-1,5-9", "lines=1-2", "bytes=-", "bytes=a-b"])
def test_ranges_not_understood_give_the_whole_file(wanted: str):
    whole = slice_of(Path("x"), 100, wanted.encode(), b"audio/wav")
    assert (whole.partial, whole.start, whole.end) == (False, 0, 99)


def test_an_empty_file_has_no_range():
    with pytest.raises(RangeNotSatisfiable):
        slice_of(Path("x"), 0, b"bytes=0-", b"audio/wav")


async def test_head_shows_the_size_alone(rig: Rig):
    answer = await _fetch(rig, await _address(rig), "HEAD")
    assert (answer.status, answer.headers["content-length"], answer.body) == (200, "1024", b"")


async def test_deleting_takes_file_and_row_and_leaves_a_note(rig: Rig):
    address = await _address(rig)
    recording = address.split("/")[5]
    path = f"/api/v1/voice/recordings/{recording}"
    assert (await rig.client.get(path)).data["status"] == "ready"
    assert (await rig.client.ask("DELETE", path)).status == 204
    assert (await rig.client.get(path)).status == 404
    assert (await _fetch(rig, address)).status == 404
    assert list(rig.folder.glob("*.wav")) == []
    assert [entry.action for entry in await rig.face.books.audit.entries(OURS)] == ["recording.deleted"]
    call = (await rig.client.get(f"{CALLS}/{recording.rpartition('-')[0]}")).data
    assert (call["recording_url"], call["recordings"]) == (None, [])


async def test_a_running_recording_is_not_deleted(rig: Rig):
    call_id = await rig.answered()
    await rig.client.post(f"{CALLS}/{call_id}/recording/start")
    answer = await rig.client.ask("DELETE", f"/api/v1/voice/recordings/{call_id}-1")
    assert (answer.status, answer.code) == (409, "RECORDING_IN_PROGRESS")


@pytest.mark.parametrize("recording", ["x", "call_1-1", "..", "call_00000000000000000000000001-1.wav"])
async def test_names_that_are_no_recordings(rig: Rig, recording: str):
    assert (await rig.client.get(f"/api/v1/voice/recordings/{recording}")).status == 404
