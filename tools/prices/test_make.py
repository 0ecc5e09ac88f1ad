"""What make.py refuses. Run by .ci/run; no network."""

import contextlib
import copy
import io
import json
import sys
import unittest
from decimal import Decimal

sys.dont_write_bytecode = True
import make  # noqa: E402

PINS = {"dated": "2026-11-25", "sources": {}, "models": [], "settled": [], "left_out": []}
LITELLM = {"input_cost_per_token": Decimal("1E-6"), "output_cost_per_token": Decimal("5E-6"),
           "cache_read_input_token_cost": Decimal("1E-7"), "input_cost_per_token_priority": Decimal("2E-6"),
           "output_cost_per_token_priority": Decimal("1E-5"), "max_input_tokens": 872_000,
           "max_output_tokens": 128_000}
GENAI = {"id": "m", "context_window": 1_000_000,
         "prices": {"input_mtok": Decimal("1"), "output_mtok": Decimal("5"), "cache_read_mtok": Decimal("0.1")}}


def row(litellm=None, genai=None, settled=()):
    """The row of a model of which the two tables say this, and what was left open."""
    pins = PINS | {"settled": list(settled)}
    maker = make.Maker(pins, {"m": LITELLM | (litellm or {})}, {("openai", "m"): GENAI | (genai or {})})
    with contextlib.redirect_stdout(io.StringIO()):
        made = maker.row({"model": "m", "provider": "openai"})
    return made, maker.open


class Making(unittest.TestCase):
    def test_decimals_stay_decimals(self):
        made, still_open = row({"output_cost_per_token": Decimal("3E-7")}, {"prices": GENAI["prices"] | {"output_mtok": Decimal("0.30")}})
        self.assertEqual((made["output"], made["context"], still_open), ("0.3", 1_000_000, []))

    def test_a_difference_has_to_be_settled(self):
        other = {"prices": GENAI["prices"] | {"output_mtok": Decimal("6")}}
        self.assertEqual(row(genai=other)[1], ["m: standard.output: litellm 5, genai-prices 6"])
        told = {"model": "m", "what": "standard.output", "litellm": "5", "genai": "6", "take": "6", "why": "so"}
        made, still_open = row(genai=other, settled=[told])
        self.assertEqual((made["output"], still_open), ("6", []))
        # Settled for other numbers than today's: open again.
        self.assertEqual(len(row(genai=other, settled=[told | {"genai": "7"}])[1]), 1)

    def test_long_rates_in_one_table_alone_are_a_difference(self):
        tiers = lambda base: {"base": Decimal(base), "tiers": [{"start": 100, "price": Decimal(base) * 2}]}
        prices = {"input_mtok": tiers("1"), "output_mtok": tiers("5"), "cache_read_mtok": tiers("0.1")}
        self.assertEqual(row(genai={"prices": prices})[1], ["m: long: litellm False, genai-prices True"])

    def test_absurd_rows_are_refused_by_name_and_rule(self):
        def refused(change, why):
            made = copy.deepcopy(row()[0])
            change(made)
            with self.assertRaisesRegex(make.Refused, f"m: .*{why}"):
                make.check_rows([made])

        make.check_rows([row()[0]])
        refused(lambda r: r.update(output="0.09"), "less than a tenth of input")
        refused(lambda r: r.update(cache_read="1.1"), "reading from a cache costs more")
        refused(lambda r: r.update(input="-1"), "negative")
        refused(lambda r: r.update(output="NaN"), "no number")
        refused(lambda r: r.update(input="0", cache_read="0"), "costs nothing")
        refused(lambda r: r.update(input="1.0000001"), "fraction of a picodollar")
        # As LiteLLM once had gpt-5-nano's: 50 times the usual rate.
        refused(lambda r: r["tiers"]["priority"].update(input="50"), "more than 20 times")
        refused(lambda r: r.update(tiers={"batch": r["tiers"]["priority"]}), "more than the standard rate")

    def test_a_region_has_one_factor(self):
        of = lambda theirs: make.Maker.region("m", theirs)
        eu, us = "regional_processing_uplift_multiplier_eu", "regional_processing_uplift_multiplier_us"
        self.assertEqual(of({eu: 1.1, us: 1.1, "fedramp_uplift_multiplier": 1.2}), "1.1")
        self.assertEqual(of({"provider_specific_entry": {"us": 1.1}}), "1.1")
        self.assertIsNone(of({"provider_specific_entry": {"fast": 2}}))
        with self.assertRaisesRegex(make.Refused, "several factors: 1.1, 1.2"):
            of({eu: 1.1, us: 1.2})

    def test_the_committed_table_keeps_the_rules(self):
        with contextlib.redirect_stdout(io.StringIO()):
            make.check(None, json.loads(make.PINS.read_text()))


if __name__ == "__main__":
    unittest.main()
