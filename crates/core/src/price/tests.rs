use serde_json::Value;

use super::*;
use crate::hash::Hash;

fn usd(text: &str) -> Usd {
    text.parse().unwrap()
}

fn row(model: &str) -> &'static Row {
    table().find(model).unwrap_or_else(|| panic!("{model} has no row"))
}

#[test]
fn models_are_found_with_and_without_their_date() {
    let check = |model: &str, found: Option<&str>| {
        assert_eq!(table().find(model).map(|row| row.model.as_str()), found, "{model}");
    };
    check("claude-sonnet-4-5", Some("claude-sonnet-4-5"));
    check("claude-sonnet-4-5-20250929", Some("claude-sonnet-4-5"));
    check("claude-opus-4-20250514", Some("claude-opus-4-0"));
    check("gpt-4o-2024-08-06", Some("gpt-4o"));
    check("gpt-4o-2024-05-13", Some("gpt-4o-2024-05-13")); // cost twice as much
    check("claude-sonnet-5-5-latest", Some("claude-sonnet-5-5"));
    check("claude-sonnet-4-5-2025092x", None);
    check("gpt-é2345678", None);
    check("", None);
}

#[test]
fn the_founding_document_s_model_costs_what_it_says() {
    // SPEC.md C1: $0.003 and $0.015 per 1K tokens.
    let rates = &row("claude-sonnet-4-5-20250929").price.standard;
    assert_eq!(rates.input.times(1000), usd("0.003"));
    assert_eq!(rates.output.times(1000), usd("0.015"));
}

#[test]
fn the_table_is_the_one_that_its_hash_names() {
    let mut written: Value = serde_json::from_str(include_str!("table.json")).unwrap();
    sort(&mut written);
    assert_eq!(Hash::of(written["rows"].to_string().as_bytes()), table().hash);
    assert_eq!(table().name(), format!("{} ({})", table().dated, &table().hash.to_string()[..8]));
}

/// Puts the keys of objects in order.
fn sort(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            let mut sorted: Vec<_> = std::mem::take(fields).into_iter().collect();
            sorted.sort_by(|a, b| a.0.cmp(&b.0));
            for (key, mut value) in sorted {
                sort(&mut value);
                fields.insert(key, value);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(sort),
        _ => (),
    }
}

#[test]
fn every_row_is_plausible() {
    for row in &table().rows {
        assert_eq!(row.price.plausible(), Ok(()), "{}", row.model);
        assert_eq!(row.retires.is_some(), row.successor.is_some(), "{}", row.model);
        if let Some(successor) = &row.successor {
            let next = table().find(successor).unwrap_or_else(|| panic!("{successor} has no row"));
            assert_eq!(next.retires, None, "{} leads to a model that retires", row.model);
        }
    }
}

/// A table of one row that costs 1 in, 5 out, 0.1 cached, 1.25 written, but for these fields.
fn one_row(fields: &str) -> Result<Table, TableError> {
    let mut row = serde_json::json!({"model": "m", "provider": "openai", "input": "1", "output": "5",
        "cache_read": "0.1", "cache_write": "1.25"});
    let fields: serde_json::Map<String, Value> = serde_json::from_str(fields).unwrap();
    row.as_object_mut().unwrap().extend(fields);
    let table =
        serde_json::json!({"dated": "2026-11-25", "sha256": Hash::of(b""), "sources": [], "rows": [row]});
    Table::read(&table.to_string())
}

#[test]
fn absurd_rows_are_refused_with_their_name_and_the_rule() {
    let check = |fields: &str, why: &str| {
        let error = one_row(fields).expect_err(fields);
        let source =
            std::error::Error::source(&error).map_or_else(String::new, |source| format!(": {source}"));
        let said = format!("{error}{source}");
        assert!(said.contains("row \"m\"") && said.contains(why), "{fields}: {said}");
    };
    let tier = |name: &str, input: &str| {
        format!(
            r#"{{"tiers": {{"{name}": {{"input": "{input}", "output": "5", "cache_read": "0.1", "cache_write": "1"}}}}}}"#
        )
    };
    assert!(one_row("{}").is_ok());
    assert!(one_row(r#"{"output": "0.1"}"#).is_ok());
    check(r#"{"output": "0.09"}"#, "standard: output costs less than a tenth of input");
    check(r#"{"cache_read": "1.01"}"#, "standard: reading from a cache costs more than plain input");
    assert!(one_row(&tier("priority", "20")).is_ok());
    // As a public table once had it: 50 times the usual rate.
    check(&tier("priority", "50"), "priority: a rate is more than 20 times the standard one");
    check(&tier("ultrafast", "20.1"), "ultrafast: a rate is more than 20 times the standard one");
    check(&tier("batch", "1.1"), "batch: a rate is more than the standard one");
    check(
        r#"{"long": {"above_input_tokens": 9, "input": "0.9", "output": "5", "cache_read": "0.1", "cache_write": "2"}}"#,
        "standard, long requests: a rate is less than that of a short request",
    );
    check(r#"{"input": "-1"}"#, "not a decimal number");
    check(r#"{"output": "NaN"}"#, "not a decimal number");
    check(r#"{"output": 5.0}"#, "expected a string");
    check(r#"{"input": "0.0000001"}"#, "fraction of a picodollar");
    check(r#"{"input": "0", "cache_read": "0"}"#, "input costs nothing");
    check(r#"{"us": "0.9"}"#, "no factor from 1 to 10");
    check(r#"{"us": "1.105"}"#, "whole percent");
}

#[test]
fn disjoint_counts_cost_their_own_rates() {
    let usage = Usage {
        input: 1000,
        cache_read: 1000,
        cache_write: 1000,
        cache_write_1h: 1000,
        output: 1000,
        ..Usage::default()
    };
    // 2 + 0.1 + 2.5 + 4 + 10 dollars a million
    assert_eq!(row("claude-sonnet-5-5").price.of(&usage), usd("0.0186"));
}

#[test]
fn the_long_rate_takes_the_whole_request() {
    let price = &row("claude-sonnet-4-5").price;
    let at = |input| price.of(&Usage { input, ..Usage::default() });
    assert_eq!(at(200_000), usd("0.60"));
    assert_eq!(at(200_001), usd("1.200006"));
}

#[test]
fn a_tier_that_is_not_sold_for_long_requests_costs_the_dearer_of_both() {
    let price = &row("gpt-5.5").price;
    let at = |input| price.of(&Usage { input, tier: Tier::Priority, ..Usage::default() });
    assert_eq!(at(272_000), usd("3.4")); // 12.5 a million
    assert_eq!(at(272_001), usd("3.4000125")); // the long standard rate is 10
    assert_eq!(price.tiers[&Tier::Priority].long, None, "else this test says nothing");
}

#[test]
fn a_tier_without_rates_costs_the_usual_ones() {
    let usage = Usage { input: 1000, output: 10, ..Usage::default() };
    let price = &row("claude-sonnet-5-5").price;
    assert_eq!(price.of(&Usage { tier: Tier::Priority, ..usage }), price.of(&usage));
}

#[test]
fn a_region_raises_tokens_and_not_searches() {
    let price = &row("claude-sonnet-5-5").price;
    let usage = Usage { input: 1, web_searches: 3, region: Region::Named, ..Usage::default() };
    assert_eq!(price.of(&usage).pico(), 2_200_000 + 3 * 10_000_000_000);
    let odd = Price { region_percent: 110, ..Price::flat(Usd::from_pico(11), Usd::ZERO) };
    assert_eq!(odd.of(&Usage { web_searches: 0, ..usage }).pico(), 13, "12.1, rounded up");
}

#[test]
fn a_host_s_region_raises_every_rate_and_nothing_is_raised_twice() {
    let listed = &row("gpt-6.1-sol").price; // 2 in, 0.1 read, 10 out; above 272,000 input tokens 4 and 15
    let (anywhere, regional) = (listed.at_host(false), listed.at_host(true));
    let check = |price: &Price, input, tier, region, dollars: &str| {
        let usage = Usage { input, cache_read: 100_000, output: 100_000, tier, region, ..Usage::default() };
        assert_eq!(price.of(&usage), usd(dollars), "{input} {tier:?} {region:?}");
    };
    for region in [Region::Any, Region::Named] {
        check(&anywhere, 100_000, Tier::Standard, region, "1.21");
        check(&regional, 100_000, Tier::Standard, region, "1.331");
        check(&regional, 100_000, Tier::Flex, region, "0.6655");
        check(&regional, 200_000, Tier::Standard, region, "2.552");
    }
    assert_eq!(anywhere.most(1000, 0), usd("0.0025"));
    assert_eq!(regional.most(1000, 0), usd("0.00275"));
    assert_eq!(
        Price { in_region: false, ..row("gpt-5.1").price.at_host(true) },
        row("gpt-5.1").price,
        "models of before March 2026 cost the same"
    );
}

#[test]
fn a_reply_is_charged_as_the_model_that_it_names() {
    let usage = Usage { input: 1_000_000, ..Usage::default() };
    let listed = Pricing::Known(row("claude-sonnet-5").price.clone());
    let check = |pricing: &Pricing, model: Option<&str>, dollars: &str| {
        assert_eq!(pricing.of(&usage, model), usd(dollars), "{model:?}");
    };
    check(&listed, None, "2");
    check(&listed, Some("claude-sonnet-5-20260601"), "2");
    check(&listed, Some("claude-opus-5-5"), "4");
    check(&listed, Some("claude-haiku-4-5-20251001"), "1");
    check(&listed, Some("a-model-of-nobody"), "2");
    let stated = Pricing::Known(Price::flat(usd("0.000003"), usd("0.000003")));
    check(&stated, Some("claude-opus-5-5"), "3");
    check(&Pricing::Free, Some("claude-opus-5-5"), "0");
    // A host's region is that of every model that answers there, of one that was asked without any too.
    let short = Usage { input: 1000, output: 1000, ..Usage::default() };
    for (asked, in_region, answered, dollars) in [
        ("gpt-6-astra", true, "gpt-6-astra", "0.066"),
        ("gpt-6.1-sol", true, "gpt-6-astra", "0.066"),
        ("gpt-5.1", true, "gpt-6-astra", "0.066"),
        ("gpt-6.1-sol", false, "gpt-6-astra", "0.06"),
    ] {
        let pricing = Pricing::Known(row(asked).price.at_host(in_region));
        assert_eq!(pricing.of(&short, Some(answered)), usd(dollars), "{asked} {in_region}");
    }
    // A run keeps the rates that it began with, whatever the table says by now.
    let mut kept = row("claude-sonnet-5").price.clone();
    kept.standard.input = usd("0.000007");
    check(&Pricing::Known(kept), Some("claude-sonnet-5-20260601"), "7");
}

#[test]
fn nothing_that_we_ask_for_costs_more_than_the_most() {
    for row in &table().rows {
        for (input, output) in [(1, 1), (50_000, 4_000), (150_000, 1), (900_000, 100_000)] {
            let most = row.price.most(input, output);
            for usage in [
                Usage { input, output, ..Usage::default() },
                Usage { cache_write: input, output, ..Usage::default() },
                Usage { cache_read: input, output, ..Usage::default() },
                Usage { input: input / 2, output: output / 2, ..Usage::default() },
            ] {
                for (tier, region) in [
                    (Tier::Standard, Region::Any),
                    (Tier::Standard, Region::Named),
                    (Tier::Flex, Region::Any),
                    (Tier::Batch, Region::Named),
                ] {
                    let usage = Usage { tier, region, ..usage };
                    assert!(row.price.of(&usage) <= most, "{} {usage:?}", row.model);
                }
            }
        }
    }
}

#[test]
fn prices_of_older_journals_are_read() {
    let older = r#"{"input":3,"output":15,"cache_read":1,"cache_write":4,"cache_write_1h":6,
        "long":{"above_input_tokens":9,"price":{"input":6,"output":30,"cache_read":2,"cache_write":8,"cache_write_1h":12}}}"#;
    let price: Price = serde_json::from_str(older).unwrap();
    assert_eq!((price.region_percent, &price.row, price.tiers.len()), (100, &None, 0));
    assert_eq!(price.of(&Usage { input: 10, ..Usage::default() }).pico(), 60);
    let kept = &row("gpt-6.1-sol").price;
    assert_eq!(&serde_json::from_str::<Price>(&serde_json::to_string(kept).unwrap()).unwrap(), kept);
}
