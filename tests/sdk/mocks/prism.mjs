// Starts prism, which answers from an OpenAPI file with its examples and refuses requests that do not fit the file, on a
// free loopback port.   node prism.mjs --spec twilio.json
import { announce, asset, flags, need } from "./launch.mjs";

const { createServer } = need("@stoplight/prism-http-server");
const { getHttpOperationsFromSpec } = need("@stoplight/prism-http");
const { createLogger } = need("@stoplight/prism-core");

const spec = flags().spec[0];
const operations = await getHttpOperationsFromSpec(asset("specs", spec));
// An SDK may send a body of {} with a GET (resend's for Python does), which the vendors take and no spec declares.
for (const operation of operations.filter((o) => o.method === "get")) {
  operation.request = {
    ...operation.request,
    body: { id: "any", contents: [{ id: "json", mediaType: "application/json" }] },
  };
}

const server = createServer(operations, {
  cors: false,
  config: {
    isProxy: false,
    validateRequest: true,
    validateResponse: true,
    checkSecurity: true,
    errors: false,
    upstreamProxy: undefined,
    mock: { dynamic: false, ignoreExamples: false },
  },
  components: { logger: createLogger("prism", { level: "warn" }, process.stderr) },
});
const address = await server.listen(0, "127.0.0.1");
announce(`prism ${spec}`, new URL(address).port);
