"""The resend SDK for Python through bursar: emails, and every refusal."""

import resend
from resend.exceptions import ResendError
from suite import Suite, run

EMAIL_ID = "49a3999c-0ce1-4ea6-ab68-afcd6dc2e794"

suite = Suite("resend")


def use(key, url):
    resend.api_key, resend.api_url = key, url


def send():
    return resend.Emails.send(
        {"from": "a@example.com", "to": ["b@example.com"], "subject": "hello", "html": "<p>hello</p>"}
    )


@suite.case
def email(style):
    use(style.key(), style.url)
    with suite.vendor_sees("POST /emails"):
        assert send()["id"]


@suite.case
def fetch(style):
    use(style.key(), style.url)
    with suite.vendor_sees(f"GET /emails/{EMAIL_ID}"):
        assert resend.Emails.get(EMAIL_ID)["object"] == "email"


@suite.bursar_case
def an_operation_that_is_not_allowed(style):
    use(style.key(), style.front)
    error = suite.refused(lambda: resend.ApiKeys.create({"name": "another"}), ResendError)
    assert error.code == 403, error.code


@suite.bursar_case
def over_budget(style):
    use(style.key("POOR"), style.url)
    send()
    use(style.key("POOR"), style.front)
    suite.refused(send, ResendError, code="budget_spent")


@suite.bursar_case
def an_unknown_key(style):
    use("vk_unknown", style.front)
    error = suite.refused(send, ResendError, status=401, code=None)
    assert error.code == 401, error.code


@suite.bursar_case
def a_revoked_key(style):
    use(style.key("REVOKED"), style.front)
    error = suite.refused(send, ResendError, status=401, code=None)
    assert error.code == 401, error.code


run(suite)
