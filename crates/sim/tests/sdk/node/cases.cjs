// What the JavaScript scripts of the conformance suite share: cases in on stdin, a JSON line each out.
// A case says the same, and an outcome reads the same, as in the Python scripts (`cases.py`).
"use strict";

const { createRequire } = require("node:module");
const fs = require("node:fs");

// Cases mostly wait: for an SDK's back-off, for a timeout.
const AT_ONCE = 12;

// Between two looks at what is not over yet, so that the other cases get their turns.
const PAUSE_MS = 10;

const [, , BASE_URL, INSTALLED] = process.argv;

const SCHEMA = {
  type: "object",
  properties: { city: { type: "string" }, unit: { type: "string", enum: ["celsius", "fahrenheit"] } },
  required: ["city", "unit"],
  additionalProperties: false,
};

/** A value that should fit the schema, in words. */
function weather(value) {
  const read = typeof value === "string" ? JSON.parse(value) : value;
  const fits =
    read && Object.keys(read).length === 2 && typeof read.city === "string" &&
    SCHEMA.properties.unit.enum.includes(read.unit);
  return fits ? "weather" : `no weather: ${JSON.stringify(read)}`;
}

/** What came instead of an answer. */
const other = (value) => (typeof value === "object" ? `an object of type ${value?.type}` : `a ${typeof value}`);

/** Which of these fields (`details.count`) a reply does not have at all. */
function missing(said, ...paths) {
  const absent = paths.filter((path) => {
    let value = said;
    for (const name of path.split(".")) value = value?.[name];
    return value === undefined;
  });
  return absent.length ? `without ${absent.join(", ")}` : "all";
}

/** Names in their order, each repetition as one `name+`. */
function inOrder(names) {
  const groups = [];
  for (const name of names) {
    const last = groups.at(-1);
    if (last?.name === name) last.sign = "+";
    else groups.push({ name, sign: "" });
  }
  return groups.map(({ name, sign }) => name + sign).join(" ");
}

/** All that an asynchronous iterable gives, each through `of`. */
async function collected(iterable, of) {
  const items = [];
  for await (const item of iterable) items.push(of(item));
  return items;
}

/** What `fetch` gives once it is over. Each look is a request; the test's deadline ends it. */
async function poll(fetch, isOver) {
  for (;;) {
    const value = await fetch();
    if (isOver(value)) return value;
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
}

/** The exception's class, its HTTP status, and the provider's word for it. */
function shownError(error) {
  const body = error.error?.error ?? error.error;
  const word = body?.details?.error_code ?? body?.code ?? body?.type;
  const parts = [error.constructor.name, error.status, word];
  const said = parts.filter((part) => part !== undefined && part !== null).join(" ");
  return said === "Error" || said === "AnthropicError" || said.endsWith("TypeError") ? `${said}: ${error.message}` : said;
}

/** Does all cases on copies of this client, several at once. */
async function run(client, verbs) {
  const cases = JSON.parse(fs.readFileSync(0, "utf8"));
  const one = async (kase) => {
    const start = performance.now();
    let outcome;
    try {
      const { key, max_retries, timeout } = kase;
      const own = client.withOptions({ apiKey: key, maxRetries: max_retries, timeout: timeout * 1000 });
      outcome = await verbs[kase.do](own, kase);
    } catch (error) {
      outcome = shownError(error); // whatever an SDK throws is an outcome
    }
    const elapsed_ms = Math.round(performance.now() - start);
    console.log(JSON.stringify({ case: kase.case, outcome, elapsed_ms }));
  };
  const left = cases.values();
  const worker = async () => {
    for (const kase of left) await one(kase);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}

/** The installed packages, which lie outside the repository. */
const load = createRequire(`${INSTALLED}/package.json`);

module.exports = { BASE_URL, SCHEMA, collected, inOrder, load, missing, other, poll, run, weather };
