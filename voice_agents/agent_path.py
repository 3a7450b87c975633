"""A session's way to its agent: one line at a time, its words in and out, and speech where it has none."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import TypeVar

import structlog

from telephony.errors import AgentUnavailable
from voice_agents.core import facts, talk
from voice_agents.core.agent import AgentSpec, DialectName
from voice_agents.core.backlog import Waiting
from voice_agents.core.barge_in import GUARD_MOST_MS
from voice_agents.ports import AgentLine, SpeechFront
from voice_agents.sound_path import SoundPath
from voice_agents.surroundings import Surroundings

_log = structlog.get_logger("voice_agents.agent")
_OPEN_S = 10.0
_CLOSE_S = 7.0
_STUCK_S = 1.0
_T = TypeVar("_T")

Spawn = Callable[[Coroutine[object, object, None]], asyncio.Task[None]]


def text_level(spec: AgentSpec) -> bool:
    """Whether this agent reads and writes words, and speech is ours."""
    return spec.dialect in (DialectName.CONVERSATION_RELAY, DialectName.BUILTIN)


class _Ear:
    """What one line has to say; late words of an old one go nowhere."""

    def __init__(self, path: AgentPath, number: int) -> None:
        self._path, self._number = path, number

    def said(self, said: talk.Said) -> None:
        self._path.said(self._number, said)

    def lost(self, why: str) -> None:
        self._path.lost(self._number, why)


class _FrontEar:
    """What our own speech has to say."""

    def __init__(self, path: AgentPath, sound: SoundPath) -> None:
        self._path, self._sound = path, sound

    def caught(self, told: talk.Utterance | talk.SpeechStarted | talk.SpeechStopped) -> None:
        match told:
            case talk.SpeechStarted(at_ms=at_ms):
                if not self._sound.detects:
                    self._sound.speech_began(at_ms)
            case talk.SpeechStopped(at_ms=at_ms):
                if not self._sound.detects:
                    self._sound.speech_over(at_ms)
            case talk.Utterance():
                self._path.utterance(told)

    def voiced(self, said: talk.Caption | talk.Audio) -> None:
        self._path.voiced(said)

    def spoken(self) -> None:
        self._path.spoken()

    def failed(self, fault: talk.Fault) -> None:
        if fault.code == "not_understood":
            self._path.answered()
        self._path.tell(fault)


class AgentPath:
    """``post`` takes facts; ``spawn`` keeps a task until it is done."""

    def __init__(
        self,
        spec: AgentSpec,
        around: Surroundings,
        sound: SoundPath,
        post: Callable[[facts.Fact], None],
        spawn: Spawn,
    ) -> None:
        self.spec = spec
        self._around, self._sound, self._post, self._spawn = around, sound, post, spawn
        self.summary: talk.Summary | None = None
        self._line: AgentLine | None = None
        self._number = 0
        self._early: list[talk.Said] = []
        self._early_loss = ""
        self._opening: asyncio.Task[None] | None = None
        self._unread_since: float | None = None
        self._stuck_told = False
        self._front: SpeechFront | None = None
        self._turn_open = self._dropping = False
        self._guarded: list[bool] = []
        """The turns of words that are being made into sound, and whether they are not to be interrupted."""
        self._guarding = False
        sound.give_back = self._give_back

    # ------------------------------------------------------------ the line

    def open(self, number: int, spec: AgentSpec, begin: talk.Begin) -> None:
        """Dial; ``LineOpened`` or ``LineFailed`` follows."""
        self._drop_opening()
        self.spec, self._number = spec, number
        self._early, self._early_loss = [], ""
        self._unread_since, self._stuck_told = None, False
        self._opening = self._spawn(self._dial(number, spec, begin))

    async def _dial(self, number: int, spec: AgentSpec, begin: talk.Begin) -> None:
        try:
            async with asyncio.timeout(_OPEN_S):
                line = await self._around.lines.open(spec, begin, _Ear(self, number))
        except AgentUnavailable as error:
            again = error.why != "forbidden"
            self._opening_failed(number, error.why, again=again)
            return
        except TimeoutError:
            self._opening_failed(number, "timeout", again=True)
            return
        except Exception:  # noqa: BLE001  # why: edge of a task; a line never opened must not go unnoticed
            _log.exception("agent.open_broken", agent=spec.id)
            self._around.tally.broken += 1
            self._opening_failed(number, "broken", again=True)
            return
        if number != self._number:
            self._spawn(_closed(line, 1001))
            return
        self._opening, self._line = None, line
        self._post(facts.LineOpened(number))
        self._catch_up(number)

    def _opening_failed(self, number: int, why: str, *, again: bool) -> None:
        if number == self._number:
            self._opening = None
            self._post(facts.LineFailed(number, why, again))

    def _catch_up(self, number: int) -> None:
        """What the agent said before we knew that its line was open."""
        early, self._early = self._early, []
        for said in early:
            self.said(number, said)
        if self._early_loss:
            self.lost(number, self._early_loss)

    def _drop_opening(self) -> None:
        if self._opening is not None:
            self._opening.cancel()
            self._opening = None

    def close(self, code: int) -> None:
        """Close the line, or stop opening it; nothing is heard from it any more."""
        self._drop_opening()
        line, self._line, self._number = self._line, None, 0
        if line is not None:
            self._spawn(_closed(line, code))

    def lost(self, number: int, why: str) -> None:
        if number != self._number:
            return
        if self._line is None:
            self._early_loss = why
            return
        self._line = None
        self._post(facts.LineLost(number, why))

    # ------------------------------------------------------------ to the agent

    def tell(self, told: talk.Told) -> bool:
        """Say it, and notice an agent that takes nothing. False where there is no line, or it took none."""
        line = self._line
        if line is None:
            return False
        if line.tell(told):
            self._unread_since = None
            return True
        if isinstance(told, talk.Ending):
            self._post(facts.NotTold(self._number))
            return False
        self._sound.unsent += isinstance(told, talk.CallerAudio)
        now = self._around.now()
        if self._unread_since is None:
            self._unread_since = now
        elif now - self._unread_since > _STUCK_S and not self._stuck_told:
            self._stuck_told = True
            self._post(facts.LineStuck(self._number))
        return False

    # ------------------------------------------------------------ from the agent

    def said(self, number: int, said: talk.Said) -> None:
        """Sound is laid out at once; what may change the course of events becomes a fact."""
        if number != self._number:
            return
        if self._line is None:
            self._early.append(said)
            return
        match said:
            case talk.Audio(data=sound) if not self._sound.gates.listens:
                self._sound.stale_ms += self._sound.codec.ms(len(sound))
            case talk.Audio() | talk.Caption() | talk.Mark() | talk.Guard():
                self._sound.say(said)
            case talk.HangUp() | talk.Transfer() if self._sound.backlog:
                self._sound.say(said)
            case talk.Ready(wants=wants):
                self._listen(text_level(self.spec) or "transcripts" in wants)
                self._post(facts.LineReady(number))
            case talk.Words() | talk.Play() | talk.Language():
                self._speak(said)
            case talk.CallerWords(text=text, final=final):
                if final and text.strip():
                    self._sound.ledger.callers_words(text.strip(), self._sound.at_ms)
                self._post(facts.AgentSaid(number, said))
            case talk.CallerSpoke():
                self._post(facts.FarEndHeard(number, self._sound.guarded()))
                self._sound.stale.end()
            case talk.Clear():
                self._sound.stale.end()
                self._post(facts.AgentSaid(number, said))
                self._sound.stale.end()
            case talk.Summary():
                self.summary = said
                self._post(facts.AgentSaid(number, said))
            case _:
                self._post(facts.AgentSaid(number, said))

    def _give_back(self, said: Waiting) -> None:
        self._post(facts.AgentSaid(self._number, said))

    # ------------------------------------------------------------ words

    def _front_or_none(self) -> SpeechFront | None:
        fronts = self._around.fronts
        if self._front is None and fronts is not None:
            ear = _FrontEar(self, self._sound)
            self._front = fronts.front(self.spec, self._sound.codec, ear)
        return self._front

    def _listen(self, wanted: bool) -> None:
        """Have what the caller says understood, where the agent wants words."""
        front = self._front_or_none() if wanted else None
        self._sound.text_level = text_level(self.spec)
        self._sound.hear = None if front is None else front.hear

    def utterance(self, told: talk.Utterance) -> None:
        """Words of the caller's, as our own ears understood them."""
        if not told.text.strip():
            return
        if told.final:
            self._sound.ledger.utterance(told.text, told.at_ms, told.until_ms, told.confidence)
        if told.final:
            self.answered()
        self._post(facts.WordsCaught())
        self.tell(told)

    def answered(self) -> None:
        """The caller has spoken since: what the agent says now is no rest of a turn that was dropped."""
        self._dropping = False

    def _speak(self, said: talk.Words | talk.Play | talk.Language) -> None:
        front = self._front_or_none()
        if front is None:
            self.tell(talk.Fault("no_speech", "words cannot be spoken here"))
            return
        if isinstance(said, talk.Language):
            front.language(said)
            return
        if not (self._sound.gates.takes and self._sound.gates.listens):
            return
        last = not isinstance(said, talk.Words) or said.last
        if isinstance(said, talk.Words) and self._dropping:
            self._dropping = not last
            front.speak(said)
            return
        if not self._turn_open:
            self._guarded.append(not said.interruptible)
            self._sound.asked_to_speak()
        self._turn_open = not last
        if isinstance(said, talk.Words):
            front.speak(said)
        else:
            front.play(said)

    def voiced(self, said: talk.Caption | talk.Audio) -> None:
        """A piece of the first turn that is being made, or its words."""
        if isinstance(said, talk.Audio) and self._guarded and self._guarded[0] and not self._guarding:
            self._guarding = True
            self._sound.say(talk.Guard(True, GUARD_MOST_MS))
        self._sound.say(said)

    def greet(self, words: talk.Words) -> None:
        """Greet for the agent, as its dialect wants it."""
        self._speak(words)

    def spoken(self) -> None:
        """One turn of words, or one sound at an address, has become sound."""
        if self._guarded:
            self._guarded.pop(0)
        if self._guarding:
            self._guarding = False
            self._sound.say(talk.Guard(False))
        self._sound.spoken()

    def stop_speaking(self) -> None:
        """Words that are not sound yet never will be."""
        self._guarded, self._guarding = [], False
        self._dropping, self._turn_open = self._turn_open or self._dropping, False
        if self._front is not None:
            self._front.stop()

    async def finish(self) -> None:
        """Give back what it holds."""
        if self._front is not None:
            front, self._front = self._front, None
            self._sound.hear = None
            try:
                async with asyncio.timeout(_CLOSE_S):
                    await front.close()
            except Exception:  # noqa: BLE001  # why: the session is over, and nothing is left that it could end
                _log.exception("agent.front_not_closed")


async def _closed(line: AgentLine, code: int) -> None:
    """Close a line, however long its agent takes to notice."""
    try:
        async with asyncio.timeout(_CLOSE_S):
            await line.close(code)
    except TimeoutError:
        _log.info("agent.close_unanswered")
    except Exception:  # noqa: BLE001  # why: a line that breaks while it is closed is closed
        _log.exception("agent.close_broken")
