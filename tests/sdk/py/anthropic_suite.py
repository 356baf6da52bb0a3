"""The anthropic SDK for Python through bursar: messages, plain and streamed, and every refusal."""

import anthropic
from suite import Suite, run

MESSAGES = "POST /v1/messages"
MODEL = "claude-haiku-4-5"
TOKENS = (12, 7)  # what the mock vendor reports for every answer

suite = Suite("anthropic")


def client(style, key="", url=None):
    return anthropic.Anthropic(api_key=style.key(key), base_url=url or style.url)


def question(text, max_tokens=64):
    return {"model": MODEL, "max_tokens": max_tokens, "messages": [{"role": "user", "content": text}]}


def ask(api, text="plain hello", **more):
    return api.messages.create(**question(text), **more)


@suite.case
def messages(style):
    with suite.vendor_sees(MESSAGES):
        answer = ask(client(style))
    assert answer.content[0].text == "Hello from the mock vendor."
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == TOKENS


@suite.case
def messages_stream(style):
    with suite.vendor_sees(MESSAGES):
        with client(style).messages.stream(**question("stream hello")) as stream:
            text = "".join(stream.text_stream)
            final = stream.get_final_message()
    assert text == "Hello in several pieces from the mock vendor."
    assert final.usage.output_tokens == TOKENS[1] and final.stop_reason == "end_turn"


@suite.case
def messages_raw_events(style):
    with suite.vendor_sees(MESSAGES):
        kinds = [event.type for event in ask(client(style), "stream hello", stream=True)]
    assert kinds[0] == "message_start" and kinds[-1] == "message_stop" and "message_delta" in kinds


@suite.case
def the_vendors_own_refusal_passes(style):
    with suite.vendor_sees(MESSAGES):
        try:
            ask(client(style), "vendor says no")
            raise AssertionError("nothing raised")
        except anthropic.BadRequestError as error:
            assert "does not like this request" in str(error)


@suite.bursar_case
def an_operation_that_is_not_allowed(style):
    api = client(style, url=style.front)
    call = {"model": MODEL, "messages": [{"role": "user", "content": "plain hello"}]}
    error = suite.refused(lambda: api.messages.count_tokens(**call), anthropic.PermissionDeniedError)
    assert error.type == "permission_error", error.type


@suite.bursar_case
def a_limit_above_what_is_allowed(style):
    api = client(style, url=style.front)
    suite.refused(lambda: api.messages.create(**question("plain hello", 5000)), anthropic.PermissionDeniedError, code="param_denied")


@suite.bursar_case
def over_budget(style):
    suite.refused(lambda: ask(client(style, "POOR", style.front)), anthropic.PermissionDeniedError, code="budget_spent")


@suite.bursar_case
def over_budget_before_a_stream(style):
    api = client(style, "POOR", style.front)
    suite.refused(lambda: list(ask(api, stream=True)), anthropic.PermissionDeniedError, code="budget_spent")


@suite.bursar_case
def an_unknown_key(style):
    api = anthropic.Anthropic(api_key="vk_unknown", base_url=style.front)
    suite.refused(lambda: ask(api), anthropic.AuthenticationError, status=401, code=None)


@suite.bursar_case
def a_revoked_key(style):
    suite.refused(
        lambda: ask(client(style, "REVOKED", style.front)), anthropic.AuthenticationError, status=401, code=None
    )


@suite.bursar_case
def a_key_revoked_in_mid_stream(style):
    stream = ask(client(style, "STREAM"), "slow words", stream=True)
    first, error = suite.cut_by_revoke(style, stream, anthropic.APIStatusError)
    assert first.type == "message_start" and "revoked" in str(error), repr(error)


run(suite)
