"""The agents' story: a caller speaks with the built-in receptionist, interrupts it, and is understood; the
app hangs up, and the agent says goodbye first.

The caller's words are made by the speech engine and played by a simulated phone behind the carrier.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, Final

from gateway.trial.audio import RATE, SILENCE_DB, active_seconds, level_db, read_wav
from gateway.trial.demo.report import Told
from gateway.trial.demo.stage import CARRIER_IP, OWN_NUMBER, Json, Stage, StoryBroken
from gateway.trial.demo.voices import spoken
from gateway.trial.sip_call import CallState
from gateway.trial.sip_outgoing import Dial, OutgoingCall
from gateway.trial.sip_phone import SipPhone

CALLER: Final = "+14155550180"
GREETING: Final = (
    "Good afternoon, this is the bicycle workshop on Harbour Street, where we mend, sell and rent bicycles "
    "of every kind, for grown people and for children. How can I help you?"
)
HOURS: Final = "We are open from nine to five, Monday to Friday."
QUESTION: Final = "what are your opening hours"
_ALIVE_DB: Final = -45.0


async def agents(stage: Stage, told: Told) -> None:
    """Register the receptionist, give it the number's calls, call it, and read what was said."""
    question = await spoken(stage, QUESTION)
    number_id, agent = await _take_calls(stage)
    async with await SipPhone.open(CARRIER_IP, stage.carrier_port, name="carrier") as carrier:
        assert stage.stack.switch is not None, "the demonstration runs its own switch"
        address = stage.stack.switch.address
        call = carrier.call(Dial(OWN_NUMBER, (address.sip_host, address.sip_port), CALLER))
        await call.reaches(CallState.ANSWERED, within_s=15.0)
        call_id = await _newest(stage)
        stage.say("the agent was ready, and the call is answered")
        await _converse(stage, told, call, call_id, question)
        await _hang_up(stage, told, call, call_id)
    await _afterwards(stage, told, call_id)
    await stage.ok("PATCH", f"/api/v1/numbers/{number_id}", {"route": {"type": "hold"}})
    told.check("the receptionist is the agent of the call", agent["id"].startswith("agt_"))


async def _take_calls(stage: Stage) -> tuple[str, Json]:
    wanted = {
        "name": "receptionist",
        "dialect": "builtin",
        "greeting": {"text": GREETING},
        "reception": {"business_name": "Bicycle workshop", "hours": HOURS},
        "record": True,
        "barge_in": {"mode": "pause"},
    }
    agent: Json = await stage.ok("POST", "/api/v1/agents", wanted)
    stage.say(f"POST /api/v1/agents: {agent['id']}, the built-in receptionist; no account, no network")
    listed = await stage.ok("GET", "/api/v1/numbers")
    number_id = str(next(number["id"] for number in listed if OWN_NUMBER in number.values()))
    route = {"type": "agent", "agent_id": agent["id"]}
    await stage.ok("PATCH", f"/api/v1/numbers/{number_id}", {"route": route})
    return number_id, agent


async def _newest(stage: Stage) -> str:
    listed = await stage.ok("GET", f"/v1/voice/calls?to={OWN_NUMBER.replace('+', '%2B')}&limit=1")
    return str(listed[0]["id"])


async def _converse(stage: Stage, told: Told, call: OutgoingCall, call_id: str, question: bytes) -> None:
    """The caller hears the greeting begin, speaks over it, and gets an answer."""
    await call.hears(lambda pcm: active_seconds(pcm) >= 2.0, 10.0, "the greeting")
    stage.say(f"the caller has heard the greeting begin, and says over it: “{QUESTION}”")
    call.stream.play(question, repeat=False)
    turns = await _turns_until(stage, call_id, lambda found: _spoke(found, "agent", HOURS), 30.0)
    greeting = next((turn for turn in turns if turn["role"] == "agent"), {})
    told.check("the agent let itself be interrupted", greeting.get("interrupted") is True, greeting)
    told.check("what was heard of the greeting is its beginning", _is_a_beginning(greeting), greeting)
    understood = next((turn["said"] for turn in turns if turn["role"] == "caller"), "")
    told.check("the caller was understood", "opening hours" in understood, understood)
    told.check("the agent gave the opening hours", _spoke(turns, "agent", HOURS))


async def _hang_up(stage: Stage, told: Told, call: OutgoingCall, call_id: str) -> None:
    before = len(call.stream.heard())
    ended = await stage.ok("POST", f"/v1/voice/calls/{call_id}/hangup")
    await call.reaches(CallState.ENDED, within_s=15.0)
    farewell = call.stream.heard()[before:]
    told.check("hang-up by API completes the call", ended["status"] == "completed", ended["status"])
    told.check("the caller heard a farewell after it", active_seconds(farewell) > 0.4)


async def _afterwards(stage: Stage, told: Told, call_id: str) -> None:
    """The summary, the evidence, the recording and the transcript."""
    call = await _recorded(stage, call_id)
    on_call, summary = call["agent"], call["agent_summary"]
    told.check("the agent was told first", str(on_call["agent_notified_at"]) < str(call["ended_at"]), on_call)
    told.check("no last word was lost", on_call["words_lost_ms"] == 0, on_call["words_lost_ms"])
    told.check("there is a summary", bool(summary and summary["text"]), summary)
    wave = await _download(stage, str(call["recording_url"]), call_id)
    agent = wave.channel(1)
    last = agent[-4 * 2 * RATE :]
    loud = max((level_db(last[at : at + 3200]) for at in range(0, len(last), 3200)), default=SILENCE_DB)
    told.check("the farewell is in the recording", loud > _ALIVE_DB, loud)
    async with stage.http.get(f"{stage.root}/v1/voice/calls/{call_id}/transcript?format=text") as response:
        text = await response.text()
    told.check("the transcript can be read", response.status == 200 and "opening hours" in text)
    for line in text.splitlines():
        stage.say(line)
    stage.say(f"summary ({summary['by']}): {summary['text']}")


async def _turns_until(stage: Stage, call_id: str, holds: Any, within_s: float) -> list[Json]:
    found: list[Json] = []
    try:
        async with asyncio.timeout(within_s):
            while True:
                status, answer = await stage.ask("GET", f"/v1/voice/calls/{call_id}/transcript")
                found = list(answer["data"]["sessions"][0]["turns"]) if status == 200 else []
                if holds(found):
                    return found
                await asyncio.sleep(0.1)
    except TimeoutError:
        raise StoryBroken(f"it was not said in {within_s:g} s: {found}") from None


def _spoke(turns: list[Json], role: str, text: str) -> bool:
    """Whether this was heard to its end, in one of the role's turns."""
    return any(turn["role"] == role and text in str(turn.get("heard") or "") for turn in turns)


def _is_a_beginning(turn: Json) -> bool:
    heard = str(turn.get("heard") or "")
    return 0 < len(heard) < len(GREETING) and GREETING.startswith(heard.rstrip(" .…"))


async def _recorded(stage: Stage, call_id: str) -> Json:
    """The call once its recording can be had and its agent has accounted for it."""
    async with asyncio.timeout(40):
        while True:
            call = await stage.call(call_id)
            if call["recording_url"] and call["agent"]["ended_at"]:
                return call
            await asyncio.sleep(0.1)


async def _download(stage: Stage, url: str, call_id: str) -> Any:
    path = Path(stage.folder) / f"{call_id}.wav"
    async with stage.http.get(url, headers={"X-API-Key": ""}) as response:
        path.write_bytes(await response.read())
    return await asyncio.to_thread(read_wav, path)
