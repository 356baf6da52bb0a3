// The twilio SDK for Node through bursar: messages, and every refusal. The SDK has no option for its address: the
// attribute of each product is set. The account's id stands in the path, so the agent knows it; the vault key takes the
// place of the auth token, or of an API key's id.
import assert from "node:assert/strict";
import { env, need, run, Suite } from "./suite.mjs";

const twilio = need("twilio");

const ACCOUNT = env("BURSAR_ACCOUNT_TWILIO");
const MESSAGES = `/2010-04-01/Accounts/${ACCOUNT}/Messages`;
const SID = "SM" + "a".repeat(32);
const suite = new Suite("twilio");

function withUser(user, password, url, options) {
  const api = twilio(user, password, options);
  api.api.baseUrl = url;
  return api;
}
const client = (style, key = "", url = style.url) => withUser(ACCOUNT, style.key(key), url);
const send = (api) => api.messages.create({ to: "+14155552345", from: "+14155552344", body: "Hello from a test" });

suite.case("message", async (style) => {
  const { answer, rows } = await suite.vendorSees([`POST ${MESSAGES}.json`], () => send(client(style)));
  assert.deepEqual([answer.status, answer.accountSid], ["queued", ACCOUNT]);
  assert.equal(new URLSearchParams(rows[0].body).get("Body"), "Hello from a test");
});

suite.case("fetch", async (style) => {
  const { answer } = await suite.vendorSees([`GET ${MESSAGES}/${SID}.json`], () => client(style).messages(SID).fetch());
  assert.equal(answer.accountSid, ACCOUNT);
});

suite.case("first page", async (style) => {
  const { answer } = await suite.vendorSees([`GET ${MESSAGES}.json?PageSize=1`], () =>
    client(style).messages.list({ limit: 1 }),
  );
  assert.equal(answer.length, 1);
});

suite.bursarCase("the vault key as basic user", async (style) => {
  const api = withUser(style.key(), "unused", style.url, { accountSid: ACCOUNT });
  await suite.vendorSees([`POST ${MESSAGES}.json`], () => send(api));
});

suite.bursarCase("an operation that is not allowed", async (style) => {
  const api = client(style, "", style.front);
  const call = { to: "+14155552345", from: "+14155552344", twiml: "<Response/>" };
  const error = await suite.refused(() => api.calls.create(call), twilio.RestException);
  assert(error.status === 403 && Number.isInteger(error.code));
});

suite.bursarCase("over budget", async (style) => {
  await send(client(style, "POOR"));
  await suite.refused(() => send(client(style, "POOR", style.front)), twilio.RestException, { code: "budget_spent" });
});

suite.bursarCase("an unknown key", (style) =>
  suite.refused(() => send(withUser(ACCOUNT, "vk_unknown", style.front)), twilio.RestException, {
    status: 401,
    code: null,
  }),
);

suite.bursarCase("a revoked key", (style) =>
  suite.refused(() => send(client(style, "REVOKED", style.front)), twilio.RestException, { status: 401, code: null }),
);

await run(suite);
