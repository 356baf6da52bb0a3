"""The stripe SDK for Python through bursar: charges, refunds, customers, payment intents, and every refusal."""

import uuid

import stripe
from suite import Suite, raised, run

CHARGES, REFUNDS = "/v1/charges", "/v1/refunds"

suite = Suite("stripe")


def client(style, key="", url=None):
    """With retries on, so that a refusal that is repeated would be counted."""
    return stripe.StripeClient(style.key(key), base_addresses={"api": url or style.url}, max_network_retries=2)


def charge(api, amount=600, source="tok_visa", options=None):
    return api.v1.charges.create({"amount": amount, "currency": "usd", "source": source}, options or {})


@suite.case
def charge_and_retrieve(style):
    api = client(style)
    with suite.vendor_sees(f"POST {CHARGES}") as seen:
        made = charge(api)
    assert made.amount == 600 and made.paid, made
    assert seen[0]["body"] == "amount=600&currency=usd&source=tok_visa", seen[0]["body"]
    with suite.vendor_sees(f"GET {CHARGES}/{made.id}"):
        assert api.v1.charges.retrieve(made.id).id == made.id


@suite.case
def partial_refund(style):
    api = client(style)
    with suite.vendor_sees(f"POST {CHARGES}", f"POST {REFUNDS}", f"GET {CHARGES}?limit=50"):
        made = charge(api)
        refund = api.v1.refunds.create({"charge": made.id, "amount": 250, "metadata": {"why": "a test"}})
        listed = api.v1.charges.list({"limit": 50})
    assert refund.amount == 250 and refund.status == "succeeded", refund
    assert [c.amount_refunded for c in listed.data if c.id == made.id] == [250]


@suite.case
def one_idempotency_key_is_one_charge(style):
    api, options = client(style), {"idempotency_key": str(uuid.uuid4())}
    with suite.vendor_sees(f"POST {CHARGES}", f"POST {CHARGES}"):
        assert charge(api, options=options).id == charge(api, options=options).id


@suite.case
def customer(style):
    api = client(style)
    with suite.vendor_sees("POST /v1/customers"):
        made = api.v1.customers.create({"email": "jenny@example.com", "metadata": {"tier": "gold"}})
    with suite.vendor_sees(f"GET /v1/customers/{made.id}"):
        assert api.v1.customers.retrieve(made.id).metadata["tier"] == "gold"


@suite.case
def payment_intent(style):
    api = client(style)
    with suite.vendor_sees("POST /v1/payment_intents"):
        made = api.v1.payment_intents.create({"amount": 700, "currency": "usd"})
    assert made.amount == 700 and made.status == "requires_payment_method", made


@suite.case
def module_style(style):
    stripe.api_key, stripe.api_base = style.key(), style.url
    with suite.vendor_sees(f"POST {CHARGES}"):
        assert stripe.Charge.create(amount=600, currency="usd", source="tok_visa").amount == 600


@suite.case
def a_declined_card_is_the_vendors_own_error(style):
    with suite.vendor_sees(f"POST {CHARGES}"):
        error = raised(lambda: charge(client(style), source="tok_chargeDeclined"), stripe.CardError)
    assert error.code == "card_declined", error.code


@suite.bursar_case
def an_operation_that_is_not_allowed(style):
    api = client(style, url=style.front)
    error = suite.refused(lambda: api.v1.payouts.create({"amount": 100, "currency": "usd"}), stripe.PermissionError)
    assert error.http_status == 403 and error.json_body["bursar"]["code"] == "policy_denied"


@suite.bursar_case
def an_amount_above_what_is_allowed(style):
    suite.refused(lambda: charge(client(style, url=style.front), 50_001), stripe.PermissionError, code="param_denied")


@suite.bursar_case
def a_refund_without_an_amount(style):
    api = client(style, url=style.front)
    suite.refused(lambda: api.v1.refunds.create({"charge": "ch_1"}), stripe.PermissionError, code="param_denied")


@suite.bursar_case
def another_account(style):
    api = client(style, url=style.front)
    suite.refused(lambda: charge(api, options={"stripe_account": "acct_other"}), stripe.PermissionError, code="account_header_denied")


@suite.bursar_case
def over_budget(style):
    charge(client(style, "POOR"), 600)
    suite.refused(lambda: charge(client(style, "POOR", style.front), 600), stripe.PermissionError, code="budget_spent")


@suite.bursar_case
def an_unknown_key(style):
    api = stripe.StripeClient("vk_unknown", base_addresses={"api": style.front}, max_network_retries=2)
    suite.refused(lambda: charge(api), stripe.AuthenticationError, status=401, code=None)


@suite.bursar_case
def a_revoked_key(style):
    api = client(style, "REVOKED", style.front)
    suite.refused(lambda: charge(api), stripe.AuthenticationError, status=401, code=None)


run(suite)
