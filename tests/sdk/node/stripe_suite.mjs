// The stripe SDK for Node through bursar: charges, refunds, customers, payment intents, and every refusal. It takes a
// host, a port and a protocol and no path, so it can reach bursar by bare host only.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { need, raised, run, Suite } from "./suite.mjs";

const Stripe = need("stripe");

const suite = new Suite("stripe", { styles: ["bare"] });

/** With retries on, so that a refusal that is repeated would be counted. */
function withKey(key, url) {
  const { hostname: host, port } = new URL(url);
  return new Stripe(key, { host, port, protocol: "http", maxNetworkRetries: 2 });
}
const client = (style, key = "", url = style.url) => withKey(style.key(key), url);
const charge = (api, more = {}, options = {}) =>
  api.charges.create({ amount: 600, currency: "usd", source: "tok_visa", ...more }, options);

suite.case("charge and retrieve", async (style) => {
  const api = client(style);
  const { answer: made, rows } = await suite.vendorSees(["POST /v1/charges"], () => charge(api));
  assert(made.amount === 600 && made.paid);
  assert.equal(rows[0].body, "amount=600&currency=usd&source=tok_visa");
  await suite.vendorSees([`GET /v1/charges/${made.id}`], () => api.charges.retrieve(made.id));
});

suite.case("partial refund", async (style) => {
  const api = client(style);
  const { answer: made } = await suite.vendorSees(["POST /v1/charges"], () => charge(api));
  const wish = { charge: made.id, amount: 250, metadata: { why: "a test" } };
  const { answer: refund } = await suite.vendorSees(["POST /v1/refunds"], () => api.refunds.create(wish));
  assert.deepEqual([refund.amount, refund.status], [250, "succeeded"]);
  const { answer: list } = await suite.vendorSees(["GET /v1/charges?limit=50"], () => api.charges.list({ limit: 50 }));
  assert.equal(list.data.find((c) => c.id === made.id).amount_refunded, 250);
});

suite.case("one idempotency key is one charge", async (style) => {
  const [api, options] = [client(style), { idempotencyKey: randomUUID() }];
  const twice = async () => [await charge(api, {}, options), await charge(api, {}, options)];
  const { answer } = await suite.vendorSees(["POST /v1/charges", "POST /v1/charges"], twice);
  assert.equal(answer[0].id, answer[1].id);
});

suite.case("customer", async (style) => {
  const api = client(style);
  const wish = { email: "jenny@example.com", metadata: { tier: "gold" } };
  const { answer: made } = await suite.vendorSees(["POST /v1/customers"], () => api.customers.create(wish));
  assert.equal((await api.customers.retrieve(made.id)).metadata.tier, "gold");
});

suite.case("payment intent", async (style) => {
  const call = () => client(style).paymentIntents.create({ amount: 700, currency: "usd" });
  const { answer } = await suite.vendorSees(["POST /v1/payment_intents"], call);
  assert.deepEqual([answer.amount, answer.status], [700, "requires_payment_method"]);
});

suite.case("a declined card is the vendor's own error", async (style) => {
  const call = () =>
    raised(() => charge(client(style), { source: "tok_chargeDeclined" }), Stripe.errors.StripeCardError);
  const { answer: error } = await suite.vendorSees(["POST /v1/charges"], call);
  assert.equal(error.code, "card_declined");
});

const { StripePermissionError, StripeAuthenticationError } = Stripe.errors;

suite.bursarCase("an operation that is not allowed", async (style) => {
  const api = client(style, "", style.front);
  const error = await suite.refused(() => api.payouts.create({ amount: 100, currency: "usd" }), StripePermissionError);
  assert.equal(error.statusCode, 403);
});

suite.bursarCase("an amount above what is allowed", (style) =>
  suite.refused(() => charge(client(style, "", style.front), { amount: 50_001 }), StripePermissionError, { code: "param_denied" }),
);

suite.bursarCase("a refund without an amount", (style) =>
  suite.refused(() => client(style, "", style.front).refunds.create({ charge: "ch_1" }), StripePermissionError, {
    code: "param_denied",
  }),
);

suite.bursarCase("another account", (style) =>
  suite.refused(
    () => charge(client(style, "", style.front), {}, { stripeAccount: "acct_other" }),
    StripePermissionError,
    { code: "account_header_denied" },
  ),
);

suite.bursarCase("over budget", async (style) => {
  await charge(client(style, "POOR"));
  await suite.refused(() => charge(client(style, "POOR", style.front)), StripePermissionError, {
    code: "budget_spent",
  });
});

suite.bursarCase("an unknown key", (style) =>
  suite.refused(() => charge(withKey("vk_unknown", style.front)), StripeAuthenticationError, {
    status: 401,
    code: null,
  }),
);

suite.bursarCase("a revoked key", (style) =>
  suite.refused(() => charge(client(style, "REVOKED", style.front)), StripeAuthenticationError, {
    status: 401,
    code: null,
  }),
);

await run(suite);
