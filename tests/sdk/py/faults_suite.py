"""The openai and anthropic SDKs for Python through bursar, on a vendor that fails on command.

What the vendor says about itself passes, and the SDK's own retries work; what it says about our credential does not.
Anthropic's address has a path (/anthropic), so the vendor must receive that path and what follows it.
"""

import json
import urllib.request

import anthropic
import openai
from suite import Suite, env, raised, run

CHAT = "POST /v1/chat/completions"
MESSAGES = "POST /anthropic/v1/messages"
TEXT = [{"role": "user", "content": "plain hello"}]


def fault(**behavior):
    """Queues one behaviour of the mock vendor, and drops what an earlier case left."""
    address = f"{env('BURSAR_FAULTS_URL')}/_llmock/scenario"
    for method, body in (("DELETE", None), ("POST", json.dumps({"behaviors": [behavior]}).encode())):
        urllib.request.urlopen(urllib.request.Request(address, data=body, method=method), timeout=10).read()


def chat(style, url=None, **more):
    api = openai.OpenAI(api_key=style.key(), base_url=f"{url or style.url}/v1")
    return api.chat.completions.create(model="gpt-4o-mini", messages=TEXT, max_tokens=32, **more)


def message(style, url=None, **more):
    # In direct mode bursar does not add the path of the vendor's address.
    base = url or style.url + ("/anthropic" if claude.direct else "")
    api = anthropic.Anthropic(api_key=style.key(), base_url=base)
    return api.messages.create(model="claude-haiku-4-5", max_tokens=64, messages=TEXT, **more)


gpt = Suite("openai", title="faults openai")
claude = Suite("anthropic", title="faults anthropic")


@gpt.case
def a_vendor_error_is_retried_by_the_sdk(style):
    fault(type="fail", status=500, times=2)
    with gpt.vendor_sees(CHAT, CHAT, CHAT):
        assert chat(style).choices[0].message.content


@gpt.case
def a_vendor_that_stays_down(style):
    fault(type="fail", status=503, times=3)
    with gpt.vendor_sees(CHAT, CHAT, CHAT):
        assert raised(lambda: chat(style), openai.InternalServerError).status_code == 503


@gpt.case
def a_vendor_rate_limit_keeps_its_retry_after(style):
    fault(type="fail", status=429, retry_after=1)
    with gpt.vendor_sees(CHAT, CHAT):
        assert chat(style).choices[0].message.content


@gpt.case
def a_stream_that_the_vendor_cuts_is_not_complete(style):
    fault(type="stream_fault", kind="disconnect", after_chunks=2)
    seen = []

    def read():
        seen.extend(chat(style, stream=True))

    with gpt.vendor_sees(CHAT):
        raised(read, Exception)
    assert not any(choice.finish_reason for chunk in seen for choice in chunk.choices)


@gpt.bursar_case
def a_vendor_that_refuses_our_credential(style):
    fault(type="fail", status=401)
    code = "vendor_credential_rejected"
    gpt.refused(lambda: chat(style, style.front), openai.PermissionDeniedError, code=code, reaching_vendor=1)


@claude.case
def a_message(style):
    with claude.vendor_sees(MESSAGES):
        assert message(style).content[0].text


@claude.case
def an_overloaded_vendor_is_retried_by_the_sdk(style):
    fault(type="fail", status=529, times=1)
    with claude.vendor_sees(MESSAGES, MESSAGES):
        assert message(style).content[0].text


@claude.case
def a_stream_that_the_vendor_cuts_is_not_complete_either(style):
    fault(type="stream_fault", kind="disconnect", after_chunks=2)
    seen = []

    def read():
        seen.extend(message(style, stream=True))

    with claude.vendor_sees(MESSAGES):
        raised(read, Exception)
    assert all(event.type != "message_stop" for event in seen)


@claude.bursar_case
def a_vendor_that_refuses_our_credential_too(style):
    fault(type="fail", status=401)
    code = "vendor_credential_rejected"
    claude.refused(lambda: message(style, style.front), anthropic.PermissionDeniedError, code=code, reaching_vendor=1)


run(gpt, claude)
