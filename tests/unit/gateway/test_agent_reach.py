"""Where lines to agents may go: by name and by address, and never inside but where that is allowed."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from gateway.agent_reach import GuardedReach
from gateway.webhooks.core.ssrf import Policy
from telephony.errors import InvalidInput, Unavailable

pytestmark = pytest.mark.unit

PUBLIC, OTHER, INSIDE, METADATA = "93.184.215.14", "93.184.215.15", "10.0.0.5", "169.254.169.254"
V6 = "2606:2800:21f:cb07:6820:80da:af6b:8b2c"
GUARDED, OPEN = Policy(), Policy(allow_private=True)
Found = list[tuple[socket.AddressFamily, str]]


class Names:
    """The name server: fits ``Lookup``. ``asked`` lists the names that it was asked for."""

    def __init__(self, *addresses: str, error: OSError | None = None) -> None:
        self.addresses = addresses
        self.error = error
        self.asked: list[str] = []

    def __call__(self, host: str, port: int) -> Found:
        self.asked.append(host)
        if self.error is not None:
            raise self.error
        return [(socket.AF_INET6 if ":" in one else socket.AF_INET, one) for one in self.addresses]


@contextmanager
def reach(names: Names, policy: Policy = GUARDED) -> Iterator[GuardedReach]:
    made = GuardedReach(policy, names)
    try:
        yield made
    finally:
        made.close()


async def test_a_name_leads_to_its_public_addresses_in_order_and_once_each() -> None:
    names = Names(OTHER, V6, PUBLIC, OTHER)
    with reach(names) as found:
        assert await found("wss://agents.example/line?x=1") == [OTHER, V6, PUBLIC]
    assert names.asked == ["agents.example"]


async def test_what_a_name_leads_to_besides_is_left_out() -> None:
    with reach(Names(INSIDE, PUBLIC, "::1", METADATA)) as found:
        assert await found("wss://agents.example/") == [PUBLIC]


@pytest.mark.parametrize(
    "address", [INSIDE, METADATA, "127.0.0.1", "::1", "::ffff:10.0.0.5", "0.0.0.0", "fe80::1"]
)
async def test_a_name_that_leads_inside_alone_is_refused(address: str) -> None:
    with reach(Names(address)) as found, pytest.raises(InvalidInput) as refused:
        await found("wss://agents.example/")
    assert refused.value.field == "url"
    assert address not in str(refused.value), "what the name leads to is ours to know"


@pytest.mark.parametrize(
    "url",
    [
        f"wss://{INSIDE}/",
        "wss://127.0.0.1:8443/",
        "wss://[::1]/",
        "wss://localhost/",
        "ws://agents.example/",
        "https://agents.example/",
        "wss://user:word@agents.example/",
        "wss://",
        "agents.example",
        "",
    ],
)
async def test_an_address_that_is_wrong_by_itself_is_not_looked_up(url: str) -> None:
    names = Names(PUBLIC)
    with reach(names) as found, pytest.raises(InvalidInput) as refused:
        await found(url)
    assert (refused.value.code, refused.value.field) == ("INVALID_AGENT_URL", "url")
    assert names.asked == []


async def test_where_private_networks_are_open_an_agent_may_be_there() -> None:
    with reach(Names(INSIDE), OPEN) as found:
        assert await found("wss://agent.internal/") == [INSIDE]
        assert await found("ws://agent.internal/") == [INSIDE]
    with reach(Names("127.0.0.1"), OPEN) as found:
        assert await found("ws://127.0.0.1:9000/line") == ["127.0.0.1"]


async def test_in_the_clear_nobody_is_reached_outside() -> None:
    with reach(Names(PUBLIC), OPEN) as found, pytest.raises(InvalidInput):
        await found("ws://agents.example/")
    with reach(Names(PUBLIC, INSIDE), OPEN) as found:
        assert await found("ws://agents.example/") == [INSIDE]


@pytest.mark.parametrize("names", [Names(error=OSError("no such name")), Names()], ids=["error", "nothing"])
async def test_a_name_that_nobody_knows_may_be_known_later(names: Names) -> None:
    with reach(names) as found, pytest.raises(Unavailable):
        await found("wss://agents.example/")


async def test_a_name_server_that_does_not_answer_holds_nobody_up() -> None:
    answers = threading.Event()

    def silent(host: str, port: int) -> Found:
        answers.wait(30.0)
        return [(socket.AF_INET, PUBLIC)]

    found = GuardedReach(Policy(), silent, dns_s=0.02)
    try:
        with pytest.raises(Unavailable):
            await found("wss://agents.example/")
    finally:
        answers.set()
        found.close()
