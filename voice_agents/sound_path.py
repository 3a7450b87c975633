"""The sound of one session, both ways: the fast path. It counts and passes on; what changes a course of
events becomes a fact for the session's machine.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from voice_agents.caller_ears import CallerEars
from voice_agents.core import facts, talk
from voice_agents.core.agent import AgentSpec
from voice_agents.core.audio import Codec
from voice_agents.core.audio_clock import AudioClock
from voice_agents.core.backlog import Backlog, Waiting
from voice_agents.core.barge_in import Guards
from voice_agents.core.gates import Gates
from voice_agents.core.ledger import ARRIVING_MS, Ledger
from voice_agents.core.pace import Pace
from voice_agents.core.stale import Stale
from voice_agents.ports import MediaLeg, Now

_ARRIVING_S = ARRIVING_MS / 1000
_EMPTY_S = 0.1
"""The agent's sound is over when nothing is queued and nothing has come for so long."""
_HIGH, _LOW = 0.8, 0.5
_LOOK_S = 0.25
_GREETING_MS = 10_000
_UNSPOKEN_S = 10.0
"""Words that became no sound in this time never will."""


class SoundPath:
    """Fits ``voice_agents.ports.MediaEar``. ``post`` takes facts, ``tell`` speaks to the agent, ``give_back``
    takes what waited for the gate and is not sound. Sound dropped past ``dropped_before_end`` is lost."""

    def __init__(
        self,
        spec: AgentSpec,
        codec: Codec,
        now: Now,
        post: Callable[[facts.Fact], None],
        tell: Callable[[talk.Told], bool],
        ears: CallerEars | None,
    ) -> None:
        self.spec, self.codec = spec, codec
        self._now, self._post, self._tell = now, post, tell
        self._ears = ears
        self.detects = ears is not None and ears.detects
        self.ledger = Ledger(codec, mask_digits=spec.secure_digits)
        self.gates = Gates()
        self.guards = Guards()
        self.pace = Pace()
        self.leg: MediaLeg | None = None
        self.hear: Callable[[bytes, int], None] | None = None  # where the agent wants words
        self.give_back: Callable[[Waiting], None] = lambda said: None
        self.text_level = False
        self.pending = 0
        """Turns of words that are being made into sound."""
        self.frame_at = 0.0
        self.frames = self.stale_ms = self.unsent = self.underruns = 0
        self.first_sound_at: float | None = None
        self._clock = AudioClock()
        self._heard_ms, self._sound_at = 0, 0.0
        self.stale = Stale()
        self.backlog = Backlog(codec)
        self._marks: dict[str, tuple[str, int]] = {}
        self._marked = 0
        self._prompts: dict[str, Callable[[bool], None]] = {}
        self._end_mark: int | None = None
        self._flow_high = False
        self._tones_from: int | None = None
        self.paused = False
        self.guard_turn = False
        """Whether the agent's first turn, its greeting, is not to be interrupted."""
        self.dropped_before_end = 0
        self._dropped_before: int | None = None
        self._look: asyncio.TimerHandle | None = None
        self._closed = False

    # ------------------------------------------------------------ clocks and places

    @property
    def at_ms(self) -> int:
        """The call's audio clock now."""
        return self._clock.ms

    @property
    def heard_ms(self) -> int:
        """What the leg has played in all."""
        if self.leg is not None:
            self._heard_ms = self.leg.heard_ms
        return self._heard_ms

    @property
    def queued_ms(self) -> int:
        return 0 if self.leg is None else self.leg.queued_ms

    def guarded(self) -> bool:
        """Whether what is heard now is not to be interrupted."""
        return self.guards.covers(self.ledger.ear(self.heard_ms))

    # ------------------------------------------------------------ from the switch

    def arrived(self, leg: MediaLeg) -> None:
        if self._closed:
            leg.hang_up()
            return
        self.leg = leg
        self.paused = False
        self._heard_ms = 0
        self.frames = 0
        self.ledger.other_ear()
        self._post(facts.MediaArrived())

    def audio(self, frame: bytes) -> None:
        """One frame of the caller's: fifty a second."""
        if self._closed:
            return
        now = self._now()
        self.frame_at = now
        self._clock.frame(now)
        self.frames += 1
        if self.frames == 1:
            self._post(facts.FirstFrame())
        gates = self.gates
        if gates.forwards and not self.text_level:
            self._tell(talk.CallerAudio(frame, self._clock.ms))
        if self._ears is not None:
            self._listen(self._ears, frame)
        if gates.sounding:
            self._see_whether_over(now)
        if self._flow_high and self.leg is not None and self.leg.fullness < _LOW:
            self._flow_high = False
            self._post(facts.FlowChanged("low"))

    def _listen(self, ears: CallerEars, frame: bytes) -> None:
        """Our own ears, and the detection of speech: without what may be the agent's echo."""
        if self.gates.sounding:
            frame = ears.without_echo(frame, self.ledger.ear(self.heard_ms))
        if self.hear is not None and self.gates.forwards:
            self.hear(frame, self._clock.ms)
        if (voicing := ears.voicing(frame)) is None:
            return
        at_ms = max(0, self._clock.ms - voicing.ago_ms)
        if voicing.speaking:
            self.speech_began(at_ms)
        else:
            self.speech_over(at_ms)

    def speech_began(self, at_ms: int) -> None:
        self.ledger.speech_began(at_ms)
        self._post(facts.SpeechBegan(at_ms, self.guarded()))

    def speech_over(self, at_ms: int) -> None:
        self.ledger.speech_over(at_ms)
        self._post(facts.SpeechOver(at_ms))

    def digit(self, digit: str) -> None:
        self.ledger.digit(digit, self._clock.ms)
        self._post(facts.Pressed(digit, self._clock.ms, self.guarded()))

    def mark(self, name: str, heard: bool) -> None:
        """A mark of ours came back."""
        if name not in self._marks:
            return
        known, place = self._marks.pop(name)
        if heard:
            self.ledger.reached(place, self.heard_ms)
        match name[0]:
            case "a":
                if heard:
                    self.ledger.mark_heard(known, place)
                self._tell(talk.MarkReached(known, heard))
            case "s" if heard:
                self.ledger.started(place, self._clock.ms)
            case "p":
                if (done := self._prompts.pop(name, None)) is not None:
                    done(heard)
            case "e" if heard:
                self._post(facts.EndHeard(int(known), self.pending > 0 or self.ledger.place > place))

    def gone(self, why: str) -> None:
        if self.leg is not None:
            self._heard_ms = self.leg.heard_ms
            self.leg = None
        self._dropped_before = self.ledger.dropped_ms
        self._cut()
        self._post(facts.MediaGone(why))
        self._dropped_before = None

    def note_end(self) -> None:
        """The end begins: what is dropped from here on, or was by what brought it about, are words lost."""
        before = self._dropped_before
        self.dropped_before_end = self.ledger.dropped_ms if before is None else before

    # ------------------------------------------------------------ from the agent

    def say(self, said: Waiting) -> None:
        """Sound, its words and its marks, in their order; before the gate opens they wait."""
        if self.gates.plays and not self.backlog:
            self._lay_out(said)
            return
        if isinstance(said, talk.Audio) and not self.gates.takes:
            return
        if not self.backlog.keep(said):
            self._drop_waiting()
            self._post(facts.FlowChanged("full"))

    def open_gate(self) -> None:
        """The caller is there: let out what waited."""
        for said in self.backlog.take():
            self._lay_out(said)

    def _drop_waiting(self) -> None:
        for said in self.backlog.take():
            if isinstance(said, talk.Mark):
                self._tell(talk.MarkReached(said.name, heard=False))

    def _lay_out(self, said: Waiting) -> None:
        match said:
            case talk.Audio(data=sound):
                self._play(sound)
            case talk.Caption(text=text, final=final):
                self.ledger.caption(text, self._clock.ms, final=final)
            case talk.Mark(name=name):
                self._set_mark(name)
            case talk.Guard(on=True, most_ms=most_ms):
                self.guards.on(self.ledger.place, most_ms)
            case talk.Guard():
                self.guards.off(self.ledger.place)
            case _:
                self.give_back(said)

    def _play(self, sound: bytes) -> None:
        now = self._now()
        if not self.gates.takes or self.leg is None or self.stale.sound(now):
            self.stale_ms += self.codec.ms(len(sound))
            return
        ratio = None if self.text_level else self.pace.sent(self.codec.ms(len(sound)), now)
        fresh = not self.gates.sounding or now - self._sound_at > _ARRIVING_S
        queued_ms = self.leg.queued_ms
        self.underruns += not (fresh or queued_ms)
        self._sound_at = now
        if self.first_sound_at is None:
            self.first_sound_at = now
        if self.guard_turn and self.ledger.agent_ms == 0:
            self.guards.on(self.ledger.place, _GREETING_MS)
        if self.ledger.begins_turn(self._clock.ms):
            self._leg_mark("s")
        if not self.leg.play(sound):
            self._post(facts.FlowChanged("full"))
            return
        self.ledger.sound(len(sound), self._clock.ms, queued_ms)
        self._note_levels(sound)
        if fresh:
            self._post(facts.SoundBegan())
            self._look_again(_LOOK_S)
        if not self._flow_high and self.leg is not None and self.leg.fullness >= _HIGH:
            self._flow_high = True
            self._post(facts.FlowChanged("high"))
        if ratio is not None:
            self._post(facts.RateWrong(ratio))

    def _note_levels(self, sound: bytes) -> None:
        if self._ears is not None:
            self._ears.queued(sound, self.ledger.place)

    def _set_mark(self, name: str) -> None:
        if self.leg is None or self.stale.holds(self._now()) or not self.gates.takes:
            self._tell(talk.MarkReached(name, heard=False))
            return
        self._leg_mark("a", name)

    def _leg_mark(self, kind: str, known: str = "") -> str:
        """Set a mark; its name on the wire is ours, short and without meaning."""
        assert self.leg is not None, "marks are set in a queue"
        self._marked += 1
        name = f"{kind}{self._marked}"
        self._marks[name] = (known, self.ledger.place)
        self.leg.mark(name)
        return name

    # ------------------------------------------------------------ words that become sound

    def asked_to_speak(self) -> None:
        """A turn of words began to be made into sound."""
        self.pending += 1
        if self.gates.plays and self.gates.takes:
            self.began()

    def began(self) -> None:
        """Something that the caller may interrupt is on its way."""
        self._sound_at = self._now()
        self._post(facts.SoundBegan())
        self._look_again(_LOOK_S)

    def spoken(self) -> None:
        """A turn of words has become sound."""
        self.pending = max(0, self.pending - 1)
        if not self.pending and self._end_mark is not None:
            mark, self._end_mark = self._end_mark, None
            self.mark_end(mark)

    # ------------------------------------------------------------ what the machine orders

    def mark_end(self, mark: int) -> None:
        """Post ``EndHeard`` once everything that was said is heard."""
        if self.pending:
            self._end_mark = mark
        elif self.leg is not None:
            self._leg_mark("e", str(mark))

    def flush(self, *, stale: bool) -> talk.Interrupted:
        """Drop what has not been heard; ``stale``: more of it is on its way. Returns how much was heard."""
        self.pending = 0
        self._end_mark = None
        self.paused = False
        self._drop_waiting()
        if self.leg is not None:
            self._heard_ms = self.leg.heard_ms
            self.leg.flush()
        if stale and not self.text_level:
            self.stale.begin(self._now())
        return self._cut()

    def _cut(self) -> talk.Interrupted:
        self.guards.off(self.ledger.place)
        cut = self.ledger.cut(self._heard_ms, self._clock.ms)
        if self._ears is not None:
            self._ears.dropped(self.ledger.place)
        return talk.Interrupted(cut.heard_ms, cut.heard_text, cut.after_mark, cut.after_mark_ms)

    def prompt(self, sound: bytes, done: Callable[[bool], None]) -> None:
        """Play sound of our own behind what is queued; ``done`` says whether it was heard to its end."""
        if self.leg is None or not self.leg.play(sound):
            done(False)
            return
        self.ledger.other(len(sound))
        self._note_levels(sound)
        name = f"p{self._marked + 1}"
        self._prompts[name] = done
        self._leg_mark("p")

    def tone(self, sound: bytes, done: Callable[[bool], None]) -> None:
        """The same for a tone, which ``drop_tone`` ends at once."""
        self._tones_from = self._tones_from if self._tones_from is not None else self.ledger.place
        self.prompt(sound, done)

    def drop_tone(self) -> None:
        """End a tone; what was said before it is heard to its end, if need be with the tone behind it."""
        began, self._tones_from = self._tones_from, None
        if began is not None and self.leg is not None and self.ledger.ear(self.heard_ms) >= began:
            dropped_ms = self.ledger.dropped_ms
            self.flush(stale=False)
            self.ledger.dropped_ms = dropped_ms

    def pause(self) -> None:
        if self.leg is not None:
            self.paused = True
            self.leg.pause()

    def resume(self) -> None:
        self.paused = False
        if self.leg is not None:
            self.leg.resume()

    # ------------------------------------------------------------ is it over?

    def _see_whether_over(self, now: float) -> None:
        if self.pending or now - self._sound_at < _EMPTY_S or self.queued_ms:
            return
        self.ledger.over(self._clock.ms)
        if self.guard_turn:
            self.guard_turn = False
            self.guards.off(self.ledger.place)
        self._post(facts.SoundOver())

    def _look_again(self, after_s: float) -> None:
        if self._look is None and not self._closed:
            self._look = asyncio.get_running_loop().call_later(after_s, self._looked)

    def _looked(self) -> None:
        """The same without the caller's frames, which may stay away."""
        self._look = None
        if not self.gates.sounding or self._closed:
            return
        now = self._now()
        if self.pending and not self.queued_ms and now - self._sound_at > _UNSPOKEN_S:
            self.pending = 0
        self._see_whether_over(now)
        if self.gates.sounding:
            self._look_again(min(1.0, max(0.1, self.queued_ms / 1000)))

    def close(self) -> None:
        """Nothing more is wanted of it."""
        self._closed = True
        if self._look is not None:
            self._look.cancel()
            self._look = None
