"""The calls that golden traces are made of. Every number is fictitious (+1 415 555 01xx, +1 202 555 01xx)."""

from __future__ import annotations

from dataclasses import dataclass

from dialplan.core.call import Announcement, Connect, Endpoint, HoldMusic, Phone, Trunk
from gateway.trial.sip_behaviour import Behaviour, Decide, answers, by_ending, rejects, rings
from telephony.numbers import E164

CLI = E164("+12025550100")
CALLER = "+14155550190"
SOUND = "trace-tone"

WORLD: dict[str, Behaviour] = {
    "0101": answers(after_ms=200, hang_up_after_ms=2_500),
    "0102": answers(after_ms=100),
    "0103": answers(after_ms=100, hang_up_after_ms=500),
    "0104": answers(after_ms=400, ring_after_ms=20, early_media=True, hang_up_after_ms=1_500),
    "0110": rejects(486, ring_after_ms=20, after_ms=120),
    "0111": rejects(603, ring_after_ms=20, after_ms=120),
    "0112": rings(),
    "0113": rejects(480, ring_after_ms=20, after_ms=300),
    "0114": rejects(404),
    "0115": rejects(503),
    "0116": rejects(302, ring_after_ms=20, after_ms=1_000),  # at once, nobody would hear that it rang
}
"""What the simulated carrier does, by the last digits of the dialled number. Who is rung first hangs up long
after the switch has joined him with what comes then."""


def carrier() -> Decide:
    return by_ending(WORLD, rejects(404))


def to(ending: str) -> E164:
    return E164(f"+1415555{ending}")


def far(ending: str) -> Trunk:
    return Trunk(to(ending), "carrier")


@dataclass(frozen=True, slots=True)
class Scenario:
    """One call and how it must end; ``act`` names what the recorder does to it, and when.

    ``dials`` is the number rung first; None for an inbound call, whose route is ``joins``. ``perhaps`` are
    the facts that the switch tells of in some runs and not in others.
    """

    name: str
    story: str
    joins: Endpoint
    ends: str
    ended_by: str
    dials: E164 | None = None
    act: str = ""
    ring_timeout_s: int = 60
    record: bool = False
    perhaps: frozenset[tuple[str, str]] = frozenset()


HOLD = HoldMusic()
SCENARIOS = (
    Scenario(
        "answered-caller-hangs-up",
        "The person rung first answers, is joined with a second one, and hangs up.",
        far("0102"),
        "completed success/hangup_by_caller",
        "caller",
        to("0101"),
    ),
    Scenario(
        "answered-callee-hangs-up",
        "The person rung first answers and is joined with a second one, who hangs up.",
        far("0103"),
        "completed success/hangup_by_callee",
        "callee",
        to("0102"),
    ),
    Scenario("busy", "Rings, then 486.", HOLD, "busy far_end/busy", "caller", to("0110")),
    Scenario("rejected", "Rings, then 603.", HOLD, "failed far_end/declined", "caller", to("0111")),
    Scenario(
        "no-answer-our-ring-limit",
        "Rings until our limit of two seconds.",
        HOLD,
        "no_answer far_end/ring_timeout",
        "gateway",
        to("0112"),
        ring_timeout_s=2,
    ),
    Scenario(
        "no-answer-far-end",
        "Rings, then 480.",
        HOLD,
        "no_answer far_end/unavailable",
        "caller",
        to("0113"),
    ),
    Scenario(
        "cancelled-while-ringing",
        "Rings, and the API hangs up.",
        HOLD,
        "cancelled cancelled/cancelled_by_api",
        "api",
        to("0112"),
        act="hangup when ringing",
    ),
    Scenario(
        "unallocated-number",
        "404 at once.",
        HOLD,
        "failed client_error/unallocated_number",
        "caller",
        to("0114"),
    ),
    Scenario("congestion", "503 at once.", HOLD, "failed upstream_error/congestion", "caller", to("0115")),
    Scenario(
        "caller-gone-during-dial",
        "An inbound caller gives up while the far end rings.",
        far("0112"),
        "cancelled cancelled/cancelled_by_caller",
        "caller",
        act="caller cancels when ringing",
    ),
    Scenario(
        "callee-busy-on-inbound",
        "An inbound caller is routed to somebody who is busy.",
        far("0110"),
        "busy far_end/busy",
        "callee",
    ),
    Scenario(
        "callee-redirects-on-inbound",
        "An inbound caller is routed to somebody who redirects; the leg is dropped before its cause is set.",
        far("0116"),
        "failed upstream_error/redirected",
        "callee",
        perhaps=frozenset({("end_requested", "callee")}),
    ),
    Scenario(
        "phone-not-registered",
        "An inbound caller is routed to a phone that is not there.",
        Phone("alice"),
        "failed far_end/phone_not_registered",
        "callee",
    ),
    Scenario(
        "inbound-answered",
        "An inbound caller is routed to somebody who answers and hangs up.",
        far("0103"),
        "completed success/hangup_by_callee",
        "callee",
    ),
    Scenario(
        "hung-up-by-api",
        "Two persons talk until the API hangs up.",
        far("0102"),
        "completed success/hangup_by_api",
        "api",
        to("0102"),
        act="hangup when connected",
    ),
    Scenario(
        "connect-busy",
        "The person rung first answers; the second one is busy.",
        far("0110"),
        "completed far_end/connect_busy",
        "callee",
        to("0102"),
    ),
    Scenario(
        "early-media-then-answer",
        "Audio before the answer (183), then an answer, then the far end hangs up.",
        HOLD,
        "completed success/hangup_by_caller",
        "caller",
        to("0104"),
    ),
    Scenario(
        "announcement-finished",
        "An announcement is played to its end.",
        Announcement(SOUND),
        "completed success/announcement_finished",
        "gateway",
        to("0102"),
    ),
    Scenario(
        "recorded-call",
        "Two persons are recorded from their connection on; the second one hangs up.",
        far("0103"),
        "completed success/hangup_by_callee",
        "callee",
        to("0102"),
        record=True,
    ),
    Scenario(
        "switch-restart-in-mid-call",
        "Two persons talk when the switch is killed; it comes back with no channel.",
        far("0102"),
        "completed server_error/switch_restarted",
        "switch",
        to("0102"),
        act="switch dies when connected",
    ),
)


def inbound_route(scenario: Scenario) -> Connect:
    """Where the scenario's inbound call goes."""
    return Connect(scenario.joins, CLI)
