// A reverse proxy that writes down what passes: one JSON line a request (when its body is complete) and one an answer
// (when its last byte has passed). It stands between bursar and a mock vendor, so that a suite can read what the vendor
// received, and between an SDK and bursar, so that a suite can count attempts. Bytes are passed on as they come, and a
// cut on one side is a cut on the other.
//   node recorder.mjs --name openai --log FILE --to PORT [--route /v1/payment_intents=PORT]...
import fs from "node:fs";
import http from "node:http";
import { announce, flags } from "./launch.mjs";

const KEPT = 1 << 20; // bytes of a body that the log keeps
const HOP = new Set(["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"]);

const args = flags();
const name = args.name[0];
const log = fs.openSync(args.log[0], "a");
const routes = (args.route ?? []).map((r) => r.split("="));
const agent = new http.Agent({ keepAlive: true });
let count = 0;

const write = (row) => fs.writeSync(log, JSON.stringify({ name, at: Date.now(), ...row }) + "\n");
const portFor = (target) => Number(routes.find(([prefix]) => target.startsWith(prefix))?.[1] ?? args.to[0]);

function pairs(raw) {
  const list = [];
  for (let i = 0; i < raw.length; i += 2) list.push([raw[i], raw[i + 1]]);
  return list;
}

const passedOn = (raw) =>
  pairs(raw)
    .filter(([key]) => !HOP.has(key.toLowerCase()))
    .flat();

function keeper(stream) {
  const chunks = [];
  let size = 0;
  stream.on("data", (chunk) => {
    if (size < KEPT) chunks.push(chunk.subarray(0, KEPT - size));
    size += chunk.length;
  });
  return () => {
    const bytes = Buffer.concat(chunks);
    const text = bytes.toString("utf8");
    return Buffer.from(text).equals(bytes) ? { size, body: text } : { size, base64: bytes.toString("base64") };
  };
}

const server = http.createServer({ requestTimeout: 0 }, (req, res) => {
  const id = ++count;
  const sent = keeper(req);
  req.on("end", () =>
    write({ kind: "request", id, method: req.method, path: req.url, headers: pairs(req.rawHeaders), ...sent() }),
  );

  const up = http.request({
    agent,
    host: "127.0.0.1",
    port: portFor(req.url),
    method: req.method,
    path: req.url,
    headers: passedOn(req.rawHeaders),
  });
  req.pipe(up);

  let over = false;
  const finish = (row) => {
    if (over) return;
    over = true;
    write({ kind: "answer", id, ...row });
  };
  up.on("response", (answer) => {
    const got = keeper(answer);
    const head = { status: answer.statusCode, headers: pairs(answer.rawHeaders) };
    res.sendDate = false;
    res.writeHead(answer.statusCode, answer.statusMessage, passedOn(answer.rawHeaders));
    res.flushHeaders();
    answer.on("data", (chunk) => {
      if (!res.write(chunk)) {
        answer.pause();
        res.once("drain", () => answer.resume());
      }
    });
    answer.on("end", () => {
      finish({ end: "complete", ...head, ...got() });
      res.end();
    });
    answer.on("close", () => {
      if (answer.complete) return;
      finish({ end: "cut", ...head, ...got() });
      res.destroy();
    });
    answer.on("error", () => {});
  });
  up.on("error", (error) => {
    finish({ end: "failed", error: String(error.code ?? error.message) });
    res.destroy();
  });
  res.on("close", () => {
    if (res.writableFinished) return;
    finish({ end: "left" });
    up.destroy();
  });
  res.on("error", () => {});
});

server.listen(0, "127.0.0.1", () => announce(name, server.address().port));
