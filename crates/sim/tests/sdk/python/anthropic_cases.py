"""Drives one version of Anthropic's Python SDK: `anthropic_cases.py BASE_URL`, cases on stdin."""

import sys

import anthropic
from cases import SCHEMA, Weather, in_order, missing, poll, run, weather

MODEL = "claude-sonnet-5-5"
TOOL = {"name": "get_weather", "description": "The weather of a city.", "input_schema": SCHEMA}


def body(case, **more):
    turns = [{"role": "user", "content": case["prompt"]}]
    return {"model": MODEL, "max_tokens": 200, "messages": turns, "extra_body": case["extra"] or None, **more}


def plain(case, **more):
    """The same for where the SDK checks nothing: a request inside a batch."""
    return {key: value for key, value in body(case, **more).items() if key != "extra_body"}


def shown(message):
    """A message in a few words: its blocks, why it stopped, whether it says what it used."""
    if not isinstance(message, anthropic.types.Message):
        return f"a {type(message).__name__}"
    parts = []
    for block in message.content or ["no content"]:
        match getattr(block, "type", None):
            case "text":
                parts.append(block.text)
            case "tool_use":
                parts.append(f"{block.name}({weather(block.input)})")
            case other:
                parts.append(other or str(block))
    parts.append(f"[{message.stop_reason}]")
    if message.usage is None or not (message.usage.input_tokens and message.usage.output_tokens):
        parts.append("without usage")
    return " ".join(parts)


def create(client, case):
    return shown(client.messages.create(**body(case)))


def stream(client, case):
    with client.messages.stream(**body(case)) as events:
        return shown(events.get_final_message())


def events(client, case):
    return in_order(event.type for event in client.messages.create(**body(case), stream=True))


def tool(client, case):
    choice = {"type": "tool", "name": TOOL["name"]}
    return shown(client.messages.create(**body(case, tools=[TOOL], tool_choice=choice)))


def stream_tool(client, case):
    with client.messages.stream(**body(case, tools=[TOOL], tool_choice={"type": "any"})) as events:
        return shown(events.get_final_message())


def parse(client, case):
    message = client.messages.parse(**body(case, output_format=Weather))
    return f"{weather(message.parsed_output)} [{message.stop_reason}]"


def stream_parse(client, case):
    with client.messages.stream(**body(case, output_format=Weather)) as events:
        message = events.get_final_message()
    return f"{weather(message.parsed_output)} [{message.stop_reason}]"


def thinking(client, case):
    asked = body(case, max_tokens=2000, thinking={"type": "enabled", "budget_tokens": 1024})
    with client.messages.stream(**asked) as events:
        return shown(events.get_final_message())


def beta(client, case):
    """By `?beta=true` in the older versions, by headers alone in the newer."""
    message = client.beta.messages.create(**body(case), betas=["some-beta-2026-01-01"])
    return f"{message.content[0].text} [{message.stop_reason}]"


def tool_runner(client, case):
    """The SDK's own loop over tools. The newest says only what is new, in a thread that the server keeps."""
    called = []

    @anthropic.beta_tool
    def get_weather(city: str, unit: str) -> str:
        """The weather of a city."""
        called.append((city, unit))
        return "9 degrees"

    asked = body(case, tools=[get_weather], system="Be brief.")
    stops = [message.stop_reason for message in client.beta.messages.tool_runner(**asked)]
    return f"{', '.join(stops)}; called {len(called)}"


def thread(client, case):
    """A conversation in a thread: each time all that was said before is read, though only the new is sent."""
    turns = client.beta.messages.thread(**body(case), system="Be brief.")
    first = turns.send()
    replies = [turns.send({"role": "user", "content": f"And {n}?"}) for n in range(2)]
    used = [reply.usage.input_tokens for reply in (first, *replies)]
    return f"{len(turns.messages)} turns, more each time {sorted(set(used)) == used}"


def usage(client, case):
    fields = (
        "input_tokens", "output_tokens", "cache_creation_input_tokens", "cache_read_input_tokens",
        "cache_creation.ephemeral_5m_input_tokens", "cache_creation.ephemeral_1h_input_tokens",
        "output_tokens_details.thinking_tokens", "service_tier",
    )  # fmt: skip
    return missing(client.messages.create(**body(case)).usage, *fields)


def cached(client, case):
    """The same long system prompt twice."""
    block = {"type": "text", "text": "Know this. " * 4000, "cache_control": {"type": "ephemeral"}}
    first, second = (client.messages.create(**body(case, system=[block])).usage for _ in range(2))
    written, read = first.cache_creation_input_tokens, second.cache_read_input_tokens
    as_told = written and written == read and not first.cache_read_input_tokens
    return "written, then read" if as_told else f"{written} written, {read} read"


def count_tokens(client, case):
    asked = body(case)
    used = client.messages.create(**asked).usage.input_tokens
    asked.pop("max_tokens")
    counted = client.messages.count_tokens(**asked).input_tokens
    return "as billed" if counted == used else f"{counted} counted, {used} billed"


def models(client, case):
    ids = [model.id for model in client.models.list(limit=2)]
    found = client.models.retrieve(ids[-1])
    return f"{found.type} {MODEL in ids and len(ids) == len(set(ids)) and found.id == ids[-1]}"


def model_unknown(client, case):
    return client.models.retrieve("no-such-model").id


def headers(client, case):
    """The headers that tell the quotas and the request."""
    raw = client.messages.with_raw_response.create(**body(case))
    told = sorted(name for name in raw.headers if name.startswith("anthropic-ratelimit-"))
    same = raw.headers["request-id"] == raw.parse()._request_id
    return f"{len(told)} of quotas, request id {same and raw.headers['request-id'][:4]}"


def result(item):
    if item.result.type == "succeeded":
        return f"{item.custom_id}: {shown(item.result.message)} {item.result.message.usage.service_tier}"
    if item.result.type == "errored":
        return f"{item.custom_id}: errored {item.result.error.error.type}"
    return f"{item.custom_id}: {item.result.type}"


def batch(client, case):
    requests = [
        {"custom_id": "one", "params": plain(case)},
        {"custom_id": "two", "params": plain(case, messages=[])},
    ]
    made = client.messages.batches.create(requests=requests)
    ended = poll(lambda: client.messages.batches.retrieve(made.id), lambda b: b.processing_status == "ended")
    counts = ended.request_counts
    results = sorted(result(item) for item in client.messages.batches.results(made.id))
    listed = made.id in [item.id for item in client.messages.batches.list()]
    deleted = client.messages.batches.delete(made.id).type
    tally = f"{made.processing_status} {counts.succeeded}+{counts.errored}"
    return f"{tally}; {'; '.join(results)}; listed {listed}; {deleted}"


def batch_cancel(client, case):
    made = client.messages.batches.create(requests=[{"custom_id": "one", "params": plain(case)}])
    canceled = client.messages.batches.cancel(made.id)
    poll(lambda: client.messages.batches.retrieve(made.id), lambda b: b.processing_status == "ended")
    results = [result(item) for item in client.messages.batches.results(made.id)]
    return f"{canceled.processing_status}; {'; '.join(results)}"


def batch_expired(client, case):
    """Of two requests one is answered, the other waits until the batch expires."""
    stuck = [{"role": "user", "content": f"[[sim fail=stall-first]] {case['case']}"}]
    requests = [
        {"custom_id": "one", "params": plain(case)},
        {"custom_id": "two", "params": plain(case, messages=stuck)},
    ]
    made = client.messages.batches.create(requests=requests)
    ended = poll(lambda: client.messages.batches.retrieve(made.id), lambda b: b.processing_status == "ended")
    results = sorted(result(item) for item in client.messages.batches.results(made.id))
    told = "at its time" if ended.ended_at == ended.expires_at else "at another time"
    return f"{told}, {ended.request_counts.succeeded}+{ended.request_counts.expired}; {'; '.join(results)}"


VERBS = {
    verb.__name__: verb
    for verb in (
        create, stream, events, tool, stream_tool, parse, stream_parse, thinking, beta, usage, cached,
        count_tokens, models, model_unknown, headers, batch, batch_cancel,
        batch_expired, tool_runner, thread,
    )
}  # fmt: skip

if __name__ == "__main__":
    run(anthropic.Anthropic(base_url=sys.argv[1], api_key="sk-test"), VERBS)
