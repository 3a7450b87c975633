"""A switch with trunks of every kind, and their far ends, for tests of signalling: no gateway is needed.

A call that comes in over one trunk goes out over the trunk whose name was dialled.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from gateway.runtime.plan import SwitchPlan, Trunk
from gateway.runtime.switch import EmbeddedSwitch
from gateway.trial.sip_behaviour import answers
from gateway.trial.sip_outgoing import Dial, OutgoingCall
from gateway.trial.sip_phone import SipPhone
from gateway.trial.sip_wire import TlsFiles, wire_of
from tests.rig.switch import running_switch
from tests.rig.world import static_templates

ACROSS = """\
[from-trunk]
exten => _[a-z]!,1,Dial(PJSIP/+15550001000@${EXTEN},20)
 same => n,Hangup(${HANGUPCAUSE})
exten => _+X!,1,Goto(udp,1)
[from-phone]
"""
CALLER = "+15550002000"


@dataclass(frozen=True, slots=True)
class World:
    """The switch and the far end of each trunk, by the trunk's name."""

    switch: EmbeddedSwitch
    far: dict[str, SipPhone]

    def dial(self, by: str, over: str, **how: object) -> OutgoingCall:
        """Trunk ``by`` calls in, and the call goes out over trunk ``over``."""
        to = (self.switch.address.sip_host, self.port_for(by))
        return self.far[by].call(Dial(over, to, CALLER, **how))  # type: ignore[arg-type]

    def port_for(self, trunk: str) -> int:
        """The switch's port for what this trunk speaks."""
        tls = self.far[trunk].transport.wire.kind == "tls"
        return self.switch.spec.plan.sip.tls_port if tls else self.switch.address.sip_port


@asynccontextmanager
async def world(
    folder: Path, plan: SwitchPlan, files: dict[str, TlsFiles] | None = None
) -> AsyncIterator[World]:
    """Everything up: a far end listens where each trunk of the plan is, and answers."""
    async with AsyncExitStack() as exits:
        far = {}
        for trunk in plan.trunks:
            wire = wire_of(trunk.transport, (files or {}).get(trunk.name))
            phone = await SipPhone.open(
                trunk.host, trunk.port, decide=lambda _: answers(), name=trunk.name, wire=wire
            )
            far[trunk.name] = await exits.enter_async_context(phone)
        templates = static_templates(folder, ACROSS)
        yield World(await exits.enter_async_context(running_switch(folder, plan, templates=templates)), far)


def trunk(name: str, host: str, port: int, **more: object) -> Trunk:
    """A trunk that is known by its address."""
    return Trunk(name, host, port, identify=(host,), **more)  # type: ignore[arg-type]
