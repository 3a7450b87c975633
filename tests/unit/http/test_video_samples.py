"""Every request of the video page as curl sends it, and its documented answer, member by member."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from tests.rig.video_samples import SAMPLES, Curl, read_curl, replay
from tests.unit.http.rig import Rig
from video_rooms.core.room import Status

pytestmark = pytest.mark.unit


async def test_every_sample_is_answered_as_documented(rig: Rig):
    async def ask(curl: Curl) -> tuple[int, bytes]:
        headers = {name: value.replace("$KEY", rig.keys["developer"]) for name, value in curl.headers.items()}
        answer = await rig.client.having(None).ask(curl.method, curl.path, curl.body, headers)
        return answer.status, answer.body

    async def arrive(_: Mapping[str, Any]) -> None:
        for room in rig.rooms.kept.values():
            rig.rooms.kept[room.id] = replace(room, status=Status.LIVE, started_at=rig.clock.wall())

    assert await replay(ask, arrive) == [sample.name for sample in SAMPLES]


def test_curl_is_read_as_a_shell_reads_it():
    curl = read_curl("""curl -X POST "$API/rooms" -H 'X-API-Key: $KEY' \\
        -d '{"name": "a b"}'""")
    assert curl == Curl("POST", "/rooms", {"X-API-Key": "$KEY"}, b'{"name": "a b"}')
