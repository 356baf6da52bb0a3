"""The twilio SDK for Python through bursar: messages, and every refusal.

The SDK has no option for its address: the attribute of each product is set. The account's id stands in the path, so the
agent knows it; the vault key takes the place of the auth token, or of an API key's id.
"""

from suite import Suite, env, run
from twilio.base.exceptions import TwilioRestException
from twilio.rest import Client

ACCOUNT = env("BURSAR_ACCOUNT_TWILIO")
MESSAGES = f"/2010-04-01/Accounts/{ACCOUNT}/Messages"
SID = "SM" + "a" * 32

suite = Suite("twilio")


def client(style, key="", url=None):
    api = Client(ACCOUNT, style.key(key))
    api.api.base_url = url or style.url
    return api


def send(api):
    return api.messages.create(to="+14155552345", from_="+14155552344", body="Hello from a test")


@suite.case
def message(style):
    with suite.vendor_sees(f"POST {MESSAGES}.json") as seen:
        made = send(client(style))
    assert made.status == "queued" and made.account_sid == ACCOUNT, made
    assert "Body=Hello+from+a+test" in seen[0]["body"], seen[0]["body"]


@suite.case
def fetch(style):
    with suite.vendor_sees(f"GET {MESSAGES}/{SID}.json"):
        assert client(style).messages(SID).fetch().account_sid == ACCOUNT


@suite.case
def first_page(style):
    with suite.vendor_sees(f"GET {MESSAGES}.json?PageSize=1"):
        assert len(client(style).messages.list(limit=1)) == 1


@suite.bursar_case
def the_vault_key_as_basic_user(style):
    api = Client(style.key(), "unused", ACCOUNT)
    api.api.base_url = style.url
    with suite.vendor_sees(f"POST {MESSAGES}.json"):
        send(api)


@suite.bursar_case
def an_operation_that_is_not_allowed(style):
    api = client(style, url=style.front)
    call = {"to": "+14155552345", "from_": "+14155552344", "twiml": "<Response/>"}
    error = suite.refused(lambda: api.calls.create(**call), TwilioRestException)
    assert error.status == 403 and isinstance(error.code, int)


@suite.bursar_case
def over_budget(style):
    send(client(style, "POOR"))
    suite.refused(lambda: send(client(style, "POOR", style.front)), TwilioRestException, code="budget_spent")


@suite.bursar_case
def an_unknown_key(style):
    api = Client(ACCOUNT, "vk_unknown")
    api.api.base_url = style.front
    error = suite.refused(lambda: send(api), TwilioRestException, status=401, code=None)
    assert error.status == 401


@suite.bursar_case
def a_revoked_key(style):
    error = suite.refused(
        lambda: send(client(style, "REVOKED", style.front)), TwilioRestException, status=401, code=None
    )
    assert error.status == 401


run(suite)
