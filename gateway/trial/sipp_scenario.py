"""SIPp scenarios from typed parts: what to send, what to expect, where to go on. Pure: values in, XML out.

A waiting far end is written as "expect CANCEL, and when none comes in time go on", never as a pause:
SIPp answers a CANCEL that it did not expect without the 487 that RFC 3261 demands.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from xml.sax.saxutils import quoteattr

from gateway.trial.sip_message import SipSyntaxError

_WAIT_FOR_EVER_MS = 600_000
_TAG = "[pid]t[call_number]"
_INVITE_BRANCH = "z9hG4bK-[pid]-[call_number]-invite"
_CONTACT = "Contact: <sip:far@[local_ip]:[local_port]>"
_SDP = """v=0
o=- 1 1 IN IP4 [media_ip]
s=-
c=IN IP4 [media_ip]
t=0 0
m=audio [{port}] RTP/AVP 0
a=rtpmap:0 PCMU/8000
a=ptime:20
a=sendrecv"""


class Ring(Enum):
    """What a far end says before its final answer."""

    NONE = "nothing after 100"
    RINGING = "180"
    EARLY_MEDIA = "183 with a session description"


@dataclass(frozen=True, slots=True)
class Send:
    """One message. ``repeat`` sends it again until answered (RFC 3261 timers)."""

    text: str
    repeat: bool = False
    goto: str = ""


@dataclass(frozen=True, slots=True)
class Expect:
    """One message awaited: a request by method or a response by status; ``late`` is where to go in time.
    ``actions``: what else SIPp does with it, as XML."""

    request: str = ""
    response: int = 0
    optional: bool = False
    goto: str = ""
    within_ms: int = 0
    late: str = ""
    keep: tuple[tuple[str, str, str], ...] = ()
    """(variable, header or "" for the whole message, regular expression)."""
    timed: bool = False
    actions: str = ""


@dataclass(frozen=True, slots=True)
class Holds:
    """Goes to ``goto`` if this variable, which an action set, is true."""

    variable: str
    goto: str


@dataclass(frozen=True, slots=True)
class Pause:
    ms: int


@dataclass(frozen=True, slots=True)
class Label:
    name: str


@dataclass(frozen=True, slots=True)
class Branch:
    """Goes to ``goto`` if the variable equals the text."""

    variable: str
    equals: str
    goto: str


@dataclass(frozen=True, slots=True)
class Goto:
    goto: str


@dataclass(frozen=True, slots=True)
class Stream:
    """Plays a file of raw µ-law bytes, again and again."""

    file: str


Step = Send | Expect | Holds | Pause | Label | Branch | Goto | Stream


@dataclass(frozen=True, slots=True)
class Scenario:
    name: str
    steps: tuple[Step, ...]
    media_port: str = "media_port"
    """``media_port`` (with SIPp's echo) or ``rtpstream_audio_port`` (when a file is streamed)."""


def render(scenario: Scenario) -> str:
    """The scenario as SIPp's XML."""
    numbers = _label_numbers(scenario.steps)
    body = "\n".join(_render_step(step, numbers, scenario.media_port) for step in scenario.steps)
    names = [name for step in scenario.steps if isinstance(step, Expect) for name, _, _ in step.keep]
    names += ["same" for step in scenario.steps if isinstance(step, Branch)][:1]
    # why: SIPp refuses a variable that occurs only once, and a reference before the first use
    reference = f"<Reference variables={quoteattr(','.join(dict.fromkeys(names)))}/>\n" if names else ""
    head = '<?xml version="1.0" encoding="UTF-8"?>\n'
    return f"{head}<scenario name={quoteattr(scenario.name)}>\n{body}\n{reference}</scenario>\n"


def _label_numbers(steps: tuple[Step, ...]) -> Mapping[str, int]:
    labels = [step.name for step in steps if isinstance(step, Label)]
    if len(set(labels)) != len(labels):
        raise ValueError("a label occurs twice")
    return {name: number for number, name in enumerate(labels, 1)}


def _render_step(step: Step, labels: Mapping[str, int], media_port: str) -> str:
    match step:
        case Send(text, repeat, goto):
            text = text.replace("[[sdp]]", _SDP.format(port=media_port))
            options = (' retrans="500"' if repeat else "") + _next(goto, labels)
            return f"<send{options}><![CDATA[\n{text.strip()}\n\n]]></send>"
        case Expect():
            return _render_expect(step, labels)
        case Holds(variable, goto):
            return f'<nop{_next(goto, labels)} test="{variable}"/>'
        case Pause(ms):
            return f'<pause milliseconds="{ms}"/>'
        case Label(name):
            return f'<label id="{labels[name]}"/>'
        case Branch(variable, equals, goto):
            compare = f'<strcmp assign_to="same" variable="{variable}" value={quoteattr(equals)}/>'
            test = '<test assign_to="same" variable="same" compare="equal" value="0"/>'
            go = f'<nop{_next(goto, labels)} test="same"/>'
            return f"<nop><action>{compare}{test}</action></nop>\n{go}"
        case Goto(goto):
            return f"<nop{_next(goto, labels)}/>"
        case Stream(file):
            return f"<nop><action><exec rtp_stream={quoteattr(f'{file},-1,0')}/></action></nop>"


def _render_expect(step: Expect, labels: Mapping[str, int]) -> str:
    what = f'request="{step.request}"' if step.request else f'response="{step.response}"'
    options = ' rrs="true"' if step.request == "INVITE" or step.response == 200 else ""
    options += ' optional="true"' if step.optional else ""
    options += ' rtd="true"' if step.timed else ""
    options += _next(step.goto, labels)
    if step.within_ms:
        options += f' timeout="{step.within_ms}"'
    if step.late:
        options += f' ontimeout="{labels[step.late]}"'
    keeps = []
    for variable, header, regexp in step.keep:
        where = f'search_in="hdr" header={quoteattr(header)}' if header else 'search_in="msg"'
        keeps.append(f"<ereg regexp={quoteattr(regexp)} {where} assign_to={quoteattr(variable)}/>")
    keeps += [step.actions] if step.actions else []
    action = f"<action>{''.join(keeps)}</action>" if keeps else ""
    return f"<recv {what}{options}>{action}</recv>"


def _next(goto: str, labels: Mapping[str, int]) -> str:
    return f' next="{labels[goto]}"' if goto else ""


# Messages


def _answer(status: int, *, body: bool = False, extra: str = "", cseq: str = "[last_CSeq:]") -> str:
    tag = f";tag={_TAG}" if status > 100 else ""
    head = f"SIP/2.0 {status} Simulated\n[last_Via:]\n[last_From:]\n[last_To:]{tag}\n[last_Call-ID:]\n{cseq}"
    return head + f"\n{_CONTACT}\n{extra}" + _body(body)


def _answer_inside(status: int, *, body: bool = False) -> str:
    """An answer within the dialog: its To has our tag already."""
    head = f"SIP/2.0 {status} Simulated\n[last_Via:]\n[last_From:]\n[last_To:]\n[last_Call-ID:]\n[last_CSeq:]"
    return f"{head}\n{_CONTACT}\n" + _body(body)


def _body(with_sdp: bool) -> str:
    if not with_sdp:
        return "Content-Length: 0"
    return "Content-Type: application/sdp\nContent-Length: [len]\n\n[[sdp]]"


def _request(method: str, uri: str, head: str, *, branch: str = "[branch]", cseq: str = "[cseq]") -> str:
    via = f"Via: SIP/2.0/UDP [local_ip]:[local_port];rport;branch={branch}"
    call = f"Call-ID: [call_id]\nCSeq: {cseq} {method}\nMax-Forwards: 70"
    return f"{method} {uri} SIP/2.0\n{via}\n{head}\n{call}\n"


# Called side


@dataclass(frozen=True, slots=True)
class Called:
    """How a called far end behaves. Times in milliseconds; ``final`` 0 waits for ever, 200 answers."""

    final: int = 200
    trying: bool = True
    ring: Ring = Ring.RINGING
    ring_after_ms: int = 0
    final_after_ms: int = 0
    hang_up_after_ms: int | None = None
    stream: str = ""


_KEEP = (("from", "From:", ".*"), ("to", "To:", ".*"))


def called(name: str, how: Called) -> Scenario:
    """A UAS scenario in which every call goes the same way."""
    steps = (Expect(request="INVITE", keep=_KEEP), *called_steps("", how))
    return Scenario(name, steps, "rtpstream_audio_port" if how.stream else "media_port")


def called_by_ending(name: str, table: Mapping[str, Called], otherwise: Called) -> Scenario:
    """A UAS scenario in which the last digits of the dialled number decide. All endings are equally long."""
    lengths = {len(ending) for ending in table}
    if len(lengths) != 1 or not all(ending.isdigit() for ending in table):
        raise ValueError("endings are digits, all equally many")
    if any(how.stream for how in (*table.values(), otherwise)):
        raise ValueError("streaming needs a scenario of its own")
    digits = f"[0-9]{{{lengths.pop()}}}"
    # why: the leftmost match counts; the "@" pins it to the end of the user part in the request line
    keep = (*_KEEP, ("ending", "", f"{digits}@"))
    dispatch = [Branch("ending", f"{ending}@", f"e{ending}") for ending in table]
    steps: list[Step] = [Expect(request="INVITE", keep=keep), *dispatch, *called_steps("other", otherwise)]
    for ending, how in table.items():
        steps += [Goto("finish"), Label(f"e{ending}"), *called_steps(f"e{ending}", how)]
    return Scenario(name, (*steps, Label("finish")))


def called_steps(prefix: str, how: Called) -> tuple[Step, ...]:
    cancelled, end = f"{prefix}-cancelled", f"{prefix}-end"
    # why: a CANCEL between two messages sent at once would be unexpected, so 100 only before a wait
    at_once = how.ring is not Ring.NONE and how.ring_after_ms <= 0
    steps: list[Step] = [Send(_answer(100))] if how.trying and not at_once else []
    if how.ring is not Ring.NONE:
        steps += _wait(prefix, "ring", how.ring_after_ms, cancelled)
        early = how.ring is Ring.EARLY_MEDIA
        steps.append(Send(_answer(183 if early else 180, body=early)))
    if how.final:
        steps += _wait(prefix, "final", how.final_after_ms, cancelled)
        steps += _answered(prefix, how, end) if how.final == 200 else _refused(how.final, end)
    else:
        steps += [Expect(request="CANCEL", goto=cancelled, within_ms=_WAIT_FOR_EVER_MS, late=end)]
    steps += [Goto(end), Label(cancelled), Send(_answer(200))]
    steps.append(Send(_answer(487, cseq="CSeq: [last_cseq_number] INVITE"), repeat=True))
    return (*steps, Expect(request="ACK"), Label(end))


def _wait(prefix: str, name: str, ms: int, cancelled: str) -> list[Step]:
    if ms <= 0:
        return []
    after = f"{prefix}-{name}"
    return [Expect(request="CANCEL", goto=cancelled, within_ms=ms, late=after), Label(after)]


def _refused(status: int, end: str) -> list[Step]:
    redirect = "Contact: <sip:elsewhere@127.0.0.1:9>\n" if status // 100 == 3 else ""
    text = _answer(status, extra=redirect)
    if redirect:
        text = text.replace(f"{_CONTACT}\n", "")
    return [Send(text, repeat=True), Expect(request="ACK", goto=end)]


def _answered(prefix: str, how: Called, end: str) -> list[Step]:
    talking, again, leaving = (f"{prefix}-{name}" for name in ("talking", "again", "leaving"))
    bye = _request("BYE", "[next_url]", f"From: [$to];tag={_TAG}\nTo: [$from]") + "Content-Length: 0"
    steps: list[Step] = [Send(_answer(200, body=True), repeat=True), Expect(request="ACK")]
    if how.stream:
        steps.append(Stream(how.stream))
    if how.hang_up_after_ms is not None:
        # why: SIPp heeds no timeout where an optional message may come too, so no re-INVITE is taken here
        return [
            *steps,
            Expect(request="BYE", within_ms=how.hang_up_after_ms, late=leaving),
            Send(_answer_inside(200), goto=end),
            Label(leaving),
            Send(bye, repeat=True),
            Expect(response=200),
        ]
    return [
        *steps,
        Label(talking),
        Expect(request="INVITE", optional=True, goto=again),
        Expect(request="BYE"),
        Send(_answer_inside(200), goto=end),
        Label(again),
        Send(_answer_inside(200, body=True), repeat=True),
        Expect(request="ACK", goto=talking),
    ]


# Calling side


@dataclass(frozen=True, slots=True)
class Calling:
    """How a caller behaves. ``expect`` is the final it must get; ``cancel_after_ms`` counts from ringing."""

    talk_ms: int = 1000
    expect: int = 200
    cancel_after_ms: int | None = None
    display: str = "Caller"
    headers: tuple[tuple[str, str], ...] = ()
    stream: str = ""


def calling(name: str, how: Calling) -> Scenario:
    """A UAC scenario: dials SIPp's ``-s`` number as the ``-key caller`` number."""
    invite = _request("INVITE", "[[target]]", _caller_head(how), branch=_INVITE_BRANCH, cseq="1") + _extra(
        how
    )
    steps: list[Step] = [Send(_target(f"{invite}{_body(True)}"), repeat=True)]
    if how.cancel_after_ms is not None:
        steps += _cancelling(how, how.cancel_after_ms)
    else:
        steps += [Expect(response=status, optional=True) for status in (100, 180, 183)]
        steps.append(Expect(response=how.expect, timed=True))
        steps += _talking(how) if how.expect == 200 else [Send(_target(_ack_of_refusal(how)))]
    return Scenario(name, tuple(steps), "rtpstream_audio_port" if how.stream else "media_port")


def _target(text: str) -> str:
    return text.replace("[[target]]", "sip:[service]@[remote_ip]:[remote_port]")


def _caller_head(how: Calling, to_tag: str = "") -> str:
    sender = f'From: "{how.display}" <sip:[caller]@[local_ip]:[local_port]>;tag={_TAG}'
    return f"{sender}\nTo: <[[target]]>{to_tag}"


def _extra(how: Calling) -> str:
    for name, value in how.headers:
        if any(mark in name + value for mark in ("\r", "\n", "]]>")):
            raise SipSyntaxError("a header value has a line break", field=name)
    contact = "Contact: <sip:[caller]@[local_ip]:[local_port]>\n"
    return contact + "".join(f"{name}: {value}\n" for name, value in how.headers)


def _ack_of_refusal(how: Calling) -> str:
    head = _caller_head(how, "[peer_tag_param]")
    return _request("ACK", "[[target]]", head, branch=_INVITE_BRANCH, cseq="1") + "Content-Length: 0"


def _talking(how: Calling) -> list[Step]:
    head = _target(_caller_head(how, "[peer_tag_param]"))
    ack = _request("ACK", "[next_url]", head, cseq="1") + "Content-Length: 0"
    bye = _request("BYE", "[next_url]", head, cseq="2") + "Content-Length: 0"
    stream: list[Step] = [Stream(how.stream)] if how.stream else []
    return [
        Send(ack),
        *stream,
        Expect(request="BYE", within_ms=max(1, how.talk_ms), late="leaving"),
        Send(_answer_inside(200), goto="end"),
        Label("leaving"),
        Send(bye, repeat=True),
        Expect(response=200),
        Label("end"),
    ]


def _cancelling(how: Calling, after_ms: int) -> list[Step]:
    head = _caller_head(how)
    cancel = _request("CANCEL", "[[target]]", head, branch=_INVITE_BRANCH, cseq="1") + "Content-Length: 0"
    return [
        Expect(response=100, optional=True),
        Expect(response=183, optional=True, goto="ringing"),
        Expect(response=180),
        Label("ringing"),
        Pause(after_ms),
        Send(_target(cancel), repeat=True),
        Expect(response=200),
        Expect(response=487),
        Send(_target(_ack_of_refusal(how))),
    ]


def with_stream(how: Called, file: str) -> Called:
    """The same far end, with its answer followed by a file of raw µ-law."""
    return replace(how, stream=file)
