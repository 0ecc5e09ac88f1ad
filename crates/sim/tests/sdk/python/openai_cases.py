"""Drives one version of OpenAI's Python SDK: `openai_cases.py BASE_URL`, cases on stdin."""

import io
import json
import sys

import openai
from cases import SCHEMA, Weather, in_order, missing, poll, run, weather

MODEL = "gpt-5.4"
FUNCTION = {"name": "get_weather", "description": "The weather of a city.", "parameters": SCHEMA, "strict": True}


def body(case, **more):
    turns = [{"role": "user", "content": case["prompt"]}]
    bound = {"max_completion_tokens": 200}
    return {"model": MODEL, "messages": turns, **bound, "extra_body": case["extra"] or None, **more}


def asked(case, **more):
    """The same for the Responses API."""
    bound = {"max_output_tokens": 200}
    return {"model": MODEL, "input": case["prompt"], **bound, "extra_body": case["extra"] or None, **more}


def used(usage, *counts):
    return [] if usage and all(getattr(usage, count) for count in counts) else ["without usage"]


def shown(completion):
    """A completion in a few words: its choices, why each stopped, whether it says what it used."""
    if not isinstance(completion, openai.types.chat.ChatCompletion):
        return f"a {type(completion).__name__}"
    parts = []
    for choice in completion.choices or []:
        calls = choice.message.tool_calls or []
        parts += [f"{call.function.name}({weather(call.function.arguments)})" for call in calls]
        parts += [choice.message.content] if choice.message.content is not None else []
        parts.append(f"[{choice.finish_reason}]")
    parts += used(completion.usage, "prompt_tokens", "completion_tokens", "total_tokens")
    return " ".join(parts)


def create(client, case):
    return shown(client.chat.completions.create(**body(case)))


def stream(client, case):
    with client.chat.completions.stream(**body(case, stream_options={"include_usage": True})) as events:
        return shown(events.get_final_completion())


def events(client, case):
    """Chunks by what they carry: a role, text, a finish reason, usage alone."""

    def kind(chunk):
        if not chunk.choices:
            return "usage" if chunk.usage else "nothing"
        choice = chunk.choices[0]
        if choice.finish_reason:
            return choice.finish_reason
        return "text" if choice.delta.content else "role" if choice.delta.role else "nothing"

    return in_order(kind(chunk) for chunk in client.chat.completions.create(**body(case), stream=True))


def events_usage(client, case):
    case = {**case, "extra": {**case["extra"], "stream_options": {"include_usage": True}}}
    return events(client, case)


def tool(client, case):
    choice = {"type": "function", "function": {"name": FUNCTION["name"]}}
    tools = [{"type": "function", "function": FUNCTION}]
    return shown(client.chat.completions.create(**body(case, tools=tools, tool_choice=choice)))


def stream_tool(client, case):
    tools = [{"type": "function", "function": FUNCTION}]
    options = {"include_usage": True}
    more = {"tools": tools, "tool_choice": "required", "stream_options": options}
    with client.chat.completions.stream(**body(case, **more)) as events:
        return shown(events.get_final_completion())


def parse(client, case):
    choice = client.chat.completions.parse(**body(case, response_format=Weather)).choices[0]
    return f"{weather(choice.message.parsed)} [{choice.finish_reason}]"


def stream_parse(client, case):
    with client.chat.completions.stream(**body(case, response_format=Weather)) as events:
        choice = events.get_final_completion().choices[0]
    return f"{weather(choice.message.parsed)} [{choice.finish_reason}]"


def usage(client, case):
    fields = (
        "prompt_tokens", "completion_tokens", "total_tokens", "prompt_tokens_details.cached_tokens",
        "completion_tokens_details.reasoning_tokens", "completion_tokens_details.audio_tokens",
        "completion_tokens_details.accepted_prediction_tokens",
        "completion_tokens_details.rejected_prediction_tokens",
    )  # fmt: skip
    return missing(client.chat.completions.create(**body(case)).usage, *fields)


def likely(tokens, text):
    """Whether these tokens are the text, and how many others each has."""
    return f"{''.join(token.token for token in tokens) == text} {sorted({len(t.top_logprobs) for t in tokens})}"


def logprobs(client, case):
    """Those of a completion, and those that a stream adds up."""
    with client.chat.completions.stream(**body(case)) as events:
        choices = [client.chat.completions.create(**body(case)), events.get_final_completion()]
    choices = [completion.choices[0] for completion in choices]
    return "; ".join(likely(choice.logprobs.content, choice.message.content) for choice in choices)


def responses_logprobs(client, case):
    """The same of responses."""
    with client.responses.stream(**asked(case)) as events:
        responses = [client.responses.create(**asked(case)), events.get_final_response()]
    parts = [response.output[0].content[0] for response in responses]
    return "; ".join(likely(part.logprobs, part.text) for part in parts)


def cached(client, case):
    """The same long prompt twice."""
    turns = [{"role": "system", "content": "Know this. " * 4000}, {"role": "user", "content": case["prompt"]}]
    asked = body(case, messages=turns)
    first, second = (
        client.chat.completions.create(**asked).usage.prompt_tokens_details.cached_tokens for _ in range(2)
    )
    return "fresh, then read" if second > 0 == first else f"{first} read, then {second}"


def response(answer):
    """A response in a few words."""
    if not isinstance(answer, openai.types.responses.Response):
        return f"a {type(answer).__name__}"
    parts = []
    for item in answer.output or []:
        if item.type == "function_call":
            parts.append(f"{item.name}({weather(item.arguments)})")
        else:
            parts.append(answer.output_text if item.type == "message" else item.type)
    parts.append(f"[{answer.status}]")
    return " ".join(parts + used(answer.usage, "input_tokens", "output_tokens", "total_tokens"))


def responses_create(client, case):
    return response(client.responses.create(**asked(case)))


def responses_stream(client, case):
    with client.responses.stream(**asked(case)) as events:
        return response(events.get_final_response())


def responses_events(client, case):
    return in_order(event.type for event in client.responses.create(**asked(case), stream=True))


def responses_tool(client, case):
    tools = [{"type": "function", **FUNCTION}]
    return response(client.responses.create(**asked(case, tools=tools, tool_choice="required")))


def responses_parse(client, case):
    answer = client.responses.parse(**asked(case, text_format=Weather))
    return f"{weather(answer.output_parsed)} [{answer.status}]"


def responses_usage(client, case):
    fields = (
        "input_tokens", "output_tokens", "total_tokens", "input_tokens_details.cached_tokens",
        "input_tokens_details.cache_write_tokens", "output_tokens_details.reasoning_tokens",
    )  # fmt: skip
    return missing(client.responses.create(**asked(case)).usage, *fields)


def models(client, case):
    ids = [model.id for model in client.models.list()]
    found = client.models.retrieve(MODEL)
    return f"{found.object} {MODEL in ids and len(ids) == len(set(ids)) and found.id == MODEL}"


def model_unknown(client, case):
    return client.models.retrieve("no-such-model").id


def headers(client, case):
    raw = client.chat.completions.with_raw_response.create(**body(case))
    told = sorted(name for name in raw.headers if name.startswith("x-ratelimit-"))
    same = raw.headers["x-request-id"] == raw.parse()._request_id
    return f"{len(told)} of quotas, request id {same and raw.headers['x-request-id'][:4]}"


def made_batch(client, case, *bodies):
    lines = [
        {"custom_id": name, "method": "POST", "url": "/v1/chat/completions", "body": body}
        for name, body in zip(("one", "two"), bodies)
    ]
    file = io.BytesIO("\n".join(json.dumps(line) for line in lines).encode())
    uploaded = client.files.create(file=("batch.jsonl", file), purpose="batch")
    return client.batches.create(
        input_file_id=uploaded.id, endpoint="/v1/chat/completions", completion_window="24h"
    )


def plain(case, **more):
    return {key: value for key, value in body(case, **more).items() if key != "extra_body"}


def lines(client, file):
    return [json.loads(line) for line in client.files.content(file).text.splitlines()] if file else []


def batch(client, case):
    made = made_batch(client, case, plain(case), plain(case, messages=[]))
    ended = poll(lambda: client.batches.retrieve(made.id), lambda b: b.status in ("completed", "failed"))
    counts = ended.request_counts
    results = [
        f"{line['custom_id']}: {line['response']['status_code']}"
        for line in lines(client, ended.output_file_id) + lines(client, ended.error_file_id)
    ]
    listed = made.id in [item.id for item in client.batches.list()]
    tally = f"{ended.status} {counts.completed}+{counts.failed} of {counts.total}"
    return f"{tally}; {'; '.join(sorted(results))}; listed {listed}"


def batch_cancel(client, case):
    made = made_batch(client, case, plain(case))
    cancelled = client.batches.cancel(made.id)
    ended = poll(lambda: client.batches.retrieve(made.id), lambda b: b.status != "cancelling")
    return f"{cancelled.status}; {ended.status}"


def batch_expired(client, case):
    """Of two requests one is answered, the other waits until the batch expires."""
    stuck = [{"role": "user", "content": f"[[sim fail=stall-first]] {case['case']}"}]
    made = made_batch(client, case, plain(case), plain(case, messages=stuck))
    ended = poll(lambda: client.batches.retrieve(made.id), lambda b: b.status in ("expired", "completed"))
    errors = [f"{line['custom_id']}: {line['error']['code']}" for line in lines(client, ended.error_file_id)]
    told = "at its time" if ended.expired_at == ended.expires_at else "at another time"
    return f"{ended.status} {told}, {ended.request_counts.completed} answered; {'; '.join(errors)}"


def param(client, case):
    """Which parameter an error is about, and its code."""
    try:
        return create(client, case)
    except openai.APIError as error:
        return f"{type(error).__name__} {error.param} {error.code}"


def fetched(fetch):
    """What is there once it is found."""
    for _ in range(10_000):
        try:
            return fetch()
        except openai.NotFoundError:
            pass
    raise RuntimeError("it never comes")


def completions_stored(client, case):
    """Stored, listed by metadata, fetched, changed, deleted."""
    stored = client.chat.completions
    run = case["case"]
    made = stored.create(**body(case, store=True, metadata={"run": run}))
    same = shown(fetched(lambda: stored.retrieve(made.id))) == shown(made)
    listed = [item.id for item in stored.list(metadata={"run": run})]
    others = [item.id for item in stored.list(metadata={"run": "another"})]
    changed = stored.update(made.id, metadata={"run": "changed"}).metadata
    deleted = stored.delete(made.id).deleted
    return f"{same} {listed == [made.id]} {others} {changed} {deleted}"


def responses_kept(client, case):
    """Fetched, refused to be cancelled, deleted, gone."""
    made = client.responses.create(**asked(case))
    same = response(client.responses.retrieve(made.id)) == response(made)
    try:
        client.responses.cancel(made.id)
    except openai.BadRequestError as error:
        cancelled = type(error).__name__
    client.responses.delete(made.id)
    try:
        client.responses.retrieve(made.id)
    except openai.NotFoundError as error:
        gone = type(error).__name__
    return f"{same}; {cancelled}; {gone}"


def responses_continued(client, case):
    """From one response to the next, and from one that there is not."""
    first = client.responses.create(**asked(case))
    second = client.responses.create(**asked(case, previous_response_id=first.id))
    more = second.usage.input_tokens > 2 * first.usage.input_tokens
    try:
        client.responses.create(**asked(case, previous_response_id="resp_unknown"))
    except openai.BadRequestError as error:
        unknown = f"{error.param} {error.code}"
    return f"{second.previous_response_id == first.id} {more}; {unknown}"


def responses_background(client, case):
    """The statuses that are seen until the end, each once."""
    made = client.responses.create(**asked(case, background=True))
    seen = [made.status]

    def look():
        answer = client.responses.retrieve(made.id)
        seen.append(answer.status)
        return answer

    ended = poll(look, lambda answer: answer.status not in ("queued", "in_progress"))
    return f"{in_order(seen).replace('+', '')}: {response(ended)}"


def responses_cancelled(client, case):
    made = client.responses.create(**asked(case, background=True))
    cancelled = client.responses.cancel(made.id)
    return f"{made.status}; {cancelled.status}; {client.responses.retrieve(made.id).status}"


def input_tokens(client, case):
    """The count of a response's input, beside what the response was billed for."""
    counted = client.responses.input_tokens.count(model=MODEL, input=case["prompt"]).input_tokens
    billed = client.responses.create(**asked(case)).usage.input_tokens
    return "as billed" if counted == billed else f"{counted} counted, {billed} billed"


VERBS = {
    verb.__name__: verb
    for verb in (
        create, stream, events, events_usage, tool, stream_tool, parse, stream_parse, usage, cached,
        responses_create, responses_stream, responses_events, responses_tool, responses_parse,
        responses_usage, models, model_unknown, headers, batch, batch_cancel,
        batch_expired, param, completions_stored, responses_kept, responses_background,
        responses_cancelled, input_tokens, logprobs, responses_logprobs, responses_continued,
    )
}  # fmt: skip

if __name__ == "__main__":
    run(openai.OpenAI(base_url=f"{sys.argv[1]}/v1", api_key="sk-test"), VERBS)
