// Starts aimock, which plays OpenAI and Anthropic, on a free loopback port. The real credentials that it accepts come
// from AIMOCK_API_KEYS (comma-separated); any other key is a 401, and so is a vault key left in any header.
import { announce, asset, need } from "./launch.mjs";

const { LLMock } = need("@copilotkit/aimock");

const keys = process.env.AIMOCK_API_KEYS;
if (!keys) throw new Error("AIMOCK_API_KEYS is not set: without it every key would be accepted");

const mock = new LLMock({
  port: 0,
  host: "127.0.0.1",
  strict: true,
  logLevel: "warn",
  auth: { apiKeys: keys.split(",") },
});
mock.loadFixtureFile(asset("mocks", "aimock.fixtures.json"));
await mock.start();
announce("aimock", mock.port);
