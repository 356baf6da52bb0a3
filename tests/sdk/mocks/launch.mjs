// What every Node launcher here shares: finding the installed modules, flags, and the one line that announces a server.
import { createRequire } from "node:module";
import path from "node:path";
import { fileURLToPath } from "node:url";

const here = path.dirname(fileURLToPath(import.meta.url));
const env = process.env.BURSAR_TEST_ENV ?? path.resolve(here, "../../../target/test-env");

/** `require` as seen from the folder that tests/run installs the modules into. */
export const need = createRequire(path.join(env, "node", "package.json"));

/** A file that lies under tests/sdk. */
export const asset = (...parts) => path.resolve(here, "..", ...parts);

/** Reads `--name value` pairs; a name given twice becomes a list. */
export function flags(argv = process.argv.slice(2)) {
  const found = {};
  for (let i = 0; i < argv.length; i += 2) {
    if (!argv[i].startsWith("--") || argv[i + 1] === undefined) throw new Error(`not a flag with a value: ${argv[i]}`);
    (found[argv[i].slice(2)] ??= []).push(argv[i + 1]);
  }
  return found;
}

/** The line a test driver waits for: it is printed once, when connections are accepted. */
export function announce(name, port) {
  process.stdout.write(JSON.stringify({ name, port: Number(port), pid: process.pid }) + "\n");
}
