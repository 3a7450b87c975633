"""Where the media server reports: no key, its signature alone, byte for byte."""

import pytest

from gateway.http.orbit.video_hook import MAX_REPORT
from gateway.http.throttle import STRANGERS_PER_MINUTE
from tests.unit.http.rig import Rig
from tests.unit.http.rooms_behind import SIGNED, VIDEO

pytestmark = pytest.mark.unit

REPORT = {"content-type": "application/webhook+json", "authorization": SIGNED}


async def test_a_report_needs_no_key_and_is_passed_on_byte_for_byte(rig: Rig):
    body = b'{"event": "room_started",  "id":"EV_1"}'
    answer = await rig.client.having(None).ask("POST", f"{VIDEO}/webhook", body, REPORT)
    assert (answer.status, answer.body) == (204, b"")
    assert rig.rooms.heard == [body]


@pytest.mark.parametrize("headers", [{"authorization": "forged"}, {"authorization": ""}, {}])
async def test_a_report_that_is_not_the_media_servers_is_refused(rig: Rig, headers: dict[str, str]):
    stranger = rig.client.having(None)
    sent = {"content-type": "application/webhook+json", **headers}
    for _ in range(STRANGERS_PER_MINUTE):
        answer = await stranger.ask("POST", f"{VIDEO}/webhook", b"{}", sent)
        assert (answer.status, answer.code) == (401, "UNAUTHORIZED")
    assert (await stranger.ask("POST", f"{VIDEO}/webhook", b"{}", sent)).status == 429
    assert (await stranger.ask("POST", f"{VIDEO}/webhook", b"{}", REPORT)).status == 204
    assert rig.rooms.heard == [b"{}"]


async def test_a_report_signed_twice_is_not_signed(rig: Rig):
    headers = [(b"host", b"test"), (b"authorization", SIGNED.encode()), (b"authorization", b"x")]
    answer = await rig.client.raw("POST", f"{VIDEO}/webhook", headers, [b"{}"])
    assert answer.status == 401


async def test_a_report_that_is_too_large_is_not_read(rig: Rig):
    answer = await rig.client.having(None).ask("POST", f"{VIDEO}/webhook", b"x" * (MAX_REPORT + 1), REPORT)
    assert (answer.status, answer.code) == (413, "PAYLOAD_TOO_LARGE")
    assert not rig.rooms.heard


async def test_a_report_that_cannot_be_taken_now_is_to_come_again(rig: Rig):
    rig.rooms.away = True
    answer = await rig.client.having(None).ask("POST", f"{VIDEO}/webhook", b"{}", REPORT)
    assert (answer.status, answer.code) == (503, "SERVICE_UNAVAILABLE")
