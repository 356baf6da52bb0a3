"""A stream that outgrows its hold, as the stock SDK of a vendor sees it: some words, then the SDK's own exception."""

import sys

import anthropic
import openai

SCRIPT = {"x-mock": "growing tokens=2000 events=40 every=20"}
WORDS = [{"role": "user", "content": "hi"}]


def chat(front, key):
    api = openai.OpenAI(api_key=key, base_url=f"{front}/openai/v1", max_retries=0)
    tools = [{"type": "web_search"}]
    return api.chat.completions.create(
        model="penny-1", messages=WORDS, stream=True, max_tokens=5000, extra_body={"tools": tools}, extra_headers=SCRIPT
    )


def message(front, key):
    api = anthropic.Anthropic(api_key=key, base_url=f"{front}/anthropic", max_retries=0)
    tools = [{"type": "web_search_20250305", "name": "web_search"}]
    return api.messages.create(
        model="nickel-a", messages=WORDS, stream=True, max_tokens=5000, tools=tools, extra_headers=SCRIPT
    )


vendor, front, key = sys.argv[1:]
open_stream, raised = {"openai": (chat, openai.APIError), "anthropic": (message, anthropic.APIStatusError)}[vendor]
seen = 0
try:
    for _ in open_stream(front, key):
        seen += 1
except raised as error:
    assert seen > 10, seen
    # The SDK's own text holds our sentence, its body our code.
    print(type(error).__name__, error, error.body)
    sys.exit(0)
sys.exit(f"nothing was raised after {seen} events")
