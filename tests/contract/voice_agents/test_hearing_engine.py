"""The offline engine's process: refusals, failures, and what is left behind."""

from __future__ import annotations

import asyncio
import json
import os
import select
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from telephony.errors import InvalidInput, SpeechUnavailable
from voice_agents.core.grammar import Grammar, Rule
from voice_agents.ports import Heard
from voice_agents.providers.pocketsphinx_stt import PocketsphinxSettings, PocketsphinxSpeech

pytestmark = pytest.mark.contract

YES = Grammar("yes", (Rule("yes", "yes"),))
SOUND = bytes(16000)
SLOW_S = 30.0
READY = "echo '{\"ready\": true}'; "


def shell(script: str, **settings: object) -> PocketsphinxSpeech:
    """An engine whose worker is this script."""
    command = ("/bin/sh", "-c", script)
    return PocketsphinxSpeech(PocketsphinxSettings(command=command, **settings))  # type: ignore[arg-type]


async def hear(engine: PocketsphinxSpeech, grammar: Grammar = YES, sound: bytes = SOUND) -> Heard:
    turn = engine.listen("en-US", 8000, grammar, lambda heard: None)
    turn.feed(sound)
    return await turn.finish()


def runs(pid: int) -> bool:
    """Whether the process lives on; one that was killed may take a moment to die."""
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return False
    try:
        return not select.select([process], [], [], 10)[0]
    finally:
        os.close(process)


def is_there(pid: Path) -> bool:
    return Path(f"/proc/{pid.read_text().strip()}").exists()


@pytest_asyncio.fixture
async def real() -> AsyncIterator[PocketsphinxSpeech]:
    engine = PocketsphinxSpeech(PocketsphinxSettings(deadline_s=60.0, start_s=60.0))
    yield engine
    await engine.close()


@pytest.mark.parametrize(
    ("language", "rate_hz", "grammar", "field"),
    [("de-DE", 8000, YES, "language"), ("en-US", 11025, YES, "rate_hz"), ("en-US", 8000, None, "grammar")],
)
async def test_what_is_refused_names_the_field(
    real: PocketsphinxSpeech, language: str, rate_hz: int, grammar: Grammar | None, field: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        real.listen(language, rate_hz, grammar, lambda heard: None)
    assert refused.value.field == field


async def test_nothing_and_what_was_cancelled_is_heard_as_nothing(real: PocketsphinxSpeech) -> None:
    turn = real.listen("en-US", 8000, YES, lambda heard: None)
    assert await turn.finish() == Heard("", 0.0)
    turn.feed(SOUND)
    turn.cancel()
    turn.feed(SOUND)
    assert await turn.finish() == Heard("", 0.0)


async def test_words_that_the_engine_does_not_know_cost_only_their_rule(real: PocketsphinxSpeech) -> None:
    both = Grammar("both", (Rule("x", "xyzzyxyzzy"), Rule("yes", "yes")))
    assert (await hear(real, both)).text == ""
    with pytest.raises(InvalidInput, match="engine"):
        await hear(real, Grammar("none", (Rule("x", "xyzzyxyzzy"),)))
    assert (await hear(real)).text == ""


async def test_more_grammars_than_are_kept(real: PocketsphinxSpeech) -> None:
    words = ["alpha", "bravo", "charlie", "delta", "echo", "foxtrot", "golf", "hotel", "india", "juliet"]
    for first in words:
        for second in words[:8]:
            await hear(real, Grammar("g", (Rule("x", f"{first} {second}"),)), SOUND[:1600])
    assert (await hear(real)).text == ""


@pytest.mark.parametrize(
    "script",
    ["exit 1", "echo nonsense", READY + "exit 0", READY + "cat > /dev/null", READY + "read a; echo nonsense",
     READY + "read a; echo '[]'", READY + "read a; echo '{}'", READY + "read a; printf '{\"unknown\": []'"],
)  # fmt: skip
async def test_a_broken_engine_is_said_so_and_another_is_begun(script: str) -> None:
    """One that is mute is waited for; any other is found out at once."""
    engine = shell(script, deadline_s=1.0 if "cat" in script else SLOW_S, start_s=SLOW_S)
    for _ in range(2):
        with pytest.raises(SpeechUnavailable):
            await hear(engine)
    await engine.close()


async def test_an_engine_that_is_begun_anew_is_asked_for_the_words_anew(tmp_path: Path) -> None:
    """Asked for a word, it also learns how that sounds by telephone: the next one knows nothing of this."""
    asked, pid = tmp_path / "asked", tmp_path / "pid"
    tells = 'echo \'{"unknown": []}\'; read b; echo "$b" >> %s; echo \'{"text": "yes", "surplus": 0}\''
    script = f'echo $$ > {pid}; {READY} read a; echo "$a" >> {asked}; {tells % asked}; cat > /dev/null'
    engine = shell(script, deadline_s=SLOW_S, start_s=SLOW_S)
    assert (await hear(engine)).text == "yes"
    os.kill(int(pid.read_text()), signal.SIGKILL)
    with pytest.raises(SpeechUnavailable):
        await hear(engine)
    assert (await hear(engine)).text == "yes"
    await engine.close()
    assert [json.loads(line)["op"] for line in asked.read_text().splitlines()] == ["know", "hear"] * 2


async def test_a_missing_engine_is_said_so(tmp_path: Path) -> None:
    engine = PocketsphinxSpeech(PocketsphinxSettings(command=(str(tmp_path / "absent"),)))
    with pytest.raises(SpeechUnavailable):
        await hear(engine)


async def test_a_hanging_engine_is_ended_with_its_children(tmp_path: Path) -> None:
    child = tmp_path / "child"
    engine = shell(f"sleep 600 & echo $! > {child}; {READY} wait", deadline_s=0.5, start_s=SLOW_S)
    with pytest.raises(SpeechUnavailable, match="in time"):
        await hear(engine)
    assert not runs(int(child.read_text()))


async def test_who_waits_behind_a_slow_turn_waits_no_longer_than_the_deadline() -> None:
    engine = shell(READY + "cat > /dev/null", deadline_s=0.5, start_s=SLOW_S, waiting=2)
    results = await asyncio.gather(*(hear(engine) for _ in range(5)), return_exceptions=True)
    assert all(isinstance(result, SpeechUnavailable) for result in results)
    assert sum("too many" in str(result) for result in results) == 3
    await engine.close()


async def test_closing_ends_the_process_and_refuses_what_follows(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    script = f"echo $$ > {pid}; {READY} read a; echo '{{\"unknown\": []}}'; cat > /dev/null"
    engine = shell(script, deadline_s=SLOW_S, start_s=SLOW_S)
    await engine.warm()
    assert is_there(pid)
    await engine.close()
    assert not runs(int(pid.read_text()))
    with pytest.raises(SpeechUnavailable, match="closed"):
        await hear(engine)


async def test_closing_ends_who_waits(tmp_path: Path) -> None:
    asked = tmp_path / "asked"
    os.mkfifo(asked)
    engine = shell(f"{READY} read a; echo yes > {asked}; cat > /dev/null", deadline_s=SLOW_S, start_s=SLOW_S)
    waiting = asyncio.create_task(hear(engine))
    assert await asyncio.to_thread(asked.read_text) == "yes\n"
    await engine.close()
    with pytest.raises(SpeechUnavailable):
        await waiting


async def test_the_engine_needs_no_sound_card() -> None:
    """Neither the worker's own import nor its model wants anything but the package."""
    script = (
        "import sys; sys.modules['sounddevice'] = None; import pocketsphinx, os; "
        "print(os.path.exists(pocketsphinx.get_model_path('en-us/en-us/means')))"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-I", "-c", script, stdout=asyncio.subprocess.PIPE, env=dict(os.environ)
    )
    out, _ = await process.communicate()
    assert out == b"True\n"
