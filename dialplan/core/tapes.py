"""Recordings of a call: what is asked, what the switch confirmed, what became of the file."""

from __future__ import annotations

from dialplan.core import facts, orders
from dialplan.core.call import Call, Rank, Tape, TapeState
from dialplan.core.evolve import replace
from dialplan.core.publish import publish

Step = tuple[Call, tuple[orders.Order, ...]]


def load(call: Call) -> tuple[Call, str]:
    """A new tape, waiting for the switch to say that it runs. The id names the file."""
    tape = Tape(f"{call.id}-{len(call.tapes) + 1}", TapeState.WAITING)
    return replace(call, tapes=(*call.tapes, tape)), tape.id


def turn(call: Call, fact: facts.Fact, now: float) -> Step:
    """Fold one fact about recordings; facts that do not fit the state change nothing."""
    match fact:
        case facts.TapeAsked(verb=verb):
            return _asked(call, verb)
        case facts.TapeTurned(turn=what):
            return _turned(call, what, now)
        case facts.TapeFiled(tape_id=tape_id, ok=ok, detail=detail):
            return _filed(call, tape_id, ok, detail, now)
    return call, ()


def _asked(call: Call, verb: str) -> Step:
    channel = call.caller.channel
    if call.caller.rank is not Rank.UP or channel is None or call.closed:
        return call, ()
    tape = call.tape
    if verb == "start" and tape is None:
        call, tape_id = load(call)
        return call, (orders.TurnTape("start", channel, tape_id),)
    if tape is None or tape.state is TapeState.WAITING:
        return call, ()
    if verb == "stop":
        return call, (orders.TurnTape("stop", channel, tape.id),)
    if (verb, tape.state) in (("pause", TapeState.RECORDING), ("resume", TapeState.PAUSED)):
        return call, (orders.TurnTape(verb, channel, tape.id),)
    return call, ()


_NEXT = {
    ("started", TapeState.WAITING): TapeState.RECORDING,
    ("paused", TapeState.RECORDING): TapeState.PAUSED,
    ("resumed", TapeState.PAUSED): TapeState.RECORDING,
}


def _turned(call: Call, what: str, now: float) -> Step:
    tape = call.tape
    if tape is None:
        return call, ()
    detail = (("recording_id", tape.id),)
    if what == "stopped":
        call = _with(call, replace(tape, state=TapeState.STOPPED, stopped_at=now))
        call, told = publish(call, "recording.stopped", now, detail)
        return call, (*told, orders.FileTape(tape.id))
    if what == "failed":
        call = _with(call, replace(tape, state=TapeState.FILED, stopped_at=now))
        return publish(call, "recording.failed", now, (*detail, ("reason", "could_not_start")))
    state = _NEXT.get((what, tape.state))
    if state is None:
        return call, ()
    started = now if what == "started" else tape.started_at
    call = _with(call, replace(tape, state=state, started_at=started))
    return publish(call, f"recording.{what}", now, detail)


def stop_at_end(call: Call, now: float) -> Step:
    """The call closes: whatever still runs has stopped with the channel. One never heard of has failed."""
    tape = call.tape
    if tape is None:
        return call, ()
    if tape.state is TapeState.WAITING and call.answered_at is None:
        return _with(call, replace(tape, state=TapeState.FILED, stopped_at=now)), ()
    return _with(call, replace(tape, state=TapeState.STOPPED, stopped_at=now)), (orders.FileTape(tape.id),)


def _filed(call: Call, tape_id: str, ok: bool, detail: tuple[tuple[str, str], ...], now: float) -> Step:
    for tape in call.tapes:
        if tape.id == tape_id and tape.state is TapeState.STOPPED:
            call = _with(call, replace(tape, state=TapeState.FILED))
            type_ = "recording.ready" if ok else "recording.failed"
            return publish(call, type_, now, (("recording_id", tape_id), *detail))
    return call, ()


def _with(call: Call, tape: Tape) -> Call:
    return replace(call, tapes=tuple(tape if known.id == tape.id else known for known in call.tapes))
