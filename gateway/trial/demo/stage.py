"""What the stories play on: the running stack, its API, a webhook listener, simulated phones."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from gateway.runtime.ports import free_port, free_udp_range
from gateway.stack import Stack
from gateway.trial.listener import Delivery, WebhookListener
from gateway.trial.sipp import Sipp, SippRun
from gateway.trial.sipp_scenario import Called, Ring, called, with_stream
from gateway.trial.softphone import Softphone, SoftphoneAccount

Json = dict[str, Any]
CARRIER_IP = "127.0.0.2"
OWN_NUMBER = "+12025550100"
FINAL = ("completed", "failed", "busy", "no_answer", "cancelled")


class StoryBroken(Exception):
    """The API answered so that the story cannot go on."""


class StorySkipped(Exception):
    """What the story is about cannot be had on this machine; the text says what is missing."""


@dataclass(slots=True)
class Stage:
    """One demonstration's collaborators. ``say`` prints a line of the timeline."""

    stack: Stack
    http: aiohttp.ClientSession
    root: str
    listener: WebhookListener
    folder: Path
    carrier_port: int
    say: Callable[[str], None]

    async def ask(self, method: str, path: str, body: object = None) -> tuple[int, Json]:
        """One request to the API: status and parsed answer."""
        async with self.http.request(method, self.root + path, json=body) as response:
            return response.status, await response.json()

    async def ok(self, method: str, path: str, body: object = None) -> Any:
        """The ``data`` of a request that must succeed. Raises StoryBroken."""
        status, answer = await self.ask(method, path, body)
        if status >= 300:
            raise StoryBroken(f"{method} {path} answered {status}: {answer.get('error')}")
        return answer["data"]

    async def place(self, to: str, **fields: object) -> str:
        """Post a call from the demonstration's number, with the listener as its webhook."""
        body = {"to": to, "from": OWN_NUMBER, "webhook_url": self.listener.url(), **fields}
        placed = await self.ok("POST", "/v1/voice/calls", body)
        self.say(f"POST /v1/voice/calls to {to}: {placed['id']} is {placed['status']}")
        return str(placed["id"])

    async def call(self, call_id: str) -> Json:
        return dict(await self.ok("GET", f"/v1/voice/calls/{call_id}"))

    async def until(self, call_id: str, *statuses: str, within_s: float = 30.0) -> Json:
        """Follow a call, telling each status, until it has one of these or is over. Raises StoryBroken."""
        told = ""
        try:
            async with asyncio.timeout(within_s):
                while True:
                    call = await self.call(call_id)
                    if call["status"] != told:
                        told = call["status"]
                        self.say(f"the call is {told}")
                    if told in statuses or told in FINAL:
                        return call
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise StoryBroken(f"the call stayed {told} for {within_s:g} s") from None

    async def webhooks(self, call_id: str, last: str, within_s: float = 30.0) -> list[Delivery]:
        """The deliveries about a call, once the one of type ``last`` has come; in order of sequence."""

        def about(delivery: Delivery) -> bool:
            return bool(delivery.event.get("data", {}).get("id") == call_id)

        wanted = f"webhook {last}"
        await self.listener.waits_for(lambda d: about(d) and d.event["type"] == last, within_s, wanted)
        found = {d.webhook_id: d for d in self.listener.deliveries if about(d)}
        return sorted(found.values(), key=lambda d: int(d.event["sequence"]))

    async def softphone(self, name: str, say: bytes, *, lifetime_s: float = 90.0) -> Softphone:
        """A pyVoIP softphone, registered at the switch as one of the plan's phones."""
        assert self.stack.switch is not None, "the demonstration runs its own switch"
        phone = next(phone for phone in self.stack.plan.phones if phone.name == name)
        address = self.stack.switch.address
        account = SoftphoneAccount(
            user=name,
            password=phone.password.reveal(),
            server=(address.sip_host, address.sip_port),
            host="127.0.0.1",
            port=free_port(),
            rtp_ports=free_udp_range(20, above=self.stack.settings.rtp_port_max),
            lifetime_s=lifetime_s,
        )
        return await Softphone.start(account, self.folder / name, say=say)

    async def sipp_carrier(self, ulaw: bytes) -> Sipp:
        """SIPp as the carrier: rings, answers, plays this µ-law sound."""
        assert self.stack.tools is not None, "the stack has been started"
        sound = self.folder / "carrier.ulaw"
        sound.write_bytes(ulaw)
        how = Called(final=200, ring=Ring.RINGING, ring_after_ms=50, final_after_ms=700)
        run = SippRun(
            scenario=called("carrier", with_stream(how, str(sound))),
            local=(CARRIER_IP, self.carrier_port),
            rtp_ports=free_udp_range(40, CARRIER_IP),
        )
        folder = self.folder / "sipp"
        folder.mkdir(exist_ok=True)
        return await Sipp.start(self.stack.tools.command("sipp"), run, folder)
