// The openai and anthropic SDKs for Node through bursar, on a vendor that fails on command. What the vendor says about
// itself passes, and the SDK's own retries work; what it says about our credential does not. Anthropic's address has a
// path (/anthropic), so the vendor must receive that path and what follows it.
import assert from "node:assert/strict";
import { env, need, raised, run, Suite } from "./suite.mjs";

const OpenAI = need("openai");
const Anthropic = need("@anthropic-ai/sdk");

const CHAT = "POST /v1/chat/completions";
const MESSAGES = "POST /anthropic/v1/messages";
const messages = [{ role: "user", content: "plain hello" }];

/** Queues one behaviour of the mock vendor, and drops what an earlier case left. */
async function fault(behavior) {
  const address = `${env("BURSAR_FAULTS_URL")}/_llmock/scenario`;
  assert((await fetch(address, { method: "DELETE" })).ok);
  assert((await fetch(address, { method: "POST", body: JSON.stringify({ behaviors: [behavior] }) })).ok);
}

const gpt = new Suite("openai", { title: "faults openai" });
const claude = new Suite("anthropic", { title: "faults anthropic" });

function chat(style, { url = style.url, ...more } = {}) {
  const api = new OpenAI({ apiKey: style.key(), baseURL: `${url}/v1` });
  return api.chat.completions.create({ model: "gpt-4o-mini", messages, max_tokens: 32, ...more });
}

function message(style, { url, ...more } = {}) {
  // In direct mode bursar does not add the path of the vendor's address.
  const baseURL = url ?? style.url + (claude.direct ? "/anthropic" : "");
  const api = new Anthropic({ apiKey: style.key(), baseURL });
  return api.messages.create({ model: "claude-haiku-4-5", max_tokens: 64, messages, ...more });
}

/** Reads a stream that must end in an error, and returns what came before it. */
async function cut(stream) {
  const seen = [];
  await raised(async () => {
    for await (const item of await stream) seen.push(item);
  }, Error);
  return seen;
}

gpt.case("a vendor error is retried by the sdk", async (style) => {
  await fault({ type: "fail", status: 500, times: 2 });
  const { answer } = await gpt.vendorSees([CHAT, CHAT, CHAT], () => chat(style));
  assert(answer.choices[0].message.content);
});

gpt.case("a vendor that stays down", async (style) => {
  await fault({ type: "fail", status: 503, times: 3 });
  const { answer: error } = await gpt.vendorSees([CHAT, CHAT, CHAT], () =>
    raised(() => chat(style), OpenAI.InternalServerError),
  );
  assert.equal(error.status, 503);
});

gpt.case("a vendor rate limit keeps its retry-after", async (style) => {
  await fault({ type: "fail", status: 429, retry_after: 1 });
  await gpt.vendorSees([CHAT, CHAT], () => chat(style));
});

gpt.case("a stream that the vendor cuts is not complete", async (style) => {
  await fault({ type: "stream_fault", kind: "disconnect", after_chunks: 2 });
  const { answer: seen } = await gpt.vendorSees([CHAT], () => cut(chat(style, { stream: true })));
  assert(!seen.some((chunk) => chunk.choices.some((choice) => choice.finish_reason)));
});

const REJECTED = { code: "vendor_credential_rejected", reachingVendor: 1 };

gpt.bursarCase("a vendor that refuses our credential", async (style) => {
  await fault({ type: "fail", status: 401 });
  await gpt.refused(() => chat(style, { url: style.front }), OpenAI.PermissionDeniedError, REJECTED);
});

claude.case("a message", async (style) => {
  const { answer } = await claude.vendorSees([MESSAGES], () => message(style));
  assert(answer.content[0].text);
});

claude.case("an overloaded vendor is retried by the sdk", async (style) => {
  await fault({ type: "fail", status: 529 });
  await claude.vendorSees([MESSAGES, MESSAGES], () => message(style));
});

claude.case("a stream that the vendor cuts is not complete either", async (style) => {
  await fault({ type: "stream_fault", kind: "disconnect", after_chunks: 2 });
  const { answer: seen } = await claude.vendorSees([MESSAGES], () => cut(message(style, { stream: true })));
  assert(seen.every((event) => event.type !== "message_stop"));
});

claude.bursarCase("a vendor that refuses our credential", async (style) => {
  await fault({ type: "fail", status: 401 });
  await claude.refused(() => message(style, { url: style.front }), Anthropic.PermissionDeniedError, REJECTED);
});

await run(gpt, claude);
