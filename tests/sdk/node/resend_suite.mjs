// The resend SDK for Node through bursar: emails, and every refusal. The SDK returns its errors and never throws them.
import assert from "node:assert/strict";
import { need, run, Suite } from "./suite.mjs";

const { Resend } = need("resend");

const EMAIL_ID = "49a3999c-0ce1-4ea6-ab68-afcd6dc2e794";
const suite = new Suite("resend");

/** What the SDK returned as `error`, thrown. */
class Refusal extends Error {
  constructor(error) {
    super(error.message);
    this.error = error;
  }
}

async function data(answer) {
  const { data, error } = await answer;
  if (error) throw new Refusal(error);
  return data;
}

const client = (style, key = "", url = style.url) => new Resend(style.key(key), { baseUrl: url });
const send = (api) =>
  data(api.emails.send({ from: "a@example.com", to: ["b@example.com"], subject: "hello", html: "<p>hello</p>" }));

suite.case("email", async (style) => {
  const { answer } = await suite.vendorSees(["POST /emails"], () => send(client(style)));
  assert(answer.id);
});

suite.case("fetch", async (style) => {
  const { answer } = await suite.vendorSees([`GET /emails/${EMAIL_ID}`], () =>
    data(client(style).emails.get(EMAIL_ID)),
  );
  assert.equal(answer.object, "email");
});

suite.bursarCase("an operation that is not allowed", async (style) => {
  const api = client(style, "", style.front);
  const { error } = await suite.refused(() => data(api.apiKeys.create({ name: "another" })), Refusal);
  assert.equal(error.statusCode, 403);
});

suite.bursarCase("over budget", async (style) => {
  await send(client(style, "POOR"));
  await suite.refused(() => send(client(style, "POOR", style.front)), Refusal, { code: "budget_spent" });
});

suite.bursarCase("an unknown key", async (style) => {
  const api = new Resend("vk_unknown", { baseUrl: style.front });
  const { error } = await suite.refused(() => send(api), Refusal, { status: 401, code: null });
  assert.equal(error.statusCode, 401);
});

suite.bursarCase("a revoked key", (style) =>
  suite.refused(() => send(client(style, "REVOKED", style.front)), Refusal, { status: 401, code: null }),
);

await run(suite);
