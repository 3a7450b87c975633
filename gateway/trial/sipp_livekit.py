"""SIPp in the place of LiveKit's SIP service: it wants a password, looks at what it is told, and answers as
the name says that the room is to see.

It is as strict as the service and its owner together: a call that lacks a proof of the password or a header,
tells a caller's number or offers other codecs is counted as failed. SIPp can verify the proof itself where it
asks as a server does (401, ``Authorization``); where it asks as LiveKit does (407), who reads along must.
"""

from __future__ import annotations

from xml.sax.saxutils import quoteattr

from gateway.trial.sipp_scenario import (
    Branch,
    Called,
    Expect,
    Goto,
    Holds,
    Label,
    Pause,
    Ring,
    Scenario,
    Send,
    Step,
    called_steps,
)

PLAYS = {
    "answers": Called(ring=Ring.NONE),
    "rings then answers": Called(final_after_ms=300),
    "hangs up": Called(ring=Ring.NONE, hang_up_after_ms=600),
    "busy": Called(final=486, ring=Ring.NONE),
    "forbids": Called(final=403, ring=Ring.NONE),
    "knows nobody": Called(final=404, ring=Ring.NONE),
    "not there": Called(final=480),
    "gives up": Called(final=408),
    "declines": Called(final=603),
    "out of order": Called(final=503, ring=Ring.NONE),
    "never answers": Called(final=0),
}
"""What it does, by the name in ``X-Gw-Name``."""
REALM = "LiveKit"
NONCE = "7d3f6a51c0e84b29"
_HEAD = "[last_Via:]\n[last_From:]\n[last_To:]{tag}\n[last_Call-ID:]\n[last_CSeq:]\n"
_TAG = ";tag=[pid]t[call_number]"
_CHALLENGE = f': Digest realm="{REALM}", nonce="{NONCE}", algorithm=MD5, qop="auth"\n'
CALLER = "sip:[0-9a-f]{32}@"
CODECS = "m=audio [0-9]+ RTP/AVP 9 0 8 101"


def livekit_sip(user: str, forbidden: str, *, password: str = "") -> Scenario:
    """The service, for this user. ``forbidden``: a regular expression that nothing in an INVITE may fit. With
    a ``password`` it asks for that by 401, and refuses others by 403."""
    shown = f'Digest username="{user}", realm="{REALM}", nonce="{NONCE}".*response="[0-9a-f]{{32}}"'
    proof = _check("hdr", "Proxy-Authorization:", shown)
    asked, status = f"Proxy-Authenticate{_CHALLENGE}", 407
    if password:
        proof = f"<verifyauth assign_to='proved' username={quoteattr(user)} password={quoteattr(password)}/>"
        asked, status = f"WWW-Authenticate{_CHALLENGE}", 401
    checks = "".join(
        (
            _check("hdr", "From:", CALLER),
            _check("hdr", "X-Gw-Call:", "[a-z]+_[0-9A-Za-z_]+"),
            _check("msg", "", CODECS),
            _check("msg", "", forbidden, inverse=True),
        )
    )
    keep = (("from", "From:", ".*"), ("to", "To:", ".*"), ("plays", "X-Gw-Name:", "[^ ].*[^ ]"))
    steps: list[Step] = [
        Expect(request="OPTIONS", optional=True, goto="options"),
        Expect(request="INVITE"),
        Send(_plain(status, asked), repeat=True),
        Expect(request="ACK"),
        Expect(request="INVITE", keep=keep, actions=proof + checks),
        *(_refusals() if password else ()),
        *(Branch("plays", name, name) for name in PLAYS),
        Send(_plain(500), repeat=True),
        Expect(request="ACK"),
        Goto("finish"),
    ]
    for name, how in PLAYS.items():
        steps += [Label(name), *called_steps(name, how), Goto("finish")]
    # why the pause: a switch that is starting misses the first answer; while it lasts, SIPp gives it again
    steps += [Label("options"), Send(_plain(200)), Pause(5_000), Label("finish")]
    return Scenario("livekit-sip", tuple(steps))


def _refusals() -> tuple[Step, ...]:
    wrong = Send(_plain(403), repeat=True)
    return Holds("proved", "proved"), wrong, Expect(request="ACK"), Goto("finish"), Label("proved")


def _plain(status: int, extra: str = "") -> str:
    contact = "Contact: <sip:rooms@[local_ip]:[local_port]>\n"
    return f"SIP/2.0 {status} Simulated\n{_HEAD.format(tag=_TAG)}{contact}{extra}Content-Length: 0"


def _check(where: str, header: str, regexp: str, *, inverse: bool = False) -> str:
    at = f"search_in='{where}'" + (f" header={quoteattr(header)}" if header else "")
    held = "check_it_inverse" if inverse else "check_it"
    return f"<ereg regexp={quoteattr(regexp)} {at} {held}='true' assign_to='checked'/>"
