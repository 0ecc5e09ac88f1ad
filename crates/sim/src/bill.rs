//! What the simulator bills: its own sum over what it generated and how it served it.
//!
//! It reads the rates of the public price table and nothing else of the client's side: the client
//! charges by `Price::of`, and if both used that, a fault in it would be on both sides of the ledger
//! and cancel out. The tests of both hold amounts that were worked out by hand.

use sortie_core::money::Usd;
use sortie_core::price::{Rates, Row};
use sortie_core::usage::Usage;
use sortie_providers::dialect::Tier;

/// What a request for the United States costs, in percent (Anthropic's pricing page: every model from
/// Opus 4.6 on; no other region is sold).
const UNITED_STATES_PERCENT: u128 = 110;

/// How a generation was served.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Served {
    /// In which tier.
    pub(crate) tier: Tier,
    /// Whether in the United States because it was asked for.
    pub(crate) in_us: bool,
}

/// What these tokens cost, in whole picodollars, a fraction rounded up, and the web searches that were made.
pub(crate) fn bill(row: &Row, tokens: &Usage, served: Served) -> Usd {
    let prompt = u128::from(tokens.input)
        + u128::from(tokens.cache_read)
        + u128::from(tokens.cache_write)
        + u128::from(tokens.cache_write_1h);
    let usual = &row.price.standard;
    let in_tier = row.price.tiers.get(&served.tier).unwrap_or(usual);
    let is_long =
        |rates: &&Rates| rates.long.as_ref().is_some_and(|long| prompt > u128::from(long.above_input_tokens));
    let cost = match [in_tier, usual].into_iter().find(is_long).and_then(|rates| rates.long.as_ref()) {
        // Every token of a long prompt at the long rate; never less than its tier costs.
        Some(long) => sum(&long.rates, tokens).max(sum(in_tier, tokens)),
        None => sum(in_tier, tokens),
    };
    let in_us = served.in_us && row.price.region_percent > 100;
    let percent = if in_us { UNITED_STATES_PERCENT } else { 100 };
    let searches = u128::from(row.price.web_search.pico()) * u128::from(tokens.web_searches);
    let all = (cost * percent).div_ceil(100) + searches;
    Usd::from_pico(u64::try_from(all).unwrap_or(u64::MAX))
}

fn sum(rates: &Rates, tokens: &Usage) -> u128 {
    let kinds = [
        (rates.input, tokens.input),
        (rates.cache_read, tokens.cache_read),
        (rates.cache_write, tokens.cache_write),
        (rates.cache_write_1h, tokens.cache_write_1h),
        (rates.output, tokens.output),
    ];
    kinds.into_iter().map(|(rate, count)| u128::from(rate.pico()) * u128::from(count)).sum()
}

#[cfg(test)]
mod tests {
    use sortie_core::price::table;

    use super::Tier::{Batch, Flex, Priority, Standard};
    use super::*;

    #[test]
    fn bills_are_those_of_the_price_lists() {
        let check = |model: &str, tokens: [u64; 5], tier, in_us, pico: u64| {
            let [input, cache_read, cache_write, cache_write_1h, output] = tokens;
            let tokens = Usage { input, cache_read, cache_write, cache_write_1h, output, ..Usage::default() };
            let row = table().find(model).unwrap();
            let billed = bill(row, &tokens, Served { tier, in_us });
            assert_eq!(billed.pico(), pico, "{model} {tokens:?} {tier:?}");
        };
        let sonnet = "claude-sonnet-5-5"; // 2 in, 0.1 read, 2.5 and 4 written, 10 out
        let mixed = [100, 1000, 200, 100, 50]; // 200 + 100 + 500 + 400 + 500
        check(sonnet, mixed, Standard, false, 1_700_000_000);
        check(sonnet, mixed, Batch, false, 850_000_000);
        check(sonnet, mixed, Standard, true, 1_870_000_000);
        check(sonnet, mixed, Batch, true, 935_000_000);
        check("claude-haiku-4-5", [1000, 0, 0, 0, 0], Standard, true, 1_000_000_000); // sold for no region
        let searched = Usage { input: 100, web_searches: 3, ..Usage::default() };
        let in_us = Served { in_us: true, ..Served::default() };
        // A cent a search, which no region changes.
        assert_eq!(bill(table().find(sonnet).unwrap(), &searched, in_us).pico(), 30_220_000_000);
        let haiku = "claude-haiku-5-5"; // 0.1 in, 0.01 read, 0.5 out; above 100,000: five times
        check(haiku, [40_000, 60_000, 0, 0, 10], Standard, false, 4_605_000_000);
        check(haiku, [40_001, 60_000, 0, 0, 10], Standard, false, 23_025_500_000);
        check(haiku, [40_001, 60_000, 0, 0, 10], Batch, false, 11_512_750_000);
        let sol = "gpt-6.1-sol"; // 2 in, 0.1 read, 2.5 written, 10 out; above 272,000: 4 in, 15 out
        check(sol, [100, 600, 300, 0, 50], Standard, false, 1_510_000_000);
        check(sol, [100, 600, 300, 0, 50], Flex, false, 755_000_000);
        check(sol, [100, 600, 300, 0, 50], Priority, false, 3_020_000_000);
        check(sol, [272_000, 0, 0, 0, 10], Standard, false, 544_100_000_000);
        check(sol, [272_000, 1, 0, 0, 10], Standard, false, 1_088_150_200_000);
        check("gpt-5.5", [272_001, 0, 0, 0, 0], Priority, false, 3_400_012_500_000);
    }
}
