"""The gateway as a process: told to end, it finishes what it holds and ends well."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from gateway.runtime.ports import free_ports
from gateway.stack import answers
from tests.rig.fake_ami import FakeAmi

pytestmark = [pytest.mark.contract, pytest.mark.timeout(240)]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
async def test_a_signal_ends_the_gateway_in_order(tmp_path: Path, number: signal.Signals) -> None:
    api, agi, media = free_ports(3)
    async with FakeAmi() as ami:
        environment = {
            **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
            "PATCHBAY_VAR_DIR": str(tmp_path),
            "PATCHBAY_API_PORT": str(api),
            "PATCHBAY_AGI_PORT": str(agi),
            "PATCHBAY_MEDIA_PORT": str(media),
            "PATCHBAY_AMI_HOST": "127.0.0.1",
            "PATCHBAY_AMI_PORT": str(ami.port),
            "PATCHBAY_LOG_LEVEL": "info",
            **{f"PATCHBAY_AMI_{role}_SECRET": ami.secret for role in ("CONTROL", "RECORDING", "EVENTS")},
        }
        gateway = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "gateway", env=environment, stdout=asyncio.subprocess.PIPE
        )
        try:
            async with asyncio.timeout(90):
                await answers(f"http://127.0.0.1:{api}/readyz")
            gateway.send_signal(number)
            async with asyncio.timeout(60):
                told, _ = await gateway.communicate()
        finally:
            if gateway.returncode is None:
                gateway.kill()
                await gateway.wait()
    assert gateway.returncode == 0, told.decode()
    assert b'"error"' not in told
    assert "patchbay.db-wal" not in os.listdir(tmp_path), "the database was not closed"
