"""``patchbay demo``: the main stories on real servers. Exit 0 only if every one of them held."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import aiohttp
import typer
import uvloop

from gateway.bootstrap import ensure_first_key
from gateway.clocks import SystemClock, new_id, random_bytes
from gateway.config import Settings, current_settings
from gateway.runtime.ports import free_port, free_port_row, free_ports, free_sip_port, free_udp_range
from gateway.stack import Stack, base_url
from gateway.trial.demo.report import Told, report
from gateway.trial.demo.stage import CARRIER_IP, OWN_NUMBER, Stage, StorySkipped
from gateway.trial.demo.stories import STORIES, Story
from gateway.trial.listener import WebhookListener

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
_STORY_DEADLINE_S = 90.0


@app.command()
def demo(
    var: Annotated[Path, typer.Option(help="where everything of the demonstration is kept")] = Path(
        "var/demo"
    ),
    story: Annotated[
        list[str] | None, typer.Option(help="tell only this one, by its name; may be given several times")
    ] = None,
) -> None:
    """Tell the stories, print the timeline, write VAR/report.json."""
    held = uvloop.run(tell(var.absolute(), chosen(story or ())))
    raise typer.Exit(0 if held else 1)


def chosen(names: Sequence[str]) -> list[tuple[str, Story]]:
    """The stories of these names in their usual order; all of them where none is named.

    Raises ``typer.BadParameter`` for a name that no story has.
    """
    known = dict(STORIES)
    for name in names:
        if name not in known:
            raise typer.BadParameter(f"there is no story {name!r}; there are: {', '.join(known)}")
    return [(name, story) for name, story in STORIES if not names or name in names]


async def tell(var: Path, stories_to_tell: Sequence[tuple[str, Story]] = STORIES) -> bool:
    """Set up, tell the stories, write the report, take everything down. Whether all held."""
    clock = SystemClock()
    began = clock.mono()
    say = _printer(lambda: clock.mono() - began)
    await asyncio.to_thread(shutil.rmtree, var, ignore_errors=True)
    settings = demo_settings(current_settings(), var)
    key = await ensure_first_key(settings, clock, new_id("key"), random_bytes(32))
    stack = Stack(settings, say, trunk_port=free_port(CARRIER_IP))
    stories: list[Told] = []
    async with (
        await WebhookListener.start("whsec_" + "A" * 32, time.time) as listener,
        aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=30), headers={"X-API-Key": key.text}
        ) as http,
    ):
        try:
            await stack.start()
            say(f"the stack is up: API {base_url(settings)}, Asterisk and Redis beside it")
            stage = Stage(stack, http, base_url(settings), listener, var, stack.plan.trunks[0].port, say)
            await _set_the_stage(stage)
            for name, story in stories_to_tell:
                stories.append(await _one(stage, name, story))
        finally:
            await stack.stop()
    result = report(stories)
    (var / "report.json").write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n")
    _summary(stories, var)
    return result["held"] is True


async def _set_the_stage(stage: Stage) -> None:
    """Own a number, and let the listener know the secret that signs."""
    await stage.ok("POST", "/api/v1/numbers", {"e164": OWN_NUMBER, "route": {"type": "hold"}})
    secret = await stage.ok("GET", "/api/v1/webhooks/signing-secret")
    stage.listener.secrets = (str(secret["signing_secret"]),)


async def _one(stage: Stage, name: str, story: Story) -> Told:
    told = Told(name)
    loop = asyncio.get_running_loop()
    began = loop.time()
    print(f"\n── {name}")
    try:
        async with asyncio.timeout(_STORY_DEADLINE_S):
            await story(stage, told)
    except StorySkipped as missing:
        told.skipped = str(missing)
        print(f"   skipped: {missing}")
    except Exception as error:  # noqa: BLE001  # why: one broken story must not keep the others from being told
        told.check("the story went to its end", False, f"{type(error).__name__}: {error}")
    told.seconds = loop.time() - began
    for check in told.checks:
        mark = "held  " if check.held else "FAILED"
        print(f"   {mark} {check.name}" + (f" ({check.detail})" if check.detail and not check.held else ""))
    return told


def demo_settings(given: Settings, var: Path) -> Settings:
    """The caller's settings on ports nobody uses, with all state below ``var``."""
    ami, agi, media, api, livekit = tcp = free_ports(5)
    workers = given.room_workers or 1
    room_media = free_port_row(workers, avoid=tcp)
    sip = free_sip_port(avoid={*tcp, *range(room_media, room_media + workers)})
    (livekit_udp,) = free_ports(1, kind=socket.SOCK_DGRAM, avoid=(sip,))
    first, last = free_udp_range(400)
    return replace(
        given,
        var_dir=var,
        recordings_dir=var / "recordings",
        sounds_dir=var / "sounds",
        database_url=f"sqlite:///{var / 'patchbay.db'}",
        trunks_file=None,
        ami_host="",
        ami_logins=None,
        ami_port=ami,
        agi_port=agi,
        media_host="127.0.0.1",
        media_port=media,
        api_host="127.0.0.1",
        api_port=api,
        public_url=f"http://127.0.0.1:{api}",
        sip_host="127.0.0.1",
        sip_port=sip,
        rtp_port_min=first,
        rtp_port_max=last,
        redis_url="",
        room_media_port=room_media,
        livekit_port=livekit,
        livekit_udp_port=livekit_udp,
        webhook_allow_private=True,
    )


def _printer(elapsed: Callable[[], float]) -> Callable[[str], None]:
    def say(line: str) -> None:
        print(f"   {elapsed():7.2f}  {line}", flush=True)

    return say


def _summary(stories: list[Told], var: Path) -> None:
    print()
    for story in stories:
        mark = "skipped" if story.skipped else "held   " if story.held else "FAILED "
        print(f"{mark}  {story.seconds:6.2f} s  {story.name}")
    print(f"report: {var / 'report.json'}")
