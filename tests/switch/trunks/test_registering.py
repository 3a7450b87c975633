"""Trunks with passwords: the switch registers and takes calls by its registration; it answers challenges."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gateway.config import Secret
from gateway.runtime.plan import Credentials as PlanCredentials
from gateway.runtime.plan import SwitchPlan, Trunk
from gateway.runtime.ports import free_sip_port
from gateway.trial.sip_behaviour import answers
from gateway.trial.sip_call import CallState
from gateway.trial.sip_digest import Credentials
from gateway.trial.sip_door import Door
from gateway.trial.sip_message import user_in
from gateway.trial.sip_outgoing import Dial
from gateway.trial.sip_phone import SipPhone
from tests.rig.switch import running_switch
from tests.rig.trunks import ACROSS, CALLER, trunk
from tests.rig.world import static_templates

pytestmark = pytest.mark.switch

WORD = "a-word-for-the-house"
HOUSE = PlanCredentials("house", Secret(WORD))


@asynccontextmanager
async def registered(folder: Path, *, word: str = WORD) -> AsyncIterator[tuple[SipPhone, SipPhone, Door]]:
    """The carrier that wants passwords, a plain trunk's far end, and the carrier's door."""
    line = Trunk("line", "127.0.0.3", free_sip_port("127.0.0.3"), register=HOUSE, auth=HOUSE)
    plain = trunk("udp", "127.0.0.2", free_sip_port("127.0.0.2"))
    door = Door(Credentials("house", word), token=iter(map(str, range(10_000))).__next__)
    async with (
        await SipPhone.open(line.host, line.port, decide=lambda _: answers(), name="line") as carrier,
        await SipPhone.open(plain.host, plain.port, decide=lambda _: answers(), name="udp") as other,
    ):
        carrier.door = door
        templates = static_templates(folder, ACROSS)
        async with running_switch(folder, SwitchPlan((line, plain)), templates=templates):
            yield carrier, other, door


async def is_registered(carrier: SipPhone, door: Door) -> None:
    await carrier.traces(lambda: bool(door.contact), 30, "the registration")


async def test_calls_in_by_the_registration_and_out_past_a_challenge(tmp_path: Path) -> None:
    async with registered(tmp_path) as (carrier, other, door):
        await is_registered(carrier, door)
        assert user_in(door.contact) == "house"
        assert ";line=" in door.contact
        host, _, port = door.contact.split("@")[1].split(";")[0].partition(":")

        # the carrier calls the contact that was registered, with the number in To, as carriers do
        line = door.contact.partition(";")[2]
        inward = carrier.call(Dial("udp", (host, int(port)), CALLER, uri_parameters=line))
        await inward.reaches(CallState.ANSWERED)
        await inward.hang_up()
        assert len(other.incoming) == 1

        outward = other.call(Dial("line", (host, int(port)), CALLER))
        await outward.reaches(CallState.ANSWERED)
        assert door.challenged == ["REGISTER", "INVITE"]
        await outward.hang_up()


async def test_a_call_from_the_carriers_address_without_the_line_is_a_strangers(tmp_path: Path) -> None:
    async with registered(tmp_path) as (carrier, other, door):
        await is_registered(carrier, door)
        host, _, port = door.contact.split("@")[1].split(";")[0].partition(":")
        forged = carrier.call(Dial("udp", (host, int(port)), CALLER, uri_parameters="line=guessed"))
        await forged.reaches(CallState.ENDED)
        assert forged.responses == [401]
        assert not other.incoming


async def test_a_wrong_word_registers_nothing_and_calls_nobody(tmp_path: Path) -> None:
    async with registered(tmp_path, word="another-word") as (carrier, other, door):
        await carrier.traces(lambda: door.refused > 0, 30, "the refusal")
        assert not door.contact
        sent_by = carrier.transport.trace[0].peer
        call = other.call(Dial("line", sent_by, CALLER))
        await call.reaches(CallState.ENDED)
        assert call.ending is not None
        assert call.ending.status == 403
        assert not carrier.incoming
