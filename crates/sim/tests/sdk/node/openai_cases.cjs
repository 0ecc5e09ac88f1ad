// Drives OpenAI's JavaScript SDK: `openai_cases.cjs BASE_URL INSTALLED`, cases on stdin.
"use strict";

const { BASE_URL, SCHEMA, collected, inOrder, load, missing, other, poll, run, weather } = require("./cases.cjs");
const OpenAI = load("openai").default;

const MODEL = "gpt-5.4";
const FUNCTION = { name: "get_weather", description: "The weather of a city.", parameters: SCHEMA, strict: true };
const FORMAT = { name: "weather", schema: SCHEMA, strict: true };
const TOOLS = [{ type: "function", function: FUNCTION }];
const ENDPOINT = "/v1/chat/completions";

const body = (kase, more) => ({
  model: MODEL,
  messages: [{ role: "user", content: kase.prompt }],
  max_completion_tokens: 200,
  ...kase.extra,
  ...more,
});

/** The same for the Responses API. */
const asked = (kase, more) => ({
  model: MODEL, input: kase.prompt, max_output_tokens: 200, ...kase.extra, ...more,
});

const used = (usage, ...counts) => (usage && counts.every((count) => usage[count]) ? [] : ["without usage"]);

/** A completion in a few words: its choices, why each stopped, whether it says what it used. */
function shown(completion) {
  if (completion?.object !== "chat.completion") return other(completion);
  const parts = (completion.choices ?? []).flatMap(({ message, finish_reason }) => [
    ...(message.tool_calls ?? []).map((call) => `${call.function.name}(${weather(call.function.arguments)})`),
    ...(message.content === null || message.content === undefined ? [] : [message.content]),
    `[${finish_reason}]`,
  ]);
  return [...parts, ...used(completion.usage, "prompt_tokens", "completion_tokens", "total_tokens")].join(" ");
}

/** A response in a few words. */
function response(answer) {
  if (answer?.object !== "response") return other(answer);
  const items = (answer.output ?? []).map((item) => {
    if (item.type === "function_call") return `${item.name}(${weather(item.arguments)})`;
    return item.type === "message" ? item.content.map((part) => part.text).join("") : item.type;
  });
  const counts = used(answer.usage, "input_tokens", "output_tokens", "total_tokens");
  return [...items, `[${answer.status}]`, ...counts].join(" ");
}

/** A chunk by what it carries: a role, text, a finish reason, usage alone. */
function kind({ choices, usage }) {
  if (!choices.length) return usage ? "usage" : "nothing";
  const [{ delta, finish_reason }] = choices;
  return finish_reason ?? (delta.content ? "text" : delta.role ? "role" : "nothing");
}

const parsed = ({ choices: [{ message, finish_reason }] }) => `${weather(message.parsed)} [${finish_reason}]`;

async function madeBatch(client, ...bodies) {
  const lines = bodies.map((body, n) => ({ custom_id: ["one", "two"][n], method: "POST", url: ENDPOINT, body }));
  const text = lines.map((line) => JSON.stringify(line)).join("\n");
  const file = await client.files.create({ file: new File([text], "batch.jsonl"), purpose: "batch" });
  return client.batches.create({ input_file_id: file.id, endpoint: ENDPOINT, completion_window: "24h" });
}

async function lines(client, file) {
  if (!file) return [];
  const text = await (await client.files.content(file)).text();
  return text.split("\n").filter(Boolean).map((line) => JSON.parse(line));
}

/** Whether these tokens are the text, and how many others each has. */
function likely(tokens, text) {
  const is = tokens.map(({ token }) => token).join("") === text ? "True" : "False";
  return `${is} [${[...new Set(tokens.map((token) => token.top_logprobs.length))]}]`;
}

const completions = (client) => client.chat.completions;
const format = { response_format: { type: "json_schema", json_schema: FORMAT } };

const verbs = {
  create: async (client, kase) => shown(await completions(client).create(body(kase))),
  stream: async (client, kase) => {
    const asked = body(kase, { stream_options: { include_usage: true } });
    return shown(await completions(client).stream(asked).finalChatCompletion());
  },
  events: async (client, kase) =>
    inOrder(await collected(await completions(client).create(body(kase, { stream: true })), kind)),
  events_usage: async (client, kase) => {
    const asked = body(kase, { stream: true, stream_options: { include_usage: true } });
    return inOrder(await collected(await completions(client).create(asked), kind));
  },
  tool: async (client, kase) => {
    const choice = { type: "function", function: { name: FUNCTION.name } };
    return shown(await completions(client).create(body(kase, { tools: TOOLS, tool_choice: choice })));
  },
  stream_tool: async (client, kase) => {
    const more = { tools: TOOLS, tool_choice: "required", stream_options: { include_usage: true } };
    return shown(await completions(client).stream(body(kase, more)).finalChatCompletion());
  },
  parse: async (client, kase) => {
    const completion = await completions(client).parse(body(kase, format));
    // Without a zod schema the SDK leaves the text unparsed.
    completion.choices[0].message.parsed ??= completion.choices[0].message.content;
    return parsed(completion);
  },
  stream_parse: async (client, kase) => {
    const completion = await completions(client).stream(body(kase, format)).finalChatCompletion();
    completion.choices[0].message.parsed ??= completion.choices[0].message.content;
    return parsed(completion);
  },
  usage: async (client, kase) =>
    missing(
      (await completions(client).create(body(kase))).usage,
      "prompt_tokens", "completion_tokens", "total_tokens", "prompt_tokens_details.cached_tokens",
      "completion_tokens_details.reasoning_tokens", "completion_tokens_details.audio_tokens",
      "completion_tokens_details.accepted_prediction_tokens",
      "completion_tokens_details.rejected_prediction_tokens",
    ),
  // Those of a completion, and those that a stream adds up.
  logprobs: async (client, kase) => {
    const whole = await completions(client).create(body(kase));
    const streamed = await completions(client).stream(body(kase)).finalChatCompletion();
    const choices = [whole, streamed].map((completion) => completion.choices[0]);
    return choices.map(({ logprobs, message }) => likely(logprobs.content, message.content)).join("; ");
  },
  // The same of responses.
  responses_logprobs: async (client, kase) => {
    const whole = await client.responses.create(asked(kase));
    const streamed = await client.responses.stream(asked(kase)).finalResponse();
    const parts = [whole, streamed].map((answer) => answer.output[0].content[0]);
    return parts.map(({ logprobs, text }) => likely(logprobs, text)).join("; ");
  },
  // The same long prompt twice.
  cached: async (client, kase) => {
    const turns = [
      { role: "system", content: "Know this. ".repeat(4000) },
      { role: "user", content: kase.prompt },
    ];
    const asked = body(kase, { messages: turns });
    const first = (await completions(client).create(asked)).usage.prompt_tokens_details.cached_tokens;
    const second = (await completions(client).create(asked)).usage.prompt_tokens_details.cached_tokens;
    return first === 0 && second > 0 ? "fresh, then read" : `${first} read, then ${second}`;
  },
  responses_create: async (client, kase) => response(await client.responses.create(asked(kase))),
  responses_stream: async (client, kase) => response(await client.responses.stream(asked(kase)).finalResponse()),
  responses_events: async (client, kase) =>
    inOrder(await collected(await client.responses.create(asked(kase, { stream: true })), (event) => event.type)),
  responses_tool: async (client, kase) => {
    const tools = [{ type: "function", ...FUNCTION }];
    return response(await client.responses.create(asked(kase, { tools, tool_choice: "required" })));
  },
  responses_parse: async (client, kase) => {
    const answer = await client.responses.parse(asked(kase, { text: { format: { type: "json_schema", ...FORMAT } } }));
    return `${weather(answer.output_parsed ?? answer.output_text)} [${answer.status}]`;
  },
  responses_usage: async (client, kase) =>
    missing(
      (await client.responses.create(asked(kase))).usage,
      "input_tokens", "output_tokens", "total_tokens", "input_tokens_details.cached_tokens",
      "input_tokens_details.cache_write_tokens", "output_tokens_details.reasoning_tokens",
    ),
  models: async (client) => {
    const ids = await collected(client.models.list(), (model) => model.id);
    const found = await client.models.retrieve(MODEL);
    const whole = ids.includes(MODEL) && new Set(ids).size === ids.length && found.id === MODEL;
    return `${found.object} ${whole ? "True" : "False"}`;
  },
  model_unknown: async (client) => (await client.models.retrieve("no-such-model")).id,
  headers: async (client, kase) => {
    const { data, response } = await completions(client).create(body(kase)).withResponse();
    const told = [...response.headers.keys()].filter((name) => name.startsWith("x-ratelimit-"));
    const id = response.headers.get("x-request-id");
    return `${told.length} of quotas, request id ${id === data._request_id && id.slice(0, 4)}`;
  },
  batch: async (client, kase) => {
    const made = await madeBatch(client, body(kase), body(kase, { messages: [] }));
    const over = (batch) => ["completed", "failed"].includes(batch.status);
    const ended = await poll(() => client.batches.retrieve(made.id), over);
    const { completed, failed, total } = ended.request_counts;
    const answers = [...(await lines(client, ended.output_file_id)), ...(await lines(client, ended.error_file_id))];
    const results = answers.map((line) => `${line.custom_id}: ${line.response.status_code}`).sort().join("; ");
    const ids = await collected(client.batches.list(), (batch) => batch.id);
    const listed = ids.includes(made.id) ? "True" : "False";
    return `${ended.status} ${completed}+${failed} of ${total}; ${results}; listed ${listed}`;
  },
  batch_cancel: async (client, kase) => {
    const made = await madeBatch(client, body(kase));
    const cancelled = await client.batches.cancel(made.id);
    const ended = await poll(() => client.batches.retrieve(made.id), (batch) => batch.status !== "cancelling");
    return `${cancelled.status}; ${ended.status}`;
  },
  // Of two requests one is answered, the other waits until the batch expires.
  batch_expired: async (client, kase) => {
    const stuck = [{ role: "user", content: `[[sim fail=stall-first]] ${kase.case}` }];
    const made = await madeBatch(client, body(kase), body(kase, { messages: stuck }));
    const over = (batch) => ["expired", "completed"].includes(batch.status);
    const ended = await poll(() => client.batches.retrieve(made.id), over);
    const errors = (await lines(client, ended.error_file_id)).map((line) => `${line.custom_id}: ${line.error.code}`);
    const told = ended.expired_at === ended.expires_at ? "at its time" : "at another time";
    return `${ended.status} ${told}, ${ended.request_counts.completed} answered; ${errors.join("; ")}`;
  },
  // Which parameter an error is about, and its code.
  param: async (client, kase) => {
    try {
      return shown(await completions(client).create(body(kase)));
    } catch (error) {
      return `${error.constructor.name} ${error.param} ${error.code}`;
    }
  },
  // Stored, listed by metadata, fetched, changed, deleted.
  completions_stored: async (client, kase) => {
    const stored = completions(client);
    const run = kase.case;
    const made = await stored.create(body(kase, { store: true, metadata: { run } }));
    const found = await poll(() => stored.retrieve(made.id).catch(() => undefined), (it) => it !== undefined);
    const listed = await collected(stored.list({ metadata: { run } }), (item) => item.id);
    const others = await collected(stored.list({ metadata: { run: "another" } }), (item) => item.id);
    const changed = (await stored.update(made.id, { metadata: { run: "changed" } })).metadata;
    const { deleted } = await stored.delete(made.id);
    const bool = (value) => (value ? "True" : "False");
    const ids = listed.length === 1 && listed[0] === made.id;
    const same = bool(shown(found) === shown(made));
    return `${same} ${bool(ids)} [${others}] {'run': '${changed.run}'} ${bool(deleted)}`;
  },
  // Fetched, refused to be cancelled, deleted, gone.
  responses_kept: async (client, kase) => {
    const made = await client.responses.create(asked(kase));
    const same = response(await client.responses.retrieve(made.id)) === response(made);
    const name = (error) => error.constructor.name;
    const cancelled = await client.responses.cancel(made.id).then(response, name);
    await client.responses.delete(made.id);
    const gone = await client.responses.retrieve(made.id).then(response, name);
    return `${same ? "True" : "False"}; ${cancelled}; ${gone}`;
  },
  // From one response to the next, and from one that there is not.
  responses_continued: async (client, kase) => {
    const first = await client.responses.create(asked(kase));
    const second = await client.responses.create(asked(kase, { previous_response_id: first.id }));
    const more = second.usage.input_tokens > 2 * first.usage.input_tokens;
    const gone = client.responses.create(asked(kase, { previous_response_id: "resp_unknown" }));
    const unknown = await gone.then(response, (error) => `${error.param} ${error.code}`);
    const bool = (value) => (value ? "True" : "False");
    return `${bool(second.previous_response_id === first.id)} ${bool(more)}; ${unknown}`;
  },
  // The statuses that are seen until the end, each once.
  responses_background: async (client, kase) => {
    const made = await client.responses.create(asked(kase, { background: true }));
    const seen = [made.status];
    const look = async () => {
      const answer = await client.responses.retrieve(made.id);
      seen.push(answer.status);
      return answer;
    };
    const ended = await poll(look, (answer) => !["queued", "in_progress"].includes(answer.status));
    return `${inOrder(seen).replaceAll("+", "")}: ${response(ended)}`;
  },
  responses_cancelled: async (client, kase) => {
    const made = await client.responses.create(asked(kase, { background: true }));
    const cancelled = await client.responses.cancel(made.id);
    return `${made.status}; ${cancelled.status}; ${(await client.responses.retrieve(made.id)).status}`;
  },
  // The count of a response's input, beside what the response was billed for.
  input_tokens: async (client, kase) => {
    const counted = (await client.responses.inputTokens.count({ model: MODEL, input: kase.prompt })).input_tokens;
    const billed = (await client.responses.create(asked(kase))).usage.input_tokens;
    return counted === billed ? "as billed" : `${counted} counted, ${billed} billed`;
  },
};

run(new OpenAI({ baseURL: `${BASE_URL}/v1`, apiKey: "sk-test" }), verbs);
