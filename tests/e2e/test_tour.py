"""The README's tours, run as they are written; and the main path of a user, told alike by every party."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shlex
import shutil
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from gateway.trial.audio import active_seconds, read_wav
from gateway.trial.listener import WebhookListener
from gateway.trial.sip_call import CallState
from gateway.trial.sip_digest import Credentials
from gateway.trial.sip_outgoing import Dial
from gateway.trial.sip_phone import SipPhone
from tests.e2e.visitor import (
    given_up,
    log_lines,
    newest_call_to_us,
    recording_of,
    registered,
    route_own_number,
    spoken,
)
from tests.rig.product import OWN, Json, Product

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

README = Path(__file__).parents[2] / "README.md"
LINK = re.compile(r"\]\(([^)#\s][^)\s]*)\)")
STATUS = re.compile(r"\n(\d{3})\Z")
QUESTION, HOURS = "when are you open", "We are open from nine to five."
SAME = ("status", "termination", "ended_by", "ended_at", "duration_seconds", "to", "from", "metadata")
PROXIES = ("+12025550101", "+12025550102")
Reply = tuple[int, str]
Curl = Callable[[str, Mapping[str, str], Path], Awaitable[Reply]]


def tour(title: str = "Five minutes with curl") -> list[str]:
    """The commands of a tour's fenced block, continuation lines joined, comments left out."""
    section = README.read_text().split(f"## {title}", 1)[1].split("\n## ", 1)[0]
    block = next(part for part in section.split("```")[1::2] if "curl " in part)
    commands: list[str] = []
    for line in block.replace("\\\n", " ").strip().splitlines():
        if commands and commands[-1].count("'") % 2:
            commands[-1] += "\n" + line
        elif line.strip() and not line.startswith("#"):
            commands.append(line)
    return commands


async def real_curl(command: str, environment: Mapping[str, str], folder: Path) -> Reply:
    """The command in a shell, unchanged; a .curlrc adds the status to what it prints."""
    (folder / ".curlrc").write_text('write-out = "\\n%{http_code}"\n')
    process = await asyncio.create_subprocess_exec(
        *("bash", "-euc", command),
        cwd=folder,
        env={**environment, "CURL_HOME": str(folder), "PATH": os.environ["PATH"]},
        stdout=asyncio.subprocess.PIPE,
    )
    printed, _ = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, command
    text = printed.decode()
    found = STATUS.search(text)
    assert found is not None, text
    return int(found.group(1)), text[: found.start()]


async def like_curl(command: str, environment: Mapping[str, str], folder: Path) -> Reply:
    """What curl would do, for machines without it: the options that the tour uses, and no others."""
    filled = re.sub(r"\$(\w+)", lambda name: environment[name.group(1)], command)
    words = iter(shlex.split(filled, comments=True)[1:])
    headers, method, body, target, url = dict[str, str](), "", None, None, ""
    for word in words:
        match word:
            case "-s":
                continue
            case "-X":
                method = next(words)
            case "-H":
                name, _, value = next(words).partition(": ")
                headers[name] = value
            case "-d":
                body = next(words)
            case "-o":
                target = folder / next(words)
            case _:
                assert not word.startswith("-"), f"the tour uses an option unknown here: {word}"
                url = word
    async with aiohttp.ClientSession() as http:
        asked = http.request(method or ("POST" if body else "GET"), url, data=body, headers=headers)
        async with asked as response:
            content = await response.read()
    if target is not None:
        target.write_bytes(content)
        return response.status, ""
    return response.status, content.decode()


class Visitor:
    """Follows the tour with a phone in hand; fills in what the tour leaves to the reader."""

    def __init__(self, house: Product, alice: SipPhone, curl: Curl, folder: Path) -> None:
        self.house, self.alice, self.folder, self._curl = house, alice, folder, curl
        self.answers: list[tuple[str, Any]] = []
        self.environment: dict[str, str] = {}
        self.number_id = ""

    async def does(self, command: str) -> Any:
        """The answer's data, None where there is none."""
        if command.startswith("export "):
            name = command.removeprefix("export ").partition("=")[0]
            self.environment[name] = self._known(name)
            return None
        assert command.startswith("curl "), f"not a command of the tour: {command}"
        if command.endswith("recording_url"):
            await recording_of(self.house, self.environment["CALL"], self.folder)
        status, body = await self._curl(command, self.environment, self.folder)
        assert status in (200, 201), (command, status, body)
        self.answers.append((command, json.loads(body)["data"] if body else None))
        if "announcement" in command:
            phone = await self.alice.receives(within_s=30.0)
            await phone.hears(lambda pcm: active_seconds(pcm) > 1.0, 30.0, "the announcement")
        return self.answers[-1][1]

    def _known(self, name: str) -> str:
        match name:
            case "KEY":
                return self.house.key
            case "API":
                return f"{self.house.api.root}/api/v1"
            case "CALL" | "SESSION" | "AGENT":
                return str(self.answers[-1][1]["id"])
            case "NUMBER":
                return self.number_id
            case "RECORDING_URL":
                return str(self.answers[-1][1]["recording_url"])
        raise AssertionError(f"the tour exports {name}, which no reader could know")


@pytest.mark.parametrize("curl", [real_curl, like_curl])
async def test_the_tour_works_as_it_is_written(house: Product, curl: Curl, tmp_path: Path) -> None:
    if curl is real_curl and shutil.which("curl") is None:
        pytest.skip("curl is not on this machine")
    await give_up_the_number(house)
    async with registered(house, "alice") as alice:
        visitor = Visitor(house, alice, curl, tmp_path)
        for command in tour():
            await visitor.does(command)
        await alice.quiet(20.0)
    told = {command: answer for command, answer in visitor.answers if answer is not None}
    verdict = next(answer for command, answer in told.items() if "calls:check" in command)
    assert verdict["allowed"] is True, verdict
    ended = next(answer for command, answer in told.items() if "/hangup" in command)
    assert (ended["status"], ended["termination"]["reason"]) == ("completed", "hangup_by_api")
    assert ended["id"] in [
        call["id"] for command, answer in told.items() if "?limit" in command for call in answer
    ]
    wave = read_wav(tmp_path / "call.wav")
    assert wave.channels == 2
    assert active_seconds(wave.channel(0)) + active_seconds(wave.channel(1)) > 0.5


@asynccontextmanager
async def without_quarantine(house: Product) -> AsyncIterator[None]:
    """The second tour twice on one stack: its numbers may be given up at once afterwards."""
    await house.api.ok("PUT", "/v1/proxy/settings", {"terms": {"quarantine": 0}})
    try:
        yield
    finally:
        for session in await house.api.ok("GET", "/v1/proxy/sessions?status=active"):
            await house.api.ok("DELETE", f"/v1/proxy/sessions/{session['id']}")
        for number in await house.api.ok("GET", "/api/v1/numbers"):
            if number["e164"] in PROXIES:
                await given_up(house, f"/v1/proxy/pool/numbers/{number['id']}")
                await given_up(house, f"/api/v1/numbers/{number['id']}")
        await house.api.ok("PUT", "/v1/proxy/settings", {})


async def alice_and_bob_talk(alice: SipPhone, bob: SipPhone, house: Product, session: Json) -> None:
    """Alice dials her proxy number, bob sees his, and bob's redial reaches alice."""
    assert session["proxy_number_a"] != session["proxy_number_b"]
    ways = ((alice, bob, "a", "b"), (bob, alice, "b", "a"))
    for caller, callee, own, other in ways:
        call = caller.call(dialling(house, session[f"proxy_number_{own}"], caller.name))
        rung = await callee.receives(within_s=30.0)
        assert rung.facts.from_user == session[f"proxy_number_{other}"]
        await call.reaches(CallState.ANSWERED, 20.0)
        await call.hang_up(20.0)
        await rung.reaches(CallState.ENDED, 20.0)
    path = f"/v1/proxy/sessions/{session['id']}/interactions"
    async with asyncio.timeout(40):
        while True:
            states = [one["status"] for one in await house.api.ok("GET", path)]
            if states == ["completed", "completed"]:
                break
            await asyncio.sleep(0.05)


def dialling(house: Product, number: str, name: str) -> Dial:
    phone = next(phone for phone in house.stack.plan.phones if phone.name == name)
    who = Credentials(name, phone.password.reveal())
    return Dial(number, house.sip, name, credentials=who)


@pytest.mark.parametrize("curl", [real_curl, like_curl])
async def test_the_masking_tour_works_as_it_is_written(house: Product, curl: Curl, tmp_path: Path) -> None:
    if curl is real_curl and shutil.which("curl") is None:
        pytest.skip("curl is not on this machine")
    session: Json = {}
    told: dict[str, Any] = {}
    async with (
        without_quarantine(house),
        registered(house, "alice") as alice,
        registered(house, "bob") as bob,
    ):
        visitor = Visitor(house, alice, curl, tmp_path)
        visitor.environment |= {"KEY": house.key, "API": f"{house.api.root}/api/v1"}
        for command in tour("Two people who never learn each other's number"):
            told[command] = await visitor.does(command)
            if "party_a" in command:
                session = told[command]
                await alice_and_bob_talk(alice, bob, house, session)
        late = alice.call(dialling(house, session["proxy_number_a"], "alice"))
        await late.reaches(CallState.ENDED, within_s=30.0)
        assert late.ending is not None
        assert late.ending.status == 403
        assert len(bob.incoming) == 1
        await asyncio.gather(alice.quiet(20.0), bob.quiet(20.0))
    of = {
        word: next(a for c, a in told.items() if word in c) for word in ("inbound", "interactions", "DELETE")
    }
    assert (of["inbound"]["action"], of["inbound"]["reason"]) == ("reject", "unknown_caller")
    seen = [(one["from"], one["to"], one["status"]) for one in of["interactions"]]
    assert seen == [("party_b", "party_a", "completed"), ("party_a", "party_b", "completed")]
    assert (of["DELETE"]["id"], of["DELETE"]["status"]) == (session["id"], "closed")


def fell_silent(pcm: bytes) -> bool:
    """Nothing was heard for half a second, after something was."""
    return active_seconds(pcm[-8000:]) == 0.0


async def asks_when_they_are_open(house: Product, alice: SipPhone, folder: Path) -> str:
    """Alice dials the number and asks; what was said then, as the transcript has it."""
    question = (await spoken(house, QUESTION, folder)).pcm
    call = alice.call(dialling(house, OWN, "alice"))
    await call.reaches(CallState.ANSWERED, within_s=30.0)
    call_id = (await newest_call_to_us(house))["id"]
    await call.hears(lambda pcm: active_seconds(pcm) > 1.0, 30.0, "the greeting")
    await call.hears(fell_silent, 30.0, "the greeting ends")
    call.stream.play(question)
    text = ""
    async with asyncio.timeout(60):
        while HOURS not in text:
            await asyncio.sleep(0.2)
            text = str(await house.api.ok("GET", f"/v1/voice/calls/{call_id}/transcript"))
    await call.hang_up()
    return text


@pytest.mark.parametrize("curl", [real_curl, like_curl])
async def test_the_agents_tour_works_as_it_is_written(house: Product, curl: Curl, tmp_path: Path) -> None:
    if curl is real_curl and shutil.which("curl") is None:
        pytest.skip("curl is not on this machine")
    text = ""
    async with registered(house, "alice") as alice:
        visitor = Visitor(house, alice, curl, tmp_path)
        visitor.environment |= {"KEY": house.key, "API": f"{house.api.root}/api/v1"}
        numbers = await house.api.ok("GET", "/api/v1/numbers")
        visitor.number_id = next(str(number["id"]) for number in numbers if number["e164"] == OWN)
        for command in tour("An agent on the line"):
            placed = await visitor.does(command)
            if "PATCH" in command and curl is real_curl:
                text = await asks_when_they_are_open(house, alice, tmp_path)
        rung = await alice.receives(within_s=30.0)
        await rung.hears(lambda pcm: active_seconds(pcm) > 1.0, 30.0, "the receptionist, who calls")
        ended = await house.api.ok("POST", f"/v1/voice/calls/{placed['id']}/hangup")
        assert ended["status"] == "completed"
        await alice.quiet(20.0)
    await route_own_number(house, route={"type": "hold"})
    await house.api.ok("DELETE", f"/api/v1/agents/{visitor.environment['AGENT']}")
    if curl is real_curl:
        assert QUESTION in text
        assert HOURS in text


def test_every_page_that_the_documents_point_to_is_there() -> None:
    root = README.parent
    pages = [
        README,
        *(root / "docs").glob("*.md"),
        root / "CONTRIBUTING.md",
        root / "asterisk-config/README.md",
    ]
    named = [(page, link) for page in pages for link in LINK.findall(page.read_text()) if "://" not in link]
    assert len(named) > 10
    broken = [
        (str(page), link) for page, link in named if not (page.parent / link.partition("#")[0]).exists()
    ]
    assert broken == []


async def give_up_the_number(house: Product) -> None:
    """The tour begins with a number that the reader does not own yet."""
    for number in await house.api.ok("GET", "/api/v1/numbers"):
        if number["e164"] != OWN:
            continue
        url = f"{house.api.root}/api/v1/numbers/{number['id']}"
        async with (
            aiohttp.ClientSession(headers={"X-API-Key": house.key}) as http,
            http.delete(url) as response,
        ):
            assert response.status == 204


async def test_every_party_tells_the_same_story(
    house: Product, listener: WebhookListener, tmp_path: Path
) -> None:
    async with registered(house, "alice") as alice:
        call_id = await house.api.place(
            "phone:alice",
            record=True,
            webhook_url=listener.url(),
            metadata={"order": "17"},
            announcement="Good morning. Your parcel is on its way and will arrive today before noon. " * 4,
        )
        phone = await alice.receives(within_s=30.0)
        assert phone.facts.from_user == OWN
        await phone.hears(lambda pcm: active_seconds(pcm) > 1.0, 30.0, "the announcement")
        await house.api.ok("POST", f"/v1/voice/calls/{call_id}/hangup")
        await phone.reaches(CallState.ENDED, 20.0)
    wave = await recording_of(house, call_id, tmp_path)
    assert wave.channels == 2
    call, events = await house.api.call(call_id), await house.api.events(call_id)
    at = {event["type"]: datetime.fromisoformat(event["at"]).timestamp() for event in events}
    taped_s = at["call.completed"] - at["recording.started"]
    assert abs(wave.duration_ms / 1000 - taped_s) < 1.5
    story = ("completed", {"result": "success", "reason": "hangup_by_api"}, "api")
    assert (call["status"], call["termination"], call["ended_by"]) == story
    assert call["metadata"] == {"order": "17"}
    assert [event["type"] for event in events] == [
        "call.initiated",
        "call.ringing",
        "call.answered",
        "recording.started",
        "call.completed",
        "recording.ready",
    ]
    await webhooks_agree(listener, call, events)
    assert cdr_of(house, call_id) == (call["status"], call["termination"], call["duration_seconds"])
    [line] = [
        line
        for line in log_lines(house)
        if line.get("call_id") == call_id and line["event"] == "call.completed"
    ]
    assert line["termination"] == "success/hangup_by_api"
    assert OWN not in (house.var / "log" / "gateway.log").read_text()


async def webhooks_agree(listener: WebhookListener, call: Json, events: list[Json]) -> None:
    """One signed delivery for each event, in the same words."""
    for one in events:
        told = (call["id"], one["sequence"])
        await listener.waits_for(
            lambda d, told=told: (d.event["data"].get("id"), d.event["sequence"]) == told, 40.0, one["type"]
        )
    about = {d.webhook_id: d for d in listener.deliveries if d.event["data"].get("id") == call["id"]}
    sent = sorted(about.values(), key=lambda d: int(d.event["sequence"]))
    assert [fault for delivery in sent for fault in delivery.faults] == []
    assert [(d.event["sequence"], d.event["type"]) for d in sent] == [
        (e["sequence"], e["type"]) for e in events
    ]
    final = next(d.event["data"] for d in sent if d.event["type"] == "call.completed")
    for name in SAME:
        assert final[name] == call[name], name


def cdr_of(house: Product, call_id: str) -> tuple[str, Json, int]:
    """Status, termination and length, as the one call detail record has them."""
    with sqlite3.connect(house.var / "patchbay.db") as database:
        [(body,)] = database.execute("SELECT body FROM cdrs WHERE call_id = ?", (call_id,)).fetchall()
    known = json.loads(body)["call"]
    return known["status"], known["termination"], known["duration_seconds"]
