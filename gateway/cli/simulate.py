"""``patchbay simulate``: a carrier for texts on this machine, with the faults that are asked for."""

from __future__ import annotations

import asyncio
import random
import signal
import time
from typing import Annotated

import typer

from gateway.trial.carrier_control import Control
from gateway.trial.carrier_faults import parse_faults
from gateway.trial.carrier_sim import CarrierSim, SimSetup

app = typer.Typer(
    no_args_is_help=True, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False
)


@app.callback()
def simulate() -> None:
    """Far ends that are not real."""


@app.command()
def carrier(
    kind: Annotated[str, typer.Option(help="twilio, telnyx, bandwidth, vonage or generic.")] = "generic",
    port: Annotated[int, typer.Option(help="Where it listens on 127.0.0.1; 0 takes a free port.")] = 9_180,
    target: Annotated[
        str, typer.Option(help="The gateway's inbound address. [default: of this NAME at port 8088]")
    ] = "",
    public_target: Annotated[
        str, typer.Option(help="The same address by PATCHBAY_PUBLIC_URL, where that is another.")
    ] = "",
    name: Annotated[str, typer.Option(help="Its name in the carriers file.")] = "sim",
    faults: Annotated[str, typer.Option(help="Such as duplicate=0.2,throttle=0.1,late=1,late_s=5.")] = "",
    seed: Annotated[int | None, typer.Option(help="The same faults and keys again.")] = None,
) -> None:
    """Play a carrier until Ctrl-C: take texts, tell of texts and receipts, misbehave as asked."""
    setup = SimSetup(
        kind=kind,
        target=target or f"http://127.0.0.1:8088/v1/proxy/inbound/{name}",
        public_target=public_target,
        name=name,
        seed=random.randrange(2**31) if seed is None else seed,
        run=int(time.time() * 1000),
        faults=parse_faults(faults),
    )
    asyncio.run(_play(setup, port))


async def _play(setup: SimSetup, port: int) -> None:
    stopped, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    control = Control()
    async with await CarrierSim.start(setup, time.time, port=port, control=control.routes) as sim:
        control.of(sim)
        sim.on_event = _say
        print(
            f"A {setup.kind} carrier listens at {sim.api_base} and calls {setup.target} (seed {setup.seed})."
        )
        print("Put this into the gateway's carriers file:\n")
        print(sim.plan_text())
        print("Send the gateway a text:\n")
        print(f"  curl -H 'Content-Type: application/json' {sim.api_base}/sim/inbound \\")
        print("""    -d '{"from": "+14155552671", "to": "+12025550100", "body": "Hello"}'\n""")
        print("GET /sim/sent, /sim/callbacks; POST /sim/receipt, /sim/faults. Ctrl-C ends this.", flush=True)
        await stopped.wait()


def _say(what: str, message_id: str, outcome: str) -> None:
    print(f"{what:<20} {message_id:<36} {outcome}", flush=True)
