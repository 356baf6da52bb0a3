"""The openai SDK for Python through bursar: chat, responses and embeddings, plain and streamed, and every refusal."""

import json
from decimal import Decimal

import openai
from suite import Suite, run

CHAT = "POST /v1/chat/completions"
MODEL = "gpt-4o-mini"
TOKENS = (12, 7)  # what the mock vendor reports for every answer

suite = Suite("openai")


def client(style, key="", url=None):
    return openai.OpenAI(api_key=style.key(key), base_url=f"{url or style.url}/v1")


def ask(api, text="plain hello", model=MODEL, **more):
    return api.chat.completions.create(model=model, messages=[{"role": "user", "content": text}], max_tokens=32, **more)


@suite.case
def chat(style):
    with suite.vendor_sees(CHAT) as seen:
        answer = ask(client(style))
    assert answer.choices[0].message.content == "Hello from the mock vendor."
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == TOKENS
    assert json.loads(seen[0]["body"])["max_tokens"] == 32


@suite.bursar_case
def chat_says_what_it_cost(style):
    with suite.vendor_sees(CHAT):
        raw = client(style).chat.completions.with_raw_response.create(
            model=MODEL, messages=[{"role": "user", "content": "plain hello"}], max_tokens=32
        )
    assert raw.headers["x-bursar-call"], dict(raw.headers)
    assert 0 < Decimal(raw.headers["x-bursar-cost-usd"]) < 1, dict(raw.headers)
    assert 0 < Decimal(raw.headers["x-bursar-remaining-usd"]), dict(raw.headers)


@suite.case
def chat_without_a_limit(style):
    with suite.vendor_sees(CHAT):
        answer = client(style).chat.completions.create(
            model=MODEL, messages=[{"role": "user", "content": "plain hello"}]
        )
    assert answer.choices[0].finish_reason == "stop"


@suite.case
def chat_stream_hides_usage_nobody_asked_for(style):
    with suite.vendor_sees(CHAT) as seen:
        chunks = list(ask(client(style), "stream hello", stream=True))
    assert "".join(c.choices[0].delta.content or "" for c in chunks) == "Hello in several pieces from the mock vendor."
    assert all(c.choices for c in chunks), "a chunk without choices reached the caller"
    assert all(c.usage is None for c in chunks), "usage reached a caller who did not ask for it"
    if not suite.direct:
        assert json.loads(seen[0]["body"])["stream_options"]["include_usage"] is True


@suite.case
def chat_stream_gives_usage_that_was_asked_for(style):
    with suite.vendor_sees(CHAT):
        chunks = list(ask(client(style), "stream hello", stream=True, stream_options={"include_usage": True}))
    assert (
        "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
        == "Hello in several pieces from the mock vendor."
    )
    assert (chunks[-1].usage.prompt_tokens, chunks[-1].usage.completion_tokens) == TOKENS


@suite.case
def responses(style):
    with suite.vendor_sees("POST /v1/responses"):
        answer = client(style).responses.create(model=MODEL, input="plain hello", max_output_tokens=32)
    assert answer.output_text == "Hello from the mock vendor."
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == TOKENS


@suite.case
def responses_stream(style):
    with suite.vendor_sees("POST /v1/responses"):
        events = list(
            client(style).responses.create(model=MODEL, input="stream hello", max_output_tokens=32, stream=True)
        )
    text = "".join(e.delta for e in events if e.type == "response.output_text.delta")
    assert text == "Hello in several pieces from the mock vendor."
    assert events[-1].type == "response.completed" and events[-1].response.usage.output_tokens == TOKENS[1]


@suite.case
def embeddings(style):
    with suite.vendor_sees("POST /v1/embeddings"):
        answer = client(style).embeddings.create(
            model="text-embedding-3-small", input="embed me", encoding_format="float"
        )
    assert answer.data[0].embedding == [0.1, 0.2, 0.3, 0.4]


@suite.case
def the_vendors_own_refusal_passes(style):
    with suite.vendor_sees(CHAT):
        try:
            ask(client(style), "vendor says no")
            raise AssertionError("nothing raised")
        except openai.BadRequestError as error:
            assert error.code == "mock_says_no" and "does not like this request" in str(error)


@suite.bursar_case
def an_operation_that_is_not_allowed(style):
    api = client(style, url=style.front)
    error = suite.refused(
        lambda: api.images.generate(model="gpt-image-1", prompt="a cat"), openai.PermissionDeniedError
    )
    assert error.code and error.type


@suite.bursar_case
def a_model_that_is_not_allowed(style):
    suite.refused(lambda: ask(client(style, url=style.front), model="gpt-4o"), openai.PermissionDeniedError, code="param_denied")


@suite.bursar_case
def over_budget(style):
    api = client(style, "POOR", style.front)
    suite.refused(lambda: ask(api), openai.PermissionDeniedError, code="budget_spent")


@suite.bursar_case
def over_budget_before_a_stream(style):
    api = client(style, "POOR", style.front)
    suite.refused(lambda: list(ask(api, stream=True)), openai.PermissionDeniedError, code="budget_spent")


@suite.bursar_case
def an_unknown_key(style):
    api = openai.OpenAI(api_key="vk_unknown", base_url=f"{style.front}/v1")
    suite.refused(lambda: ask(api), openai.AuthenticationError, status=401, code=None)


@suite.bursar_case
def a_revoked_key(style):
    suite.refused(lambda: ask(client(style, "REVOKED", style.front)), openai.AuthenticationError, status=401, code=None)


@suite.bursar_case
def a_key_revoked_in_mid_stream(style):
    first, error = suite.cut_by_revoke(style, ask(client(style, "STREAM"), "slow words", stream=True), openai.APIError)
    assert first.choices and "revoked" in str(error), repr(error)


run(suite)
