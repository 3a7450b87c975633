"""The switch's own call records, as Asterisk writes them and as a full disk or a crash leaves them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialplan.ports import Ending
from gateway import switch_records
from gateway.switch_records import SwitchRecords, endings
from telephony.ids import ChannelId

pytestmark = pytest.mark.unit

A, B = ChannelId("leg_01ARZ3NDEKTSV4RRFFQ69G5FAV"), ChannelId("patchbay-1795223584.11")
START, ANSWER, END = "1795223580.878691", "1795223580.982036", "1795223581.982596"


def row(channel: str = A, answer: str = ANSWER, end: str = END, disposition: str = "ANSWERED") -> str:
    return f'"{channel}","{channel}","{START}","{answer}","{end}","1","1","{disposition}"'


@pytest.mark.parametrize(
    ("line", "ending"),
    [
        (row(), Ending(A, float(ANSWER), float(END), 16)),
        (row(answer="0.000000", disposition="BUSY"), Ending(A, None, float(END), 17, joined=False)),
        (row(answer="0.000000", disposition="NO ANSWER"), Ending(A, None, float(END), 19, joined=False)),
        (
            row(answer="0.000000", disposition="CANCEL"),
            Ending(A, None, float(END), 16, joined=False, left=True),
        ),
        (row(answer="0.000000", disposition="CONGESTION"), Ending(A, None, float(END), 34, joined=False)),
        (row(answer="0.000000", disposition="FAILED"), Ending(A, None, float(END), 38, joined=False)),
        (row(answer="0.000000", disposition="SOMETHING"), Ending(A, None, float(END), None, joined=False)),
        (row(end="0.000000", answer="", disposition="BUSY"), Ending(A, None, None, 17, joined=False)),
        (row(end="nan", answer="inf"), Ending(A, None, None, 16)),
        (row() + ',"ses_1/0/1"', Ending(A, float(ANSWER), float(END), 16)),
        (row() + ',"","PJSIP/carrier-1"', Ending(A, float(ANSWER), float(END), 16)),
        (row() + ',"",""', Ending(A, float(ANSWER), float(END), 16, dialled=False)),
        (row() + ',"sorry",""', Ending(A, float(ANSWER), float(END), 41, dialled=False)),
    ],
)
def test_a_record_tells_of_an_end(line: str, ending: Ending) -> None:
    assert endings([line], {A}) == {A: ending}


def test_a_caller_with_several_records_answered_once_is_answered() -> None:
    busy = row(answer="0.000000", end="1795223581.1", disposition="BUSY")
    hold = row(answer="1795223581.2", end="1795223581.3")
    later = row(answer="1795223581.4", end="1795223581.5", disposition="CANCEL")
    found = endings([busy, hold, later], {A})[A]
    assert found == Ending(A, 1795223581.2, 1795223581.5, 16)
    assert endings([hold, busy], {A})[A].answered_at == 1795223581.2


# What a real switch wrote of callers who had been answered to type digits, then of callers who had not.
AFTER = [row(disposition="ANSWERED"), row(answer="0.000000", disposition="NO ANSWER")]
DURING = [
    lambda disposition: row(disposition=disposition) + ',"","PJSIP/carrier-1",""',
    lambda disposition: row(answer="0.000000", disposition=disposition) + ',"","PJSIP/carrier-1",""',
]


@pytest.mark.parametrize("digits", [True, False], ids=["after-digits", "plain"])
@pytest.mark.parametrize(
    ("disposition", "told", "cause"),
    [
        ("BUSY", "17", 17),
        ("CANCEL", "25", 23),
        ("NO ANSWER", "1", 1),
        ("NO ANSWER", "19", 19),
        ("BUSY", "", 17),
    ],
    ids=["busy", "redirected", "unallocated", "no-answer", "not-told"],
)
def test_who_was_dialled_did_not_answer_and_the_caller_was_told_why(
    digits: bool, disposition: str, told: str, cause: int
) -> None:
    during, after = DURING[not digits](disposition), f'{AFTER[not digits]},"","","{told}"'
    answered = float(ANSWER) if digits else None
    assert endings([during, after], {A})[A] == Ending(A, answered, float(END), cause, joined=False)


@pytest.mark.parametrize("during", DURING)
def test_a_caller_who_left_while_somebody_rang_has_no_second_record(during: Callable[[str], str]) -> None:
    found = endings([during("CANCEL")], {A})[A]
    assert (found.joined, found.left, found.cause) == (False, True, 16)


def test_a_phone_that_is_not_there_is_dialled_by_nobody() -> None:
    found = endings([row() + ',"","","20"'], {A})[A]
    assert (found.joined, found.dialled, found.cause) == (False, False, 20)


def test_who_was_joined_stays_joined_whatever_the_dialplan_did_next() -> None:
    found = endings([DURING[0]("ANSWERED"), f'{AFTER[0]},"","",""'], {A})[A]
    assert found == Ending(A, float(ANSWER), float(END), 16)


def test_only_what_was_asked_for() -> None:
    assert set(endings([row(), row(B), row("other-1")], {B})) == {B}
    assert endings([], {A}) == {}


@pytest.mark.parametrize(
    "torn",
    [
        "",
        '"',
        f'"{A}"',
        row()[:30],
        f'{row()},"9"',
        f'"{A}","{A}","x","y","z","1","1"',
        "\x00" * 40,
        "garbage, and more",
        "x" * 200_000,
        f'"{A}","' + "y" * 200_000,
    ],
)
def test_a_torn_line_hides_no_other(torn: str) -> None:
    assert endings([torn, row(), torn], {A}) == {A: Ending(A, float(ANSWER), float(END), 16)}


@given(st.lists(st.one_of(st.text(max_size=60), st.just(row()))))
def test_no_line_breaks_the_reading(lines: list[str]) -> None:
    assert set(endings(lines, {A})) <= {A}


async def test_the_file_is_read_when_asked(tmp_path: Path) -> None:
    path = tmp_path / "Patchbay.csv"
    records = SwitchRecords(path)
    assert await records.of([A]) == {}
    path.write_text(f"{row(answer='0.000000', disposition='BUSY')}\n")
    assert (await records.of([A]))[A].cause == 17
    with path.open("a") as file:
        file.write(f"{row(B)}\n")
    assert set(await records.of([A, B])) == {A, B}
    assert await records.of([]) == {}
    assert await SwitchRecords(None).of([A]) == {}


async def test_only_the_end_of_a_long_file_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "Patchbay.csv"
    path.write_text("".join(f"{row(f'old-{n}')}\n" for n in range(1000)) + f"{row()}\n")
    monkeypatch.setattr(switch_records, "_TAIL_BYTES", 1000)
    old = [ChannelId(f"old-{n}") for n in range(1000)]
    found = await SwitchRecords(path).of([A, *old])
    assert A in found
    assert 2 < len(found) < 12
    assert "old-0" not in found


async def test_bytes_that_are_no_text_hide_no_record(tmp_path: Path) -> None:
    path = tmp_path / "Patchbay.csv"
    path.write_bytes(b"\xff\xfe\x00\n" + f"{row()}\n".encode() + b"\x80")
    assert set(await SwitchRecords(path).of([A])) == {A}


async def test_a_folder_in_its_place_knows_nothing(tmp_path: Path) -> None:
    assert await SwitchRecords(tmp_path).of([A]) == {}
