// The openai SDK for Node through bursar: chat, responses and embeddings, plain and streamed, and every refusal.
import assert from "node:assert/strict";
import { all, need, raised, run, Suite } from "./suite.mjs";

const OpenAI = need("openai");

const CHAT = "POST /v1/chat/completions";
const MODEL = "gpt-4o-mini";
const PIECES = "Hello in several pieces from the mock vendor.";
const suite = new Suite("openai");

const client = (style, key = "", url = style.url) => new OpenAI({ apiKey: style.key(key), baseURL: `${url}/v1` });
const question = (text = "plain hello", more = {}) => ({
  model: MODEL,
  messages: [{ role: "user", content: text }],
  max_tokens: 32,
  ...more,
});
const ask = (api, text, more) => api.chat.completions.create(question(text, more));
const spoken = (chunks) => chunks.map((c) => c.choices[0]?.delta.content ?? "").join("");

suite.case("chat", async (style) => {
  const { answer } = await suite.vendorSees([CHAT], () => ask(client(style)));
  assert.equal(answer.choices[0].message.content, "Hello from the mock vendor.");
  assert.deepEqual([answer.usage.prompt_tokens, answer.usage.completion_tokens], [12, 7]);
});

suite.bursarCase("chat says what it cost", async (style) => {
  const { answer } = await suite.vendorSees([CHAT], () => ask(client(style)).withResponse());
  const headers = answer.response.headers;
  assert(headers.get("x-bursar-call"));
  assert(Number(headers.get("x-bursar-cost-usd")) > 0);
  assert(Number(headers.get("x-bursar-remaining-usd")) > 0);
});

suite.case("chat stream hides usage nobody asked for", async (style) => {
  const { answer: chunks, rows } = await suite.vendorSees([CHAT], () =>
    all(ask(client(style), "stream hello", { stream: true })),
  );
  assert.equal(spoken(chunks), PIECES);
  assert(
    chunks.every((c) => c.choices.length),
    "a chunk without choices reached the caller",
  );
  assert(
    chunks.every((c) => !c.usage),
    "usage reached a caller who did not ask for it",
  );
  if (!suite.direct) assert.equal(JSON.parse(rows[0].body).stream_options.include_usage, true);
});

suite.case("chat stream gives usage that was asked for", async (style) => {
  const wish = { stream: true, stream_options: { include_usage: true } };
  const { answer: chunks } = await suite.vendorSees([CHAT], () => all(ask(client(style), "stream hello", wish)));
  assert.equal(spoken(chunks), PIECES);
  assert.deepEqual([chunks.at(-1).usage.prompt_tokens, chunks.at(-1).usage.completion_tokens], [12, 7]);
});

suite.case("responses", async (style) => {
  const call = { model: MODEL, input: "plain hello", max_output_tokens: 32 };
  const { answer } = await suite.vendorSees(["POST /v1/responses"], () => client(style).responses.create(call));
  assert.equal(answer.output_text, "Hello from the mock vendor.");
  assert.deepEqual([answer.usage.input_tokens, answer.usage.output_tokens], [12, 7]);
});

suite.case("responses stream", async (style) => {
  const call = { model: MODEL, input: "stream hello", max_output_tokens: 32, stream: true };
  const { answer: events } = await suite.vendorSees(["POST /v1/responses"], () =>
    all(client(style).responses.create(call)),
  );
  const text = events.filter((e) => e.type === "response.output_text.delta").map((e) => e.delta);
  assert.equal(text.join(""), PIECES);
  assert.equal(events.at(-1).type, "response.completed");
});

suite.case("embeddings", async (style) => {
  const call = { model: "text-embedding-3-small", input: "embed me", encoding_format: "float" };
  const { answer } = await suite.vendorSees(["POST /v1/embeddings"], () => client(style).embeddings.create(call));
  assert.deepEqual(answer.data[0].embedding, [0.1, 0.2, 0.3, 0.4]);
});

suite.case("the vendor's own refusal passes", async (style) => {
  const { answer: error } = await suite.vendorSees([CHAT], () =>
    raised(() => ask(client(style), "vendor says no"), OpenAI.BadRequestError),
  );
  assert.equal(error.code, "mock_says_no");
});

suite.bursarCase("an operation that is not allowed", async (style) => {
  const api = client(style, "", style.front);
  const error = await suite.refused(
    () => api.images.generate({ model: "gpt-image-1", prompt: "a cat" }),
    OpenAI.PermissionDeniedError,
  );
  assert(error.code && error.type);
});

suite.bursarCase("a model that is not allowed", (style) =>
  suite.refused(
    () => ask(client(style, "", style.front), "plain hello", { model: "gpt-4o" }),
    OpenAI.PermissionDeniedError,
    { code: "param_denied" },
  ),
);

suite.bursarCase("over budget", (style) =>
  suite.refused(() => ask(client(style, "POOR", style.front)), OpenAI.PermissionDeniedError, { code: "budget_spent" }),
);

suite.bursarCase("over budget before a stream", (style) =>
  suite.refused(
    () => all(ask(client(style, "POOR", style.front), "plain hello", { stream: true })),
    OpenAI.PermissionDeniedError,
    { code: "budget_spent" },
  ),
);

suite.bursarCase("an unknown key", (style) => {
  const api = new OpenAI({ apiKey: "vk_unknown", baseURL: `${style.front}/v1` });
  return suite.refused(() => ask(api), OpenAI.AuthenticationError, { status: 401, code: null });
});

suite.bursarCase("a revoked key", (style) =>
  suite.refused(() => ask(client(style, "REVOKED", style.front)), OpenAI.AuthenticationError, {
    status: 401,
    code: null,
  }),
);

suite.bursarCase("a key revoked in mid-stream", async (style) => {
  const stream = await ask(client(style, "STREAM"), "slow words", { stream: true });
  const { first, error } = await suite.cutByRevoke(style, stream, OpenAI.APIError);
  assert(first.choices.length && error.message.includes("revoked"), error.message);
});

await run(suite);
