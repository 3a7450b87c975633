"""For people who write agents for Patchbay: a voice on the telephone in a few lines.

    from patchbay_agent import Call, run

    async def on_call(call: Call) -> None:
        await call.say("Hello, what can I do for you?")
        async for turn in call:
            await call.say(f"You said: {turn.text}")

    run(on_call, port=8765, secret="the agent's secret")

``async for`` ends once the call is about to end; what is said after it is the farewell. Returning hangs up.
The protocol below is docs/agents-native.md; nothing of it needs this package.
"""

from patchbay_agent.call import Call, CallEnding, ToolFailed, Turn
from patchbay_agent.server import run, serving
from patchbay_agent.signature import proves

__all__ = ["Call", "CallEnding", "ToolFailed", "Turn", "proves", "run", "serving"]
