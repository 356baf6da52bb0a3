"""An agent of the OpenAI Agents SDK, as it comes: its usual Responses API, with no more than an address and a key."""

import asyncio

from agents import Agent, OpenAIResponsesModel, Runner, function_tool, set_tracing_disabled
from model import env
from openai import AsyncOpenAI
from scenes import play, tools

set_tracing_disabled(True)  # its traces go to OpenAI itself, with the key


def run(key, prompt):
    async def go():
        async with AsyncOpenAI(api_key=key, base_url=f"{env('BURSAR_URL')}/openai/v1") as client:
            agent = Agent(
                name="cashier",
                instructions="Do what the user says.",
                model=OpenAIResponsesModel(model="penny-1", openai_client=client),
                tools=[function_tool(tool) for tool in tools(key)],
            )
            return (await Runner.run(agent, prompt)).final_output

    return asyncio.run(go())


play("openai-agents", run)
