"""What the Python scripts of the conformance suite share: cases in on stdin, a JSON line each out.

A case says what to do (`do`, one of a script's verbs), with which `prompt`, `key`, `max_retries`,
`timeout` (seconds) and, in `extra`, with which fields of the body that the SDK does not know. Its
outcome is a line of text: what came back in a few words, or the exception. Nothing is judged here.
"""

import concurrent.futures
import itertools
import json
import sys
import time
from typing import Literal

from pydantic import BaseModel

# Cases mostly wait: for an SDK's back-off, for a timeout.
AT_ONCE = 12

# Seconds between two looks at what is not over yet, so that the other cases get their turns.
PAUSE = 0.01


class Weather(BaseModel):
    """What tools take and structured answers give."""

    city: str
    unit: Literal["celsius", "fahrenheit"]


SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]}},
    "required": ["city", "unit"],
    "additionalProperties": False,
}


def weather(value):
    """A value that should be a Weather, in words."""
    if isinstance(value, str):
        value = json.loads(value)
    if isinstance(value, dict):
        value = Weather(**value)
    return "weather" if isinstance(value, Weather) else f"no weather: {value!r}"


def missing(said, *paths):
    """Which of these fields (`details.count`) a reply does not have at all."""

    def has(value, names):
        return not names or (isinstance(value, dict) and names[0] in value and has(value[names[0]], names[1:]))

    absent = [path for path in paths if not has(said.to_dict(), path.split("."))]
    return f"without {', '.join(absent)}" if absent else "all"


def in_order(names):
    """Names in their order, each repetition as one `name+`."""
    groups = ((name, len(list(group))) for name, group in itertools.groupby(names))
    return " ".join(name if count == 1 else f"{name}+" for name, count in groups)


def poll(fetch, is_over):
    """What `fetch` gives once it is over. Each look is a request; the test's deadline ends it."""
    while not is_over(value := fetch()):
        time.sleep(PAUSE)
    return value


def shown_error(error):
    """The exception's class, its HTTP status, and the provider's word for it."""
    body = getattr(error, "body", None)
    body = body.get("error", body) if isinstance(body, dict) else None
    word = (body.get("code") or body.get("type")) if isinstance(body, dict) else None
    details = body.get("details") if isinstance(body, dict) else None
    word = (details or {}).get("error_code") or word
    parts = [type(error).__name__, getattr(error, "status_code", None), word]
    return " ".join(str(part) for part in parts if part is not None)


def run(client, verbs):
    """Does all cases on copies of this client, several at once."""

    def done(case):
        start = time.monotonic()
        try:
            own = client.with_options(
                api_key=case["key"], max_retries=case["max_retries"], timeout=case["timeout"]
            )
            outcome = verbs[case["do"]](own, case)
        except Exception as error:  # whatever an SDK raises is an outcome
            outcome = shown_error(error)
            if not hasattr(error, "status_code") and type(error).__module__ in ("builtins", __name__):
                outcome += f": {error}"
        return {"case": case["case"], "outcome": outcome, "elapsed_ms": round((time.monotonic() - start) * 1000)}

    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        for line in pool.map(done, json.load(sys.stdin)):
            print(json.dumps(line), flush=True)
