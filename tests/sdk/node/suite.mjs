// What the Node suites share: the environment they are given, named cases, and the checks on the recorders' logs.
// README.md one folder up says what the environment must hold. The Python suites share the same in py/suite.py.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import fs from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { promisify } from "node:util";

export { need } from "../mocks/launch.mjs";

const WAIT = 10_000; // ms that a fact may take to appear in a log
const REVOKED_WITHIN = 1_000; // ms from the end of a revoke to the end of its streams

export function env(name) {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set; tests/sdk/README.md says what it must hold`);
  return value;
}

/** One way to reach bursar: by path prefix, or by bare host with a key that is bound to one vendor. */
class Style {
  constructor(name, vendor) {
    this.name = name;
    this.vendor = vendor;
    this.bare = name === "bare" ? "BARE_" : "";
  }
  base(root) {
    return this.name === "bare" ? root : `${root}/${this.vendor}`;
  }
  get url() {
    return this.base(env("BURSAR_URL"));
  }
  /** The same door, through the recorder that counts attempts. */
  get front() {
    return this.base(env("BURSAR_FRONT_URL"));
  }
  key(role = "") {
    return env(`BURSAR_${this.bare}${role && role + "_"}KEY_${this.vendor.toUpperCase()}`);
  }
  keyId(role) {
    return env(`BURSAR_${this.bare}${role}_ID_${this.vendor.toUpperCase()}`);
  }
}

/** A recorder's file: one JSON line a request, one an answer. */
class Log {
  constructor(path) {
    this.path = path;
  }
  rows() {
    const lines = fs.readFileSync(this.path, "utf8").split("\n");
    return lines.slice(0, -1).map((line) => JSON.parse(line));
  }
  mark() {
    return this.rows().length;
  }
  since(mark, kind) {
    return this.rows()
      .slice(mark)
      .filter((row) => row.kind === kind);
  }
  /** The rows of `kind` since `mark`, once there are `count` of them. */
  async wait(mark, kind, count) {
    for (const end = Date.now() + WAIT; ; await pause(10)) {
      const rows = this.since(mark, kind);
      if (rows.length >= count || Date.now() > end) return rows;
    }
  }
}

const header = (row, name) => row.headers.filter(([key]) => key.toLowerCase() === name).map(([, value]) => value);

export class Suite {
  /** `styles` are the ways that this SDK can be pointed at bursar. */
  constructor(vendor, { title = vendor, styles = ["prefix", "bare"] } = {}) {
    this.vendor = vendor;
    this.title = `${title} node`;
    this.direct = process.env.BURSAR_MODE === "direct";
    this.styles = this.direct ? ["bare"] : styles;
    this.real = env(`BURSAR_REAL_${vendor.toUpperCase()}`);
    this.log = new Log(env(`BURSAR_RECORD_${vendor.toUpperCase()}`));
    this.cases = [];
  }

  /** A case that bursar must let through. In direct mode it also runs against the mock itself. */
  case(name, run) {
    this.cases.push({ name, run, needsBursar: false });
  }

  /** A case that needs bursar: a refusal, a revocation. */
  bursarCase(name, run) {
    this.cases.push({ name, run, needsBursar: true });
  }

  /** Runs the cases in each style, prints a line for each, and says how many failed. */
  async run() {
    const wanted = process.argv.slice(2);
    let failed = 0;
    for (const style of this.styles) {
      for (const { name, run, needsBursar } of this.cases) {
        const full = `${this.title} ${style} ${name}`;
        if (wanted.length && !wanted.includes(name)) continue;
        if (this.direct && needsBursar) {
          console.log(`ok ${full} # skipped: needs bursar`);
          continue;
        }
        try {
          await run(new Style(style, this.vendor));
          console.log(`ok ${full}`);
        } catch (error) {
          failed += 1; // a suite goes on after a failed case
          console.error(error);
          console.log(`not ok ${full} ${error.name}: ${String(error.message).replace(/\s+/g, " ").slice(0, 600)}`);
        }
      }
    }
    return failed;
  }

  /** The vendor receives exactly these requests ("POST /v1/x"), with the real credential and no trace of ours. */
  async vendorSees(expected, call) {
    const mark = this.log.mark();
    const answer = await call();
    const rows = await this.log.wait(mark, "request", expected.length);
    assert.deepEqual(
      rows.map((row) => `${row.method} ${row.path}`),
      expected,
      "what the vendor received",
    );
    rows.forEach((row) => this.isClean(row));
    return { answer, rows };
  }

  isClean(row) {
    const text = JSON.stringify(row);
    assert(!text.includes("vk_"), `the vendor received a vault key: ${text.slice(0, 2000)}`);
    if (!this.direct)
      assert(!text.toLowerCase().includes("x-bursar"), `the vendor received a header of ours: ${text.slice(0, 2000)}`);
    assert(this.credentialIsReal(row), `the vendor received another credential: ${JSON.stringify(row.headers)}`);
  }

  credentialIsReal(row) {
    const sent = [...header(row, "x-api-key"), ...header(row, "authorization")];
    if (sent.length !== 1) return false;
    if (this.vendor === "anthropic" && sent[0] === this.real) return true;
    if (this.vendor === "twilio") return sent[0] === "Basic " + Buffer.from(this.real).toString("base64");
    return sent[0] === `Bearer ${this.real}`;
  }

  /** `call` must reject with `kind` and bursar's sentence in it, after one attempt, which no vendor saw (or one did).
   * `call` uses `style.front`, so that the attempts can be counted. */
  async refused(call, kind, { status = 403, code = "policy_denied", reachingVendor = 0 } = {}) {
    const front = new Log(env("BURSAR_FRONT_LOG"));
    const [vendorMark, mark] = [this.log.mark(), front.mark()];
    const error = await raised(call, kind);
    const answers = await front.wait(mark, "answer", 1);
    const requests = front.since(mark, "request");
    assert(requests.length === 1 && answers.length === 1, `${requests.length} attempts for one refusal`);
    const [answer] = answers;
    assert.equal(answer.status, status, `bursar answered ${JSON.stringify(answer)}`);
    const body = JSON.parse(answer.body);
    assert(body.bursar && typeof body.bursar === "object", `no bursar object in ${answer.body}`);
    if (code) assert.equal(body.bursar.code, code, answer.body);
    if (status === 403) {
      assert.deepEqual(header(answer, "x-should-retry"), ["false"]);
      assert.deepEqual(header(answer, "stripe-should-retry"), ["false"]);
    }
    assert.deepEqual(header(answer, "retry-after"), []);
    assert(header(answer, "x-bursar-call").length, "no x-bursar-call");
    const sentence = body.error?.message ?? body.message;
    assert(sentence?.length > 10 && String(error.message).includes(sentence), `${sentence} is not in ${error.message}`);
    assert.equal(this.log.since(vendorMark, "request").length, reachingVendor, "requests that reached the vendor");
    return error;
  }

  /** Reads a long stream, revokes its key after the first event, and expects the stream's error within a second. The
   * reading goes on meanwhile, as it would in an agent: fetch throws away what is still unread when a stream is cut. */
  async cutByRevoke(style, stream, kind) {
    const events = stream[Symbol.asyncIterator]();
    const first = await events.next();
    const ended = raised(async () => {
      for (const end = Date.now() + 40_000; !(await events.next()).done;)
        assert(Date.now() < end, "the stream goes on");
    }, kind).then((error) => ({ error, at: Date.now() }));
    ended.catch(() => {}); // it is awaited below, after the revoke
    await bursar("key", "revoke", style.keyId("STREAM"), "--reason", "the suite turns the key off");
    const revoked = Date.now();
    const { error, at } = await ended;
    assert(at - revoked <= REVOKED_WITHIN, `the stream ended ${at - revoked} ms after the revoke returned`);
    return { first: first.value, error };
  }
}

export async function run(...suites) {
  let failed = 0;
  for (const suite of suites) failed += await suite.run();
  process.exit(failed ? 1 : 0);
}

/** The error of `kind` that `call` rejects with. */
export async function raised(call, kind) {
  let answer;
  try {
    answer = await call();
  } catch (error) {
    if (error instanceof kind) return error;
    throw new Error(`raised ${error.name} (${error.message}), not ${kind.name}`, { cause: error });
  }
  throw new Error(`nothing raised, answered ${JSON.stringify(answer)?.slice(0, 500)}`);
}

/** Runs the bursar command against the server under test. */
export async function bursar(...args) {
  const { stdout } = await promisify(execFile)(env("BURSAR_BIN"), [...args, "--data", env("BURSAR_DATA")], {
    timeout: 30_000,
  });
  return stdout;
}

/** All that an async iterable yields. */
export async function all(stream) {
  const items = [];
  for await (const item of await stream) items.push(item);
  return items;
}
