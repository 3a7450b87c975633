"""Every cause of an end with agents of every dialect: the agent is told first, and its last word is heard.

One product, one call a cell, all at once. A cell's last word is a tone that nobody else has, looked for in
what the caller's telephone received; ConversationRelay's is spoken. What a cell can hold differs: who hung up
hears nothing any more, and neither does who was hung up on by force; a caller who was sent on heard the word
before. The agent is told in each of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest
import pytest_asyncio

from gateway.trial.audio import active_seconds
from gateway.trial.sip_call import CallState
from gateway.trial.sip_outgoing import Dial, OutgoingCall
from tests.e2e.visitor import spoken
from tests.rig.last_words import GOODBYE, HELLO, HUMAN, LEAVES, SENDS_ON, Bot, Notice, last_words
from tests.rig.product import Json, Product, running_product
from voice_agents.core.talk import Reason
from voice_agents.wire.openai_session import WHY

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(480)]

CALLER = "+14155550170"
DIALECTS: Final = ("native", "twilio", "conversationrelay", "openai")
RELAY: Final = "conversationrelay"
SILENCE: Final = {0xFF}
MOST_PAUSES: Final = 25
"""Packets of silence inside a last word: half a second, on a machine without time to spare."""
PATIENT: Final = {"PATCHBAY_ROUTE_BUDGET_MS": "4000"}
"""Thirty calls on two cores are what this is about, not how fast the last of them is answered."""


@dataclass(frozen=True, slots=True)
class Cause:
    """``fields``: what the agent needs for it; ``heard``: whether its last word can be; ``may_speak``:
    what it is told; ``ended``: what the call's termination says."""

    reason: Reason
    by: str
    ended: str
    fields: Mapping[str, Any]
    heard: bool = True
    may_speak: bool = True
    how: str = ""


CAUSES: Final[Mapping[str, Cause]] = {
    "api": Cause(Reason.API, "api", "hangup_by_api", {}),
    "max_duration": Cause(Reason.MAX_DURATION, "gateway", "max_duration", {"max_duration": 10}),
    "silence": Cause(Reason.SILENCE, "gateway", "silence", {"silence": {"prompt_s": 1, "times": 0}}),
    "drain": Cause(Reason.DRAIN, "gateway", "gateway_stopping", {}),
    LEAVES: Cause(Reason.AGENT, "agent", "hangup_by_agent", {}, may_speak=False, how="acked"),
    SENDS_ON: Cause(Reason.TRANSFERRED, "agent", "hangup_by_caller", {}, may_speak=False, how="acked"),
    "caller": Cause(
        Reason.CALLER, "caller", "hangup_by_caller", {}, heard=False, may_speak=False, how="caller_gone"
    ),
    "force": Cause(Reason.API, "api", "hangup_by_api", {}, heard=False, may_speak=False, how="forced"),
}


@dataclass(slots=True)
class Cell:
    """One call. ``told`` and ``ended_at`` are on the same clock; ``octets`` are what the caller's telephone
    got, as it came, but for packets of silence; ``pauses``: how many of those were before each packet of
    ``octets``."""

    cause: str
    dialect: str
    number: str
    bot: Bot
    told: Notice | None = None
    ended_at: float = 0.0
    pcm: bytes = b""
    octets: bytes = b""
    pauses: list[int] = field(default_factory=list)
    call_id: str = ""
    call: Json = field(default_factory=dict)
    failure: Exception | None = None


@dataclass(frozen=True, slots=True)
class Matrix:
    """``spoken_s``: how long what ConversationRelay's bots say lasts."""

    cells: Mapping[tuple[str, str], Cell]
    spoken_s: float


def _cells(api: str) -> dict[tuple[str, str], Cell]:
    made = {}
    for place, (cause, dialect) in enumerate((cause, dialect) for cause in CAUSES for dialect in DIALECTS):
        does = cause if cause in (LEAVES, SENDS_ON) else ""
        bot = Bot(dialect, does, 1100.0 + 70 * place, api)
        made[cause, dialect] = Cell(cause, dialect, f"+120255502{place:02d}", bot)
    return made


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def matrix(tmp_path_factory: pytest.TempPathFactory) -> Matrix:
    """All cells, played out; then the gateway is told to stop while four calls go on, and started again."""
    folder = tmp_path_factory.mktemp("endings")
    async with running_product(folder / "var", extra=PATIENT) as house:
        cells = _cells(house.api.root)
        bots = {f"{cause}-{dialect}": cell.bot for (cause, dialect), cell in cells.items()}
        async with last_words(bots):
            await asyncio.gather(*(_registered(house, cell) for cell in cells.values()))
            others_over = asyncio.Event()
            draining = [
                asyncio.create_task(_played(house, cell, others_over))
                for cell in cells.values()
                if cell.cause == "drain"
            ]
            await asyncio.gather(*(_played(house, cell) for cell in cells.values() if cell.cause != "drain"))
            others_over.set()
            assert house.stack.gateway is not None
            await house.stack.gateway.stop()
            await asyncio.gather(*draining)
            await house.stack.gateway.start()
            for cell in cells.values():
                if cell.failure is None:
                    cell.call = await house.api.until(cell.call_id, _accounted_for, 30.0, "accounted for")
        spoken = await _spoken_s(house, folder)
    return Matrix(cells, spoken)


async def _registered(house: Product, cell: Cell) -> None:
    shutdown = {"deadline_ms": 4000 if cell.dialect == "twilio" else 10_000, "summary_ms": 1000}
    usual = {"name": cell.cause, "barge_in": "off", "shutdown": shutdown}
    wanted = {**usual, **cell.bot.fields(), **CAUSES[cell.cause].fields}
    agent = await house.api.ok("POST", "/api/v1/agents", wanted)
    route = {"type": "agent", "agent_id": agent["id"]}
    await house.api.ok("POST", "/api/v1/numbers", {"e164": cell.number, "route": route})


_DOOR: Final = asyncio.Semaphore(4)
"""Not all ring at once: two cores answer only so many within their budget, and say that they are late."""


async def _played(house: Product, cell: Cell, goes_on: asyncio.Event | None = None) -> None:
    """One call to its end; what goes wrong is this cell's."""
    try:
        async with _DOOR:
            phone = house.carrier.call(Dial(cell.number, house.sip, CALLER))
            await phone.reaches(CallState.ANSWERED, within_s=40.0)
        await phone.stream.until(lambda: _sounds(phone), within_s=30.0, what="the greeting begins")
        query = cell.number.replace("+", "%2B")
        cell.call_id = (await house.api.ok("GET", f"/v1/voice/calls?to={query}&limit=1"))[0]["id"]
        if goes_on is not None:
            await goes_on.wait()
        if cell.cause == "api":
            await phone.stream.until(lambda: not _sounds(phone), within_s=30.0, what="the greeting is heard")
        await _ends(house, cell, phone)
        cell.told = await cell.bot.told()
        if cell.cause == SENDS_ON:
            await phone.hang_up()
        await phone.reaches(CallState.ENDED, within_s=40.0)
        cell.ended_at = phone.reached_at[CallState.ENDED]
        cell.pcm = phone.stream.heard()
        _keep(cell, [packet.payload for packet in phone.stream.packets])
    except (AssertionError, TimeoutError) as failure:
        cell.failure = failure


def _keep(cell: Cell, payloads: list[bytes]) -> None:
    sound: list[bytes] = []
    for number, payload in enumerate(payloads):
        if set(payload) != SILENCE:
            cell.pauses.append(number - len(sound))
            sound.append(payload)
    cell.octets = b"".join(sound)


def _pauses(cell: Cell) -> int:
    """Packets of silence between the first and the last of the last word."""
    first, packets = cell.octets.index(cell.bot.last_word) // 160, len(cell.bot.last_word) // 160
    return cell.pauses[first + packets - 1] - cell.pauses[first]


async def _ends(house: Product, cell: Cell, phone: OutgoingCall) -> None:
    """What the world does for this cause; the rest happens by itself."""
    call = f"/v1/voice/calls/{cell.call_id}"
    match cell.cause:
        case "api":
            await house.api.ok("POST", f"{call}/hangup")
        case "force":
            await house.api.ok("POST", f"{call}/hangup?force=true")
        case "caller":
            await phone.hang_up()
        case "transfer" if cell.dialect == RELAY:  # which has no word for it
            await house.api.status(cell.call_id, "in_progress")
            moved = await house.api.ok("POST", f"{call}/agent/transfer", {"to": HUMAN})
            assert moved["outcome"] == "completed", moved


def _accounted_for(call: Json) -> bool:
    return bool(call["ended_at"] and call["agent"] and call["agent"]["ended_at"])


def _sounds(phone: OutgoingCall) -> bool:
    """Whether the newest packet is neither silence nor nothing."""
    return bool(phone.stream.packets) and len(set(phone.stream.packets[-1].payload)) > 2


async def _spoken_s(house: Product, folder: Path) -> float:
    """How long a bot of ConversationRelay is heard, if all of it is."""
    said = [await spoken(house, text, folder) for text in (HELLO, GOODBYE)]
    return sum(active_seconds(wave.pcm, rate=wave.rate) for wave in said)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("cause", CAUSES)
def test_the_agent_is_told_first_and_its_last_word_is_heard(matrix: Matrix, cause: str, dialect: str) -> None:
    cell, wanted = matrix.cells[cause, dialect], CAUSES[cause]
    if cell.failure is not None:
        raise cell.failure
    _was_told(cell, wanted)
    if wanted.heard:
        assert cell.call["agent"]["words_lost_ms"] == 0
        if dialect == RELAY:
            assert active_seconds(cell.pcm) >= matrix.spoken_s - 0.15
        else:
            assert cell.octets.count(cell.bot.last_word) == 1, "to the last octet, and once"
            assert _pauses(cell) <= MOST_PAUSES
    on_record = cell.call["agent"]
    if dialect == "twilio":
        assert cell.bot.rest == [200] * bool(cell.bot.does)
    by = "api" if cause == SENDS_ON and dialect in (RELAY, "twilio") else wanted.by
    how = wanted.how or ("acked" if dialect in ("native", "openai") else "farewell_heard")
    assert (on_record["reason"], on_record["initiated_by"], on_record["how"]) == (wanted.reason, by, how)
    termination = cell.call["termination"]
    assert (cell.call["status"], termination["reason"]) == ("completed", wanted.ended), termination
    assert cell.call["agent_summary"]["text"]


def _was_told(cell: Cell, wanted: Cause) -> None:
    """Before the end, and that is on record."""
    told, on_record = cell.told, cell.call["agent"]
    assert told is not None
    assert told.may_speak is wanted.may_speak
    if cell.dialect != "openai":
        assert told.reason == wanted.reason
    elif told.may_speak:
        assert WHY[wanted.reason] in told.reason
    if cell.cause == "caller":
        assert told.at - cell.ended_at < 5.0, "who cannot be told before is told at once"
        assert on_record["agent_notified_at"]
    elif (
        cell.cause == "force"
    ):  # told, then ended, without a wait between: two ways may take a different time
        assert told.at - cell.ended_at < 5.0
        assert on_record["agent_notified_at"] <= cell.call["ended_at"], "the telling was first"
    else:
        assert told.at < cell.ended_at, "before BYE"
        assert cell.call["created_at"] < on_record["agent_notified_at"] <= cell.call["ended_at"]


def test_nobody_hears_another_agents_last_word(matrix: Matrix) -> None:
    heard = {
        (cell.number, other.number)
        for cell in matrix.cells.values()
        for other in matrix.cells.values()
        if cell is not other and other.dialect != RELAY and other.bot.last_word[:480] in cell.octets
    }
    assert heard == set()
