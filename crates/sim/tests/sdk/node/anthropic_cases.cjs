// Drives Anthropic's JavaScript SDK: `anthropic_cases.cjs BASE_URL INSTALLED`, cases on stdin.
"use strict";

const { BASE_URL, SCHEMA, collected, inOrder, load, missing, other, poll, run, weather } = require("./cases.cjs");
const Anthropic = load("@anthropic-ai/sdk").default;
const { betaTool } = load("@anthropic-ai/sdk/helpers/beta/json-schema");
const { jsonSchemaOutputFormat } = load("@anthropic-ai/sdk/helpers/json-schema");

const MODEL = "claude-sonnet-5-5";
const TOOL = { name: "get_weather", description: "The weather of a city.", input_schema: SCHEMA };

const body = (kase, more) => ({
  model: MODEL,
  max_tokens: 200,
  messages: [{ role: "user", content: kase.prompt }],
  ...kase.extra,
  ...more,
});

const structured = (kase) => body(kase, { output_config: { format: jsonSchemaOutputFormat(SCHEMA) } });

/** A message in a few words: its blocks, why it stopped, whether it says what it used. */
function shown(message) {
  if (message?.type !== "message") return other(message);
  const blocks = (message.content ?? []).map((block) => {
    if (block.type === "text") return block.text;
    return block.type === "tool_use" ? `${block.name}(${weather(block.input)})` : block.type;
  });
  const used = message.usage?.input_tokens && message.usage?.output_tokens ? [] : ["without usage"];
  return [...blocks, `[${message.stop_reason}]`, ...used].join(" ");
}

const parsed = (message) => `${weather(message.parsed_output)} [${message.stop_reason}]`;

function result({ custom_id, result }) {
  if (result.type === "succeeded") {
    return `${custom_id}: ${shown(result.message)} ${result.message.usage.service_tier}`;
  }
  return `${custom_id}: ${result.type}${result.type === "errored" ? ` ${result.error.error.type}` : ""}`;
}

const ended = (client, id) =>
  poll(() => client.messages.batches.retrieve(id), (batch) => batch.processing_status === "ended");

const results = async (client, id) =>
  (await collected(await client.messages.batches.results(id), result)).sort().join("; ");

const verbs = {
  create: async (client, kase) => shown(await client.messages.create(body(kase))),
  stream: async (client, kase) => shown(await client.messages.stream(body(kase)).finalMessage()),
  events: async (client, kase) =>
    inOrder(await collected(await client.messages.create(body(kase, { stream: true })), (event) => event.type)),
  tool: async (client, kase) => {
    const choice = { type: "tool", name: TOOL.name };
    return shown(await client.messages.create(body(kase, { tools: [TOOL], tool_choice: choice })));
  },
  stream_tool: async (client, kase) => {
    const asked = body(kase, { tools: [TOOL], tool_choice: { type: "any" } });
    return shown(await client.messages.stream(asked).finalMessage());
  },
  parse: async (client, kase) => parsed(await client.messages.parse(structured(kase))),
  stream_parse: async (client, kase) => parsed(await client.messages.stream(structured(kase)).finalMessage()),
  thinking: async (client, kase) => {
    const thinking = { type: "enabled", budget_tokens: 1024 };
    return shown(await client.messages.stream(body(kase, { max_tokens: 2000, thinking })).finalMessage());
  },
  // By `?beta=true` in the older versions, by headers alone in the newer.
  beta: async (client, kase) =>
    shown(await client.beta.messages.create(body(kase, { betas: ["some-beta-2026-01-01"] }))),
  // The SDK's own loop over tools.
  tool_runner: async (client, kase) => {
    let called = 0;
    const run = () => {
      called += 1;
      return "9 degrees";
    };
    const asked = body(kase, { tools: [betaTool({ ...TOOL, inputSchema: SCHEMA, run })], system: "Be brief." });
    const stops = await collected(client.beta.messages.toolRunner(asked), (message) => message.stop_reason);
    return `${stops.join(", ")}; called ${called}`;
  },
  usage: async (client, kase) =>
    missing(
      (await client.messages.create(body(kase))).usage,
      "input_tokens", "output_tokens", "cache_creation_input_tokens", "cache_read_input_tokens",
      "cache_creation.ephemeral_5m_input_tokens", "cache_creation.ephemeral_1h_input_tokens",
      "output_tokens_details.thinking_tokens", "service_tier",
    ),
  // The same long system prompt twice.
  cached: async (client, kase) => {
    const text = "Know this. ".repeat(4000);
    const asked = body(kase, { system: [{ type: "text", text, cache_control: { type: "ephemeral" } }] });
    const first = (await client.messages.create(asked)).usage;
    const second = (await client.messages.create(asked)).usage;
    const [written, read] = [first.cache_creation_input_tokens, second.cache_read_input_tokens];
    const asTold = written && written === read && !first.cache_read_input_tokens;
    return asTold ? "written, then read" : `${written} written, ${read} read`;
  },
  count_tokens: async (client, kase) => {
    const { max_tokens, ...asked } = body(kase);
    const used = (await client.messages.create({ ...asked, max_tokens })).usage.input_tokens;
    const counted = (await client.messages.countTokens(asked)).input_tokens;
    return counted === used ? "as billed" : `${counted} counted, ${used} billed`;
  },
  models: async (client) => {
    const ids = await collected(client.models.list({ limit: 2 }), (model) => model.id);
    const found = await client.models.retrieve(ids.at(-1));
    const whole = ids.includes(MODEL) && new Set(ids).size === ids.length && found.id === ids.at(-1);
    return `${found.type} ${whole ? "True" : "False"}`;
  },
  model_unknown: async (client) => (await client.models.retrieve("no-such-model")).id,
  headers: async (client, kase) => {
    const { data, response } = await client.messages.create(body(kase)).withResponse();
    const told = [...response.headers.keys()].filter((name) => name.startsWith("anthropic-ratelimit-"));
    const id = response.headers.get("request-id");
    return `${told.length} of quotas, request id ${id === data._request_id && id.slice(0, 4)}`;
  },
  batch: async (client, kase) => {
    const requests = [
      { custom_id: "one", params: body(kase) },
      { custom_id: "two", params: body(kase, { messages: [] }) },
    ];
    const made = await client.messages.batches.create({ requests });
    const { request_counts } = await ended(client, made.id);
    const shownResults = await results(client, made.id);
    const ids = await collected(client.messages.batches.list(), (batch) => batch.id);
    const listed = ids.includes(made.id) ? "True" : "False";
    const deleted = (await client.messages.batches.delete(made.id)).type;
    const tally = `${made.processing_status} ${request_counts.succeeded}+${request_counts.errored}`;
    return `${tally}; ${shownResults}; listed ${listed}; ${deleted}`;
  },
  batch_cancel: async (client, kase) => {
    const requests = [{ custom_id: "one", params: body(kase) }];
    const made = await client.messages.batches.create({ requests });
    const canceled = await client.messages.batches.cancel(made.id);
    await ended(client, made.id);
    return `${canceled.processing_status}; ${await results(client, made.id)}`;
  },
  // Of two requests one is answered, the other waits until the batch expires.
  batch_expired: async (client, kase) => {
    const stuck = [{ role: "user", content: `[[sim fail=stall-first]] ${kase.case}` }];
    const requests = [
      { custom_id: "one", params: body(kase) },
      { custom_id: "two", params: body(kase, { messages: stuck }) },
    ];
    const made = await client.messages.batches.create({ requests });
    const over = await ended(client, made.id);
    const { succeeded, expired } = over.request_counts;
    const told = over.ended_at === over.expires_at ? "at its time" : "at another time";
    return `${told}, ${succeeded}+${expired}; ${await results(client, made.id)}`;
  },
};

run(new Anthropic({ baseURL: BASE_URL, apiKey: "sk-test" }), verbs);
