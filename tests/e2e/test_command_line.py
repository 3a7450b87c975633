"""The command line against the running product: calls, what happens, prompts, and clear errors."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway.stack import to_environment
from gateway.trial.audio import Wave, active_seconds, has_tone, tone, write_wav
from gateway.trial.sip_behaviour import rejects
from tests.e2e.visitor import registered
from tests.rig.product import OWN, Product

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str


def environment(house: Product, **more: str) -> dict[str, str]:
    """What the product's owner has in the shell: the settings of the installation."""
    return {"PATH": os.environ["PATH"], **to_environment(house.stack.settings), **more}


async def start(env: Mapping[str, str], *words: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway.cli", *words),
        cwd=ROOT,
        env=dict(env),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def patchbay(env: Mapping[str, str], *words: str) -> Ran:
    process = await start(env, *words)
    out, err = await asyncio.wait_for(process.communicate(), 120)
    return Ran(process.returncode or 0, out.decode(), err.decode())


async def test_a_call_is_placed_followed_listed_and_shown(house: Product) -> None:
    env = environment(house)
    async with registered(house, "bob") as bob:
        words = ("--from", OWN, "--announce", "Your table is ready.", "--record", "--follow")
        placed = await patchbay(env, "call", "place", "phone:bob", *words)
        phone = await bob.receives()
    assert placed.code == 0, placed
    assert active_seconds(phone.stream.heard()) > 0.5
    call_id = placed.out.split()[0]
    for event in ("call.initiated", "call.ringing", "call.answered", "call.completed", "recording.ready"):
        assert placed.out.count(f"  {event}") == 1, placed.out
    assert "reason=success/announcement_finished" in placed.out
    assert "signature=" in placed.out.splitlines()[-1]
    listed = await patchbay(env, "call", "list", "--limit", "5")
    assert call_id in listed.out.splitlines()[0]
    shown = await patchbay(env, "call", "show", call_id)
    assert "call.answered" in shown.out
    assert OWN in shown.out
    story = json.loads((await patchbay(env, "call", "show", call_id, "--json")).out)
    assert (story["id"], story["events"][0]["type"]) == (call_id, "call.initiated")


async def test_a_call_that_nobody_takes_gives_an_exit_code(house: Product) -> None:
    async with registered(house, "bob", lambda _: rejects(486)):
        placed = await patchbay(environment(house), "call", "place", "phone:bob", "--from", OWN, "--follow")
    assert placed.code == 1
    assert "call.busy" in placed.out


async def test_a_phone_that_is_not_registered_is_told_as_one(house: Product) -> None:
    placed = await patchbay(environment(house), "call", "place", "phone:bob", "--from", OWN, "--follow")
    assert placed.code == 1
    assert "reason=far_end/phone_not_registered" in placed.out


async def test_a_live_call_is_ended(house: Product) -> None:
    call_id = await house.api.place("+14155558000")
    await house.api.status(call_id, "in_progress")
    ended = await patchbay(environment(house), "call", "hangup", call_id)
    assert ended.out.startswith(f"{call_id} is completed")
    assert (await house.api.call(call_id))["ended_by"] == "api"


async def test_tail_tells_each_event_as_it_happens_with_masked_numbers(house: Product) -> None:
    process = await start(environment(house), "tail")
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        async with asyncio.timeout(90):
            assert b"following" in await process.stderr.readline()
            call_id = await house.api.place("+14155551486")
            lines: list[str] = []
            while not lines or "call.busy" not in lines[-1]:
                lines.append((await process.stdout.readline()).decode())
    finally:
        process.terminate()
        await process.wait()
    ours = [line for line in lines if call_id in line]
    assert [line.split("  ")[3].strip() for line in ours] == ["call.initiated", "call.ringing", "call.busy"]
    assert "sip=486" in ours[-1]
    assert OWN not in "".join(lines)
    assert "+14155551486" not in "".join(lines)


async def test_a_prompt_of_ones_own_is_played(house: Product, tmp_path: Path) -> None:
    write_wav(tmp_path / "chime.wav", Wave(tone(900.0, 2.0, rate=16000), 16000))
    env = environment(house)
    added = await patchbay(env, "prompts", "add", "chime", str(tmp_path / "chime.wav"))
    assert added.code == 0, added
    async with registered(house, "bob") as bob:
        placed = await patchbay(
            env, "call", "place", "phone:bob", "--from", OWN, "--announce", "prompt:chime"
        )
        phone = await bob.receives(within_s=30.0)
        await phone.hears(lambda pcm: has_tone(pcm, 900.0), 30.0, "the chime")
    assert placed.code == 0
    missing = await patchbay(env, "call", "place", "phone:bob", "--from", OWN, "--announce", "prompt:nothing")
    assert (missing.code, "announcement.prompt" in missing.err) == (1, True)


async def test_a_session_is_opened_listed_shown_and_closed(house: Product) -> None:
    env, proxies, person = environment(house), ("+12025550181", "+12025550182"), "+14155550123"
    for number in proxies:  # reserved: no other test's session takes them
        await house.api.ok("POST", "/api/v1/numbers", {"e164": number})
        added = await patchbay(env, "pool", "add", number, "--reserved")
        assert (added.code, added.out.split()) == (0, [number, "pairs", "voice", "–", "reserved"]), added
    wishes = [f"--set=proxy_number_{side}={number}" for side, number in zip("ab", proxies, strict=True)]
    opened = await patchbay(
        env, "session", "open", person, "phone:bob", *wishes, "--set", "channels=voice", "--set", "ttl=3600"
    )
    assert opened.code == 0, opened
    assert f"party a     +141••••••23  dials {proxies[0]}" in opened.out
    assert f"party b     phone:bob  dials {proxies[1]}" in opened.out
    session_id = opened.out.split()[0]
    assert session_id in (await patchbay(env, "session", "list", "--status", "active")).out
    story = json.loads((await patchbay(env, "session", "show", session_id, "--json")).out)
    assert (story["party_a"], story["terms"]["ttl"]) == ("+141••••••23", 3600)
    assert person in (await patchbay(env, "session", "show", session_id, "--reveal")).out
    assert "nobody has called" in (await patchbay(env, "session", "interactions", session_id)).out
    closed = await patchbay(env, "session", "close", session_id)
    assert closed.out.strip() == f"{session_id} is closed (api)"
    kept = await patchbay(env, "pool", "remove", proxies[0])
    assert (kept.code, "sessions hold this number" in kept.err) == (1, True)
    rows = [line.split() for line in (await patchbay(env, "pool", "show")).out.splitlines()]
    assert [proxies[0], "pairs", "0", "1", "voice", "–", "reserved"] in rows


async def test_a_forecast_tells_by_its_exit_code_whether_numbers_are_missing(house: Product) -> None:
    env, number = environment(house), "+12025550183"
    await house.api.ok("POST", "/api/v1/numbers", {"e164": number})
    added = await patchbay(env, "pool", "add", number, "--use", "anyone", "--reserved")
    assert added.code == 0, added
    body = {"model": "anyone", "party_a": "phone:bob", "proxy_number": number, "channels": ["voice"]}
    await house.api.ok("POST", "/v1/proxy/sessions", body)
    short = await patchbay(env, "pool", "forecast")
    assert (short.code, "now" in short.out) == (1, True), short
    enough = await patchbay(env, "pool", "forecast", "--extra-numbers", "5")
    assert enough.code == 0, enough


async def test_what_is_wrong_is_said_in_one_line(house: Product, free_port: int, tmp_path: Path) -> None:
    env = environment(house)
    tries = {
        "does not accept the key from --key": (env, ("call", "list", "--key", "pb_live_sk_wrong")),
        "does not accept the key from PATCHBAY_API_KEY": (
            {**env, "PATCHBAY_API_KEY": "pb_live_sk_wrong"},
            ("tail",),
        ),
        "does not answer: is it up?": ({**env, "PATCHBAY_API_PORT": str(free_port)}, ("call", "list")),
        "there is no key": ({**env, "PATCHBAY_VAR_DIR": str(tmp_path)}, ("call", "list")),
        "there is no such call": (env, ("call", "hangup", "call_unknown")),
        "there is no such session": (env, ("session", "close", "ses_unknown")),
        "The pool has no number of this use": (
            env,
            ("session", "open", "phone:bob", "--model", "extension", "--set", "channels=voice"),
        ),
        "+120••••••99 is not in the pool": (env, ("pool", "remove", "+12025550199")),
        "to: emergency numbers": (env, ("call", "place", "911", "--from", OWN)),
    }
    for says, (variables, words) in tries.items():
        ran = await patchbay(variables, *words)
        assert ran.code == 1, ran
        assert says in ran.err
        assert len(ran.err.strip().splitlines()) == 1, ran.err
