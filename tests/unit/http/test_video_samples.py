"""Every request of the video page as curl sends it, and its documented answer, member by member."""

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.rig.video_samples import BASE, SAMPLES, Curl, read_curl, replay
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


ROOT = Path(__file__).parents[3]
COMMAND = re.compile(r"^curl (?:.*\\\n)*(?:[^'\n]|'[^']*')*$", re.M)


def _commands(file: str, section: str) -> list[str]:
    """The curl commands of a guide's section, in their order."""
    text = (ROOT / file).read_text().split(f"\n## {section}\n", 1)[1].split("\n## ", 1)[0]
    return [found for block in text.split("```")[1::2] for found in COMMAND.findall(block)]


@pytest.mark.parametrize(
    ("file", "section", "prefix", "count"),
    [
        ("docs/video.md", "A meeting, from plan to end", BASE, 10),
        ("docs/video.md", "Beyond Orbit's page", BASE, 4),
        ("README.md", "Video rooms", "/api/v1", 4),
    ],
)
async def test_the_guides_commands_work_in_their_order(
    rig: Rig, file: str, section: str, prefix: str, count: int
):
    commands, known = _commands(file, section), {"KEY": rig.keys["developer"]}
    assert len(commands) == count
    for command in commands:
        filled = command.replace("$API", "")
        for name, value in known.items():
            filled = filled.replace(f"${name}", value)
        curl = read_curl(filled)
        answer = await rig.client.having(None).ask(curl.method, prefix + curl.path, curl.body, curl.headers)
        assert answer.status in (200, 201, 202), (command, answer.body)
        data = answer.data if isinstance(answer.data, dict) else {}
        if answer.status == 201:
            known |= {"ROOM": str(data["room_id"]), "TOKEN": str(data.get("invite_token", ""))}
