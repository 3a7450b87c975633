"""What every RouteBook, Archive and Endings promises: the stand-ins and what stands in production."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from dialplan.core.call import Connect, HoldMusic
from dialplan.core.routing import Offered, RouteFacts
from dialplan.fakes import FakeArchive, FakeEndings, FixedBook
from dialplan.ports import Archive, Ending, Endings, RouteBook
from gateway.archive import RecordingArchive
from gateway.route_book import NumberRoutes, RouteDefaults
from gateway.storage.records import OwnedNumber
from gateway.switch_records import SwitchRecords
from telephony.ids import ChannelId, TenantId
from telephony.numbers import E164
from tests.unit.dialplan.made_calls import talking

pytestmark = pytest.mark.contract

OURS, DID = TenantId("tnt_1"), E164("+12025550100")
A, B = ChannelId("pb-1.1"), ChannelId("pb-1.2")
TAPE = "call_01ARZ3NDEKTSV4RRFFQ69G5FAV-1"


def offered(number: str) -> Offered:
    return Offered(A, number, "+14155550103", "from-trunk", "carrier")


@pytest.fixture(params=["stand-in", "numbers"])
def book(request: pytest.FixtureRequest) -> RouteBook:
    """One number, of one tenant, that leads to hold music."""
    if request.param == "stand-in":
        return FixedBook({"12025550100": RouteFacts(OURS, Connect(HoldMusic()), DID)})
    routes = NumberRoutes(RouteDefaults("carrier"))
    routes.replace(
        [OwnedNumber("num_1", OURS, DID, datetime(2026, 3, 8, tzinfo=UTC), route={"type": "hold"})]
    )
    return routes


@pytest.mark.parametrize("spelled", ["+12025550100", "12025550100"])
async def test_an_owned_number_leads_to_its_route(book: RouteBook, spelled: str) -> None:
    facts = await book.facts_for(offered(spelled))
    assert (facts.tenant, facts.route) == (OURS, Connect(HoldMusic()))


async def test_nobodys_number_has_no_tenant(book: RouteBook) -> None:
    assert (await book.facts_for(offered("+12025550101"))).tenant is None


@pytest.fixture(params=["stand-in", "files"])
def archives(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Archive, Archive]:
    """One with a second of audio for ``TAPE``, and one with none."""
    if request.param == "stand-in":
        return FakeArchive(), FakeArchive(ok=False)
    full, empty = tmp_path / "full", tmp_path / "empty"
    for folder in (full, empty):
        folder.mkdir()
    (full / f"{TAPE}.raw").write_bytes(b"\x01\x02\x03\x04" * 8000)
    return RecordingArchive(full), RecordingArchive(empty)


async def test_a_recording_is_filed_however_often(archives: tuple[Archive, Archive]) -> None:
    full, _ = archives
    first = await full.file(talking(), TAPE)
    assert first == (
        True,
        (("file", f"{TAPE}.wav"), ("duration_ms", "1000"), ("channels", "2"), ("bytes", "32044")),
    )
    assert await full.file(talking(), TAPE) == first


async def test_no_audio_is_said_so(archives: tuple[Archive, Archive]) -> None:
    _, empty = archives
    assert await empty.file(talking(), TAPE) == (False, (("reason", "no_audio"),))


@pytest.fixture(params=["stand-in", "records"])
def endings(request: pytest.FixtureRequest, tmp_path: Path) -> Endings:
    """Knows that A was answered at 100 s and ended at 110 s, and nothing else."""
    if request.param == "stand-in":
        return FakeEndings(Ending(A, 100.0, 110.0, 16))
    path = tmp_path / "Patchbay.csv"
    path.write_text(f'"{A}","{A}","99.0","100.0","110.0","11","10","ANSWERED"\n')
    return SwitchRecords(path)


async def test_an_ending_is_known_or_not(endings: Endings) -> None:
    assert await endings.of([A, B]) == {A: Ending(A, 100.0, 110.0, 16)}
    assert await endings.of([B]) == {}
    assert await endings.of([]) == {}
