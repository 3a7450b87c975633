"""The session's machine: ``step(session, fact, now) -> (session, orders)``. Pure and total.

Facts about a line that is no longer the present one change nothing, nor does anything once it is over.
Every state that waits has a deadline (``waits``), so a session ends even if nobody speaks again.
"""

from __future__ import annotations

from voice_agents.core import barge_in, facts, ladder, orders, shutdown, silence, talk, tools, transfer
from voice_agents.core.session import (
    PATIENCE,
    Barge,
    Line,
    Media,
    Patience,
    Phase,
    Quiet,
    Session,
    Step,
    Terms,
    TransferStep,
    Usage,
    replace,
)
from voice_agents.core.talk import Reason
from voice_agents.core.waits import waits

_LINE_FACTS = (
    facts.LineOpened,
    facts.LineReady,
    facts.LineFailed,
    facts.LineLost,
    facts.LineStuck,
    facts.NotTold,
    facts.AgentSaid,
    facts.FarEndHeard,
)
_SPEECH_FACTS = (facts.SpeechBegan, facts.SpeechOver, facts.WordsCaught, facts.Pressed)
_SOUND_FACTS = (facts.SoundBegan, facts.SoundOver, facts.EndHeard, facts.PromptDone)
_MEDIA_FACTS = (facts.MediaArrived, facts.FirstFrame, facts.MediaGone, facts.CallerGone, facts.HangUpFailed)
_ASKED_FACTS = (
    facts.EndAsked,
    facts.HoldAsked,
    facts.MuteAsked,
    facts.TransferAsked,
    facts.HandBackAsked,
    facts.HandBackFailed,
    facts.SwapAsked,
)


def begin(terms: Terms, now: float) -> Step:
    """A new session, and the orders that reach its agent."""
    fresh = Session(terms, now, Line(now), Media(), Barge(), Quiet(), Usage())
    return ladder.begin(fresh, now)


def step(session: Session, fact: facts.Fact, now: float, patience: Patience = PATIENCE) -> Step:
    """Fold one fact into the session."""
    if session.over is not None:
        return session, ()
    match fact:
        case facts.TimerFired():
            return _expire(session, fact, now, patience)
        case _ if isinstance(fact, _LINE_FACTS):
            return _line(session, fact, now, patience)
        case _ if isinstance(fact, _SPEECH_FACTS):
            return _speech(session, fact, now)
        case _ if isinstance(fact, _SOUND_FACTS):
            return _sound(session, fact, now, patience)
        case _ if isinstance(fact, _MEDIA_FACTS):
            return _media(session, fact, now, patience)
        case _ if isinstance(fact, _ASKED_FACTS):
            return _asked(session, fact, now, patience)
        case facts.FlowChanged(level=level):
            return _flow(session, level, now, patience)
        case facts.RateWrong() if not session.usage.rate_told:
            session = replace(session, usage=replace(session.usage, rate_told=True))
            fault = talk.Fault("audio_rate_mismatch", "the sound's pace is not that of the agreed codec")
            told = orders.Publish("agent.fault", (("why", "audio_rate_mismatch"),))
            return session, (orders.Tell(fault), told)
        case facts.TransferDone(outcome=outcome) if session.live:
            return transfer.done(session, outcome, now, patience)
        case facts.ToolDone(result=result):
            return tools.done(session, result)
        case facts.DigitsDone(digits=digits, ok=ok):
            failed = talk.Fault("digits_failed", "the digits could not be played")
            return session, (orders.Tell(talk.DigitsSent(digits) if ok else failed),)
    return session, ()


# ---------------------------------------------------------------- the agent


def _line(session: Session, fact: facts.Fact, now: float, patience: Patience) -> Step:
    assert isinstance(fact, _LINE_FACTS)
    if fact.line != session.line.number:
        return session, ()
    match fact:
        case facts.LineOpened():
            return ladder.opened(session, now)
        case facts.LineReady():
            return ladder.ready(session, now)
        case facts.LineFailed():
            return ladder.failed(session, fact, now, patience) if session.live else (session, ())
        case facts.LineLost(why=why):
            return ladder.lost(session, why, now, patience)
        case facts.LineStuck():
            return ladder.reconnect(session, 1011, "stuck", now, patience)
        case facts.NotTold() if session.ending is not None and session.line.open:
            return shutdown.not_told(session, now)
        case facts.FarEndHeard(guarded=guarded):
            return barge_in.far_end(session, guarded)
        case facts.AgentSaid(said=said) if session.line.open:
            return _said(silence.agent_lives(session), said, now, patience)
    return session, ()


def _said(session: Session, said: talk.Said, now: float, patience: Patience) -> Step:
    match said:
        case talk.Malformed(why=why):
            return ladder.malformed(session, why, now, patience)
        case talk.CallerWords(text=text) if text.strip():
            return _caught(session, now)
        case _ if session.ending is not None:
            return shutdown.said(session, said, now)
        case talk.Clear():
            session = replace(session, barge=replace(session.barge, paused_at=None), sounding=False)
            return silence.agent_over(session, now), (orders.Flush(),)
        case talk.HangUp():
            return shutdown.end(session, facts.EndAsked(Reason.AGENT, "agent"), now, patience)
        case talk.Transfer(to=to, ring_timeout_s=ring_s):
            return transfer.asked(session, facts.TransferAsked(to, ring_s), now)
        case talk.SendDigits(digits=digits):
            if transfer.DIGITS.fullmatch(digits) is None or not session.gate_open:
                return session, (orders.Tell(talk.Fault("digits_refused", "these digits cannot be played")),)
            return session, (orders.SendDigits(digits),)
        case talk.CallTool():
            return tools.called(session, said, now)
    return session, ()


def _flow(session: Session, level: str, now: float, patience: Patience) -> Step:
    if level == "full":
        flush = orders.Flush()
        told = orders.Tell(talk.Fault("audio_overflow", "more sound is queued than anybody will hear"))
        session = replace(session, sounding=False, usage=replace(session.usage, flow_paused=False))
        session, more = ladder.drop(session, 4413, "flood", now, patience)
        return session, (told, flush, *more)
    paused = level == "high"
    if paused is session.usage.flow_paused:
        return session, ()
    session = replace(session, usage=replace(session.usage, flow_paused=paused))
    return session, (orders.Tell(talk.FlowPaused(paused)),)


# ---------------------------------------------------------------- sound and speech


def _sound(session: Session, fact: facts.Fact, now: float, patience: Patience) -> Step:
    match fact:
        case facts.SoundBegan():
            session = silence.agent_began(replace(session, sounding=True), now)
            return (session, ()) if session.ending is None else shutdown.sound_began(session, now)
        case facts.SoundOver():
            if not session.sounding:
                return session, ()
            session = silence.agent_over(replace(session, sounding=False), now)
            if session.ending is not None:
                return shutdown.sound_over(session, now)
            return transfer.emptied(session, now), ()
        case facts.EndHeard() if session.ending is not None:
            return shutdown.end_heard(session, fact, now)
        case facts.EndHeard():
            return transfer.end_heard(session, fact, now)
        case facts.PromptDone(name="fallback"):
            return ladder.prompt_done(session, now, patience)
        case facts.PromptDone(name="farewell") if session.ending is not None:
            return shutdown.prompt_done(session, now)
    return session, ()


def _speech(session: Session, fact: facts.Fact, now: float) -> Step:
    if not session.live:
        return _last_words(session, fact)
    match fact:
        case facts.SpeechBegan():
            session, out = barge_in.began(silence.caller_began(session), fact)
            session, more = barge_in.pause(session, fact, now)
            return session, (*out, *more)
        case facts.SpeechOver():
            session, out = barge_in.over(session, fact)
            session = silence.caller_over(session, fact.at_ms, now)
            session, more = _greet(session, now)
            return session, (*out, *more)
        case facts.WordsCaught():
            return _caught(session, now)
        case facts.Pressed(digit=digit, at_ms=at_ms):
            session, out = barge_in.pressed(silence.meant(session, now), fact)
            return session, (orders.Tell(talk.Digit(digit, at_ms)), *out)
    return session, ()


def _last_words(session: Session, fact: facts.Fact) -> Step:
    """What the caller does over a farewell is told, and decides nothing."""
    match fact:
        case facts.SpeechBegan(at_ms=at_ms):
            return session, (orders.Tell(talk.SpeechStarted(at_ms)),)
        case facts.SpeechOver(at_ms=at_ms):
            return session, (orders.Tell(talk.SpeechStopped(at_ms)),)
        case facts.Pressed(digit=digit, at_ms=at_ms):
            return session, (orders.Tell(talk.Digit(digit, at_ms)),)
    return session, ()


def _caught(session: Session, now: float) -> Step:
    if not session.live:
        return session, ()
    return barge_in.words(silence.meant(session, now))


# ---------------------------------------------------------------- the call


def _media(session: Session, fact: facts.Fact, now: float, patience: Patience) -> Step:
    match fact:
        case facts.HangUpFailed() if session.ending is not None:
            return shutdown.hang_up_failed(session)
        case facts.CallerGone():
            asked = facts.EndAsked(Reason.CALLER, "caller")
            session, out = shutdown.end(session, asked, now, patience)
            return session, out
        case facts.MediaGone(why=why):
            return _media_gone(session, why, now, patience)
        case facts.MediaArrived() if session.live and session.media.arrived_at is None:
            session = replace(session, media=Media(arrived_at=now, frame_at=now))
            return ladder.answer(session, now)
        case facts.FirstFrame() if session.media.arrived_at is not None:
            return _heard(session, now, patience)
    return session, ()


def _heard(session: Session, now: float, patience: Patience) -> Step:
    """The caller is there, or is taken to be."""
    if session.media.heard_at is not None or not session.live:
        return session, ()
    session = replace(session, media=replace(session.media, heard_at=now, frame_at=now))
    if session.bridged_at is None:
        session = replace(session, bridged_at=now)
    session, back = transfer.back(session, now)
    session, out = _greet(session, now)
    session, more = ladder.take_care(session, now, patience)
    return session, (*back, *out, *more)


def _greet(session: Session, now: float, *, at_last: bool = False) -> Step:
    """Open the gate for the agent's sound: once the caller is heard, or the callee has spoken."""
    if session.media.heard_at is None:
        return session, ()
    if session.greeted_at is not None:
        if session.media.heard_at == now and session.line.phase is Phase.READY:
            return session, (orders.TellAnswered(),)
        return session, ()
    waits_for_callee = session.terms.spec.greeting.when == "after_callee" and session.terms.outbound
    if waits_for_callee and not at_last and session.quiet.since is None:
        return session, ()
    session = silence.greeted(replace(session, greeted_at=now), now)
    out: tuple[orders.Order, ...] = (orders.Publish("agent.session.talking"), orders.Save())
    if session.line.phase is Phase.READY:
        return session, (orders.TellAnswered(), *out)
    return session, out


def _media_gone(session: Session, why: str, now: float, patience: Patience) -> Step:
    moving = session.moving
    if session.ending is not None:
        return shutdown.gone(session, now)
    if moving is not None and moving.step is TransferStep.RINGING and why != "never_came":
        session = replace(session, media=Media(), sounding=False, barge=Barge())
        return session, ()
    if session.media.arrived_at is None and why != "never_came":
        return session, ()
    session = replace(session, media=Media(), sounding=False)
    if why == "hangup":
        return shutdown.end(session, facts.EndAsked(Reason.CALLER, "caller"), now, patience)
    session = replace(session, failure=session.failure or why)
    return shutdown.end(session, facts.EndAsked(Reason.MEDIA_LOST, "gateway"), now, patience)


def _asked(session: Session, fact: facts.Fact, now: float, patience: Patience) -> Step:
    match fact:
        case facts.EndAsked():
            return shutdown.end(session, fact, now, patience)
        case facts.TransferAsked() if session.live:
            return transfer.asked(session, fact, now)
        case facts.SwapAsked() if session.live and session.moving is None:
            return ladder.swap(session, fact, now)
        case facts.HandBackAsked() if session.live:
            return transfer.hand_back(session, now)
        case facts.HandBackFailed() if session.live:
            return transfer.stays(session), ()
        case facts.HoldAsked() if session.live and session.gate_open:
            return _hold(session, fact, now)
        case facts.MuteAsked(on=on) if session.live and on is not session.muted:
            session = replace(session, muted=on)
            told = orders.Publish("agent.muted", (("on", on),))
            if not on:
                return session, (told,)
            session = replace(session, sounding=False, barge=replace(session.barge, paused_at=None))
            return session, (orders.Flush(), told)
    return session, ()


def _hold(session: Session, fact: facts.HoldAsked, now: float) -> Step:
    by = fact.by if fact.on else ""
    if by == session.held_by:
        return session, ()
    told = orders.Publish("agent.held", (("on", fact.on), ("by", fact.by)))
    tell = orders.Tell(talk.Held(fact.on, by or session.held_by))
    session = replace(session, held_by=by, barge=replace(session.barge, paused_at=None))
    if fact.on:
        session = replace(session, sounding=False, comforting=by == "hold")
        tone = orders.HoldSound(by == "hold")
        return session, (orders.Flush(), tone, tell, told)
    session = silence.resumed(session, now)
    if not session.comforting or session.line.phase is not Phase.READY:
        return session, (tell, told)
    return replace(session, comforting=False), (orders.HoldSound(False), tell, told)


# ---------------------------------------------------------------- deadlines


def _expire(session: Session, fact: facts.TimerFired, now: float, patience: Patience) -> Step:
    """Everything that is due, the oldest first; what one brings about may make the others pointless."""
    if fact.frame_at is not None and fact.frame_at > session.media.frame_at:
        session = replace(session, media=replace(session.media, frame_at=fact.frame_at))
    out: tuple[orders.Order, ...] = ()
    while True:
        due = min((w for w in waits(session, patience) if w.at <= now), key=lambda w: w.at, default=None)
        if due is None:
            return session, out
        session, more = _overdue(session, due.name, now, patience)
        out += more


_END_WAITS = frozenset({"farewell", "idle", "gap", "grace", "unmarked", "tail", "drain", "going", "closing"})
_LADDER_WAITS = frozenset({"connect", "retry", "ready", "prompt"})
_SILENCE_WAITS = frozenset({"silence", "noise", "slow", "failover"})


def _overdue(session: Session, name: str, now: float, patience: Patience) -> Step:
    if name in _END_WAITS:
        return shutdown.overdue(session, name, now, patience)
    if name in _LADDER_WAITS:
        return ladder.overdue(session, name, now, patience)
    if name in _SILENCE_WAITS:
        return silence.overdue(session, name, now, patience)
    match name:
        case "decide":
            return barge_in.interrupt(session)
        case "greet":
            return _greet(session, now, at_last=True)
        case "first_frame":
            session, more = _heard(session, now, patience)
            return session, (orders.Publish("agent.media_silent"), *more)
        case "warn":
            session = replace(session, warned=True)
            most_ms = round(patience.warn_s * 1000)
            told = talk.Ending(Reason.MAX_DURATION, "gateway", most_ms, True, final=False)
            return session, (orders.Tell(told), orders.Publish("agent.near_end"))
        case "max_duration":
            return shutdown.end(session, facts.EndAsked(Reason.MAX_DURATION, "gateway"), now, patience)
        case "transfer_speaking":
            return transfer.go(session, now)
        case "transfer_ringing":
            return transfer.done(session, "timeout", now, patience)
        case "media" | "frames" | "transfer_returning":
            session = replace(session, failure=session.failure or f"no_{name}")
            return shutdown.end(session, facts.EndAsked(Reason.MEDIA_LOST, "gateway"), now, patience)
    raise AssertionError(name)
