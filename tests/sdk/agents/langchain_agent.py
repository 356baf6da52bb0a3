"""An agent of LangChain, as it comes: chat completions, with no more than an address and a key."""

from langchain.agents import create_agent
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from model import env
from scenes import play, tools


def run(key, prompt):
    chat = ChatOpenAI(model="penny-1", api_key=key, base_url=f"{env('BURSAR_URL')}/openai/v1")
    agent = create_agent(chat, tools=[tool(function) for function in tools(key)])
    return agent.invoke({"messages": [{"role": "user", "content": prompt}]})["messages"][-1].content


play("langchain", run)
