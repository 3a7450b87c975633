"""SIPp scenarios are well-formed, complete, and cannot be injected into."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from gateway.trial.sip_behaviour import FINALS
from gateway.trial.sip_message import SipSyntaxError
from gateway.trial.sipp import SippFiles, SippRun, arguments, read_counts
from gateway.trial.sipp_scenario import (
    Called,
    Calling,
    Expect,
    Goto,
    Label,
    Ring,
    Scenario,
    called,
    called_by_ending,
    calling,
    render,
)

pytestmark = pytest.mark.unit

ALL = [
    called("answers", Called()),
    called("hangs up", Called(hang_up_after_ms=100, final_after_ms=50)),
    called("waits", Called(final=0)),
    called("early", Called(ring=Ring.EARLY_MEDIA, final_after_ms=100)),
    called("streams", Called(stream="tone.ulaw")),
    *(called(f"{status} {ring.name}", Called(final=status, ring=ring)) for status in FINALS for ring in Ring),
    called_by_ending("many", {"1000": Called(), "0486": Called(final=486)}, Called(final=404)),
    calling("calls", Calling(headers=(("P-Asserted-Identity", "<sip:+15550009999@127.0.0.1>"),))),
    calling("cancels", Calling(cancel_after_ms=100)),
    calling("is refused", Calling(expect=403)),
    calling("streams", Calling(stream="tone.ulaw")),
]


@pytest.mark.parametrize("scenario", ALL, ids=lambda s: s.name)
def test_every_jump_has_its_label(scenario: Scenario) -> None:
    root = ElementTree.fromstring(render(scenario))
    labels = {label.get("id") for label in root.iter("label")}
    jumps = {e.get(key) for e in root for key in ("next", "ontimeout") if e.get(key)}
    assert jumps <= labels
    assert "[[" not in "".join(root.itertext())


@pytest.mark.parametrize("scenario", ALL, ids=lambda s: s.name)
def test_every_message_ends_its_headers(scenario: Scenario) -> None:
    for send in ElementTree.fromstring(render(scenario)).iter("send"):
        text = (send.text or "").strip()
        assert re.match(r"(SIP/2\.0 \d{3} \w+|[A-Z]+ \S+ SIP/2\.0)\n", text)
        assert re.search(r"^Content-Length: (0|\[len\])$", text, re.MULTILINE)


def test_waiting_never_pauses_where_a_cancel_may_come() -> None:
    text = render(called("w", Called(ring_after_ms=100, final_after_ms=100)))
    assert "<pause" not in text
    assert text.count('request="CANCEL"') == 2


def test_an_unknown_label_and_a_double_one_are_refused() -> None:
    with pytest.raises(KeyError):
        render(Scenario("x", (Goto("nowhere"),)))
    with pytest.raises(ValueError, match="twice"):
        render(Scenario("x", (Label("a"), Label("a"), Expect(request="BYE"))))


@pytest.mark.parametrize("table", [{}, {"12": Called(), "345": Called()}, {"ab": Called()}])
def test_endings_must_be_digits_of_one_length(table: dict[str, Called]) -> None:
    with pytest.raises(ValueError, match="endings"):
        called_by_ending("x", table, Called())


@pytest.mark.parametrize("header", [("X-A", "1\r\nX-B: 2"), ("X-A", "]]><x/>"), ("X\nA", "1")])
def test_a_header_cannot_break_out(header: tuple[str, str]) -> None:
    with pytest.raises(SipSyntaxError):
        calling("x", Calling(headers=(header,)))


@pytest.mark.parametrize(
    ("per_second", "rate"), [(10, ["10", "1000"]), (0.5, ["1", "2000"]), (200.4, ["200", "1000"])]
)
def test_rates(per_second: float, rate: list[str]) -> None:
    run = SippRun(
        ALL[0], ("127.0.0.1", 5070), (20000, 20100), remote=("127.0.0.1", 5060), per_second=per_second
    )
    args = arguments(run, SippFiles(Path("x")))
    assert [args[args.index("-r") + 1], args[args.index("-rp") + 1]] == rate


def test_counts_are_read_from_the_last_line() -> None:
    text = "A;TotalCallCreated;Time;\nx;1;0.5;\ny;7;01:02;\n"
    assert read_counts(text) == {"TotalCallCreated": 7}
    assert read_counts("A;B;\n") == {}
