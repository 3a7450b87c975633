"""One switch and two far ends for the tests of what a masked call carries."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import pytest
import pytest_asyncio

from gateway.trial import sdp
from gateway.trial.sip_behaviour import answers
from tests.rig.masked import DIALS_A, A, B, Masked, masked_world, naming_sdp, to_b


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Masked]:
    # with SIP MESSAGE, which is a way across a call that has to be shut
    async with masked_world(tmp_path_factory.mktemp("masked"), texts=True) as world:
        yield world


@pytest.fixture
def world(running: Masked) -> Masked:
    """The same world for every test, with nothing said yet and B at home."""
    for phone in (running.a, running.b):
        phone.transport.trace.clear()
        phone.decide = lambda _: answers()
    running.routes = {DIALS_A: to_b()}
    running.asked.clear()
    return running


@pytest.fixture
def named_media(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both far ends name themselves in every line of their session descriptions."""
    plain: Callable[..., bytes] = sdp.describe
    numbers = {"127.0.0.2": A, "127.0.0.3": B}

    def describe(host: str, *rest: object, **more: object) -> bytes:
        body = plain(host, *rest, **more)
        return naming_sdp(numbers[host], body) if host in numbers else body

    monkeypatch.setattr(sdp, "describe", describe)
