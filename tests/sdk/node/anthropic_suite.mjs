// The anthropic SDK for Node through bursar: messages, plain and streamed, and every refusal.
import assert from "node:assert/strict";
import { all, need, raised, run, Suite } from "./suite.mjs";

const Anthropic = need("@anthropic-ai/sdk");

const MESSAGES = "POST /v1/messages";
const MODEL = "claude-haiku-4-5";
const suite = new Suite("anthropic");

const client = (style, key = "", url = style.url) => new Anthropic({ apiKey: style.key(key), baseURL: url });
const question = (text = "plain hello", more = {}) => ({
  model: MODEL,
  max_tokens: 64,
  messages: [{ role: "user", content: text }],
  ...more,
});
const ask = (api, text, more) => api.messages.create(question(text, more));

suite.case("messages", async (style) => {
  const { answer } = await suite.vendorSees([MESSAGES], () => ask(client(style)));
  assert.equal(answer.content[0].text, "Hello from the mock vendor.");
  assert.deepEqual([answer.usage.input_tokens, answer.usage.output_tokens], [12, 7]);
});

suite.case("messages stream", async (style) => {
  const { answer } = await suite.vendorSees([MESSAGES], () =>
    client(style).messages.stream(question("stream hello")).finalMessage(),
  );
  assert.equal(answer.content[0].text, "Hello in several pieces from the mock vendor.");
  assert.equal(answer.usage.output_tokens, 7);
});

suite.case("messages raw events", async (style) => {
  const { answer: events } = await suite.vendorSees([MESSAGES], () =>
    all(ask(client(style), "stream hello", { stream: true })),
  );
  assert.deepEqual([events[0].type, events.at(-1).type], ["message_start", "message_stop"]);
});

suite.case("the vendor's own refusal passes", async (style) => {
  const { answer: error } = await suite.vendorSees([MESSAGES], () =>
    raised(() => ask(client(style), "vendor says no"), Anthropic.BadRequestError),
  );
  assert.match(error.message, /does not like this request/);
});

suite.bursarCase("an operation that is not allowed", async (style) => {
  const api = client(style, "", style.front);
  const call = { model: MODEL, messages: [{ role: "user", content: "plain hello" }] };
  const error = await suite.refused(() => api.messages.countTokens(call), Anthropic.PermissionDeniedError);
  assert.equal(error.type, "permission_error");
});

suite.bursarCase("a limit above what is allowed", (style) =>
  suite.refused(
    () => ask(client(style, "", style.front), "plain hello", { max_tokens: 5000 }),
    Anthropic.PermissionDeniedError,
    { code: "param_denied" },
  ),
);

suite.bursarCase("over budget", (style) =>
  suite.refused(() => ask(client(style, "POOR", style.front)), Anthropic.PermissionDeniedError, {
    code: "budget_spent",
  }),
);

suite.bursarCase("over budget before a stream", (style) =>
  suite.refused(
    () => all(ask(client(style, "POOR", style.front), "plain hello", { stream: true })),
    Anthropic.PermissionDeniedError,
    { code: "budget_spent" },
  ),
);

suite.bursarCase("an unknown key", (style) => {
  const api = new Anthropic({ apiKey: "vk_unknown", baseURL: style.front });
  return suite.refused(() => ask(api), Anthropic.AuthenticationError, { status: 401, code: null });
});

suite.bursarCase("a revoked key", (style) =>
  suite.refused(() => ask(client(style, "REVOKED", style.front)), Anthropic.AuthenticationError, {
    status: 401,
    code: null,
  }),
);

suite.bursarCase("a key revoked in mid-stream", async (style) => {
  const stream = await ask(client(style, "STREAM"), "slow words", { stream: true });
  const { first, error } = await suite.cutByRevoke(style, stream, Anthropic.APIError);
  assert(first.type === "message_start" && error.message.includes("revoked"), error.message);
});

await run(suite);
