"""What a person does with a product: registers a phone, downloads a recording, reads the log."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

from gateway.clocks import SystemClock
from gateway.trial.audio import Wave, read_wav
from gateway.trial.sip_behaviour import Decide
from gateway.trial.sip_digest import Credentials
from gateway.trial.sip_phone import SipPhone
from gateway.wiring_speech import make_speech
from tests.rig.product import OWN, Json, Product


@asynccontextmanager
async def registered(product: Product, name: str, decide: Decide | None = None) -> AsyncIterator[SipPhone]:
    """One of the plan's softphones, registered at the switch; its registration is removed at the end."""
    phone = next(phone for phone in product.stack.plan.phones if phone.name == name)
    who = Credentials(name, phone.password.reveal())
    made = SipPhone.open(name=name) if decide is None else SipPhone.open(name=name, decide=decide)
    async with await made as softphone:
        await softphone.register(product.sip, who, within_s=20.0)
        yield softphone
        await softphone.register(product.sip, who, expires_s=0, within_s=20.0)


async def download(url: str, path: Path, **headers: str) -> tuple[int, bytes]:
    """Status and content of an address, asked for without a key; also written to ``path``."""
    async with aiohttp.ClientSession() as http, http.get(url, headers=headers) as response:
        content = await response.read()
    await asyncio.to_thread(path.write_bytes, content)
    return response.status, content


async def recording_of(product: Product, call_id: str, folder: Path) -> Wave:
    """The call's newest recording, once it is ready, as its signed address gives it."""
    call = await product.api.until(call_id, lambda call: call["recording_url"] is not None, 40.0, "recorded")
    path = folder / f"{call_id}.wav"
    status, _ = await download(call["recording_url"], path)
    assert status == 200
    return read_wav(path)


async def spoken(product: Product, text: str, folder: Path) -> Wave:
    """A text in the product's own voice."""
    assert product.stack.tools is not None
    command = tuple(product.stack.tools.command("espeak-ng"))
    speech = make_speech(command, folder / "speech", SystemClock().epoch)
    try:
        said = await speech.speak(text)
        return await asyncio.to_thread(read_wav, Path(said.path))
    finally:
        await speech.close()


async def route_own_number(product: Product, **change: object) -> None:
    """Change what the product's own number does."""
    listed = await product.api.ok("GET", "/api/v1/numbers")
    known = next(number for number in listed if number["e164"] == OWN)
    await product.api.ok("PATCH", f"/api/v1/numbers/{known['id']}", change)


async def newest_call_to_us(product: Product) -> Json:
    listed = await product.api.ok("GET", f"/v1/voice/calls?to={OWN.replace('+', '%2B')}&limit=1")
    return dict(listed[0])


def log_lines(product: Product) -> list[Json]:
    """The gateway's log, line by line; every line must be JSON. One that is being written is left out."""
    whole = (product.var / "log" / "gateway.log").read_text().rpartition("\n")[0]
    return [json.loads(line) for line in whole.splitlines()]


async def given_up(house: Product, path: str) -> None:
    """Deleted, once the session's doors are."""
    url = f"{house.api.root}{path}"
    async with asyncio.timeout(60), aiohttp.ClientSession(headers={"X-API-Key": house.key}) as http:
        while True:
            async with http.delete(url) as response:
                if response.status in (204, 404):
                    return
            await asyncio.sleep(0.1)
