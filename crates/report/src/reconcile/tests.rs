use sortie_core::run::event::Event;

use super::*;
use crate::costs::Span;
use crate::testing::{self, Random, Story};

const FIXTURES: &[(&str, &[u8])] = &[
    ("anthropic_usage.csv", include_bytes!("fixtures/anthropic_usage.csv")),
    ("anthropic_usage.json", include_bytes!("fixtures/anthropic_usage.json")),
    ("anthropic_cost.csv", include_bytes!("fixtures/anthropic_cost.csv")),
    ("anthropic_cost.json", include_bytes!("fixtures/anthropic_cost.json")),
    ("openai_usage.json", include_bytes!("fixtures/openai_usage.json")),
    ("openai_usage.tsv", include_bytes!("fixtures/openai_usage.tsv")),
    ("openai_costs.json", include_bytes!("fixtures/openai_costs.json")),
    ("openai_costs.csv", include_bytes!("fixtures/openai_costs.csv")),
];

fn fixture(name: &str) -> Export {
    let (_, bytes) = FIXTURES.iter().find(|(fixture, _)| *fixture == name).unwrap();
    Export::read(bytes).unwrap()
}

/// Every amount that an export has, a line each; tokens of nothing are not shown.
fn shown(export: &Export) -> Vec<String> {
    let cells = export.cells.iter().flat_map(|((day, model), cell)| {
        let model = model.as_deref().unwrap_or("-");
        let amounts = cell.amounts.iter().filter(|(_, n)| **n != 0);
        amounts.map(move |(quantity, n)| format!("{day} {model} {} {n}", quantity.name()))
    });
    cells.collect()
}

const SONNET: &str = "2025-11-14 claude-sonnet-4-5";
const HAIKU: &str = "2025-11-15 claude-haiku-4-5";

#[test]
fn every_format_says_what_its_fixture_has() {
    let check = |name: &str, format: &str, days: (&str, &str), is_partial: bool, expected: &[String]| {
        let export = fixture(name);
        assert_eq!((export.format, export.is_partial), (format, is_partial), "{name}");
        assert_eq!((export.days().unwrap(), shown(&export)), (days, expected.to_vec()), "{name}");
    };
    let tokens = |key: &str, counts: [(&str, u64); 6]| {
        let counts = counts.into_iter().filter(|(_, n)| *n > 0);
        counts.map(|(name, n)| format!("{key} {name} {n}")).collect::<Vec<_>>()
    };
    let of = |input, write, write_1h, read, output, searches| {
        [
            ("input_tokens", input),
            ("cache_write_tokens", write),
            ("cache_write_1h_tokens", write_1h),
            ("cache_read_tokens", read),
            ("output_tokens", output),
            ("web_searches", searches),
        ]
    };
    let anthropic =
        [tokens(SONNET, of(320, 0, 0, 80, 800, 0)), tokens(HAIKU, of(80, 5, 7, 20, 200, 1))].concat();
    check("anthropic_usage.csv", "Anthropic usage", ("2025-11-14", "2025-11-15"), false, &anthropic);
    check("anthropic_usage.json", "Anthropic usage", ("2025-11-14", "2025-11-16"), false, &anthropic);
    let dollars = |key: &str, pico: u64| format!("{key} usd {pico}");
    check(
        "anthropic_cost.csv",
        "Anthropic cost",
        ("2025-11-14", "2025-11-15"),
        false,
        &[dollars(SONNET, 30_000_000_000)],
    );
    check(
        "anthropic_cost.json",
        "Anthropic cost",
        ("2025-11-14", "2025-11-15"),
        false,
        &[
            dollars(SONNET, 23_000_000_000),
            dollars("2025-11-15 -", 10_000_000_000),
            dollars(HAIKU, 4_600_000_000),
        ],
    );
    let sol = "2025-11-14 gpt-6.1-sol";
    let openai = tokens(sol, of(150, 50, 0, 800, 500, 0));
    check("openai_usage.json", "OpenAI usage", ("2025-11-14", "2025-11-15"), true, &openai);
    let openai = tokens(sol, of(200, 0, 0, 800, 500, 0));
    check("openai_usage.tsv", "OpenAI usage", ("2025-11-14", "2025-11-15"), false, &openai);
    let cost = dollars(sol, 5_400_000_000);
    check("openai_costs.json", "OpenAI costs", ("2025-11-14", "2025-11-14"), false, &[cost]);
    let cost = dollars("2025-11-14 -", 5_400_000_000);
    check("openai_costs.csv", "OpenAI costs", ("2025-11-14", "2025-11-15"), false, &[cost]);
}

/// The stories as providers bill them: agents that are not free.
fn billed(mut story: Story) -> Story {
    use sortie_core::plan::Plan;
    use sortie_core::price::Pricing;
    let mut agents = story.plan.agents().to_vec();
    for agent in &mut agents {
        agent.pricing = Pricing::Unknown;
    }
    story.plan = Plan::new(story.plan.name().into(), agents, story.plan.tasks().to_vec());
    story
}

fn compared(export: &Export, stories: &[Story], span: Span) -> Comparison {
    let mut believed = Believed::new(export);
    for story in stories {
        believed.add_run(&story.run(), &story.records, |_| false);
    }
    believed.against(export, export.days(), span)
}

/// Three calls of `claude` on the first day and one, by another model, on the second; and two of `gpt`.
fn night() -> [Story; 2] {
    [billed(testing::two_agents()), billed(testing::failure())]
}

const HEADINGS: &str = "usage_date_utc,model_version,usage_input_tokens_no_cache,\
     usage_input_tokens_cache_read,usage_output_tokens\n";

#[test]
fn what_agrees_agrees_and_one_number_that_differs_is_found() {
    let right = ["2025-11-14,claude-sonnet-4-5,240,60,600", "2025-11-15,claude-haiku-4-5-20251001,80,20,200"];
    let text = |rows: &[String]| format!("{HEADINGS}{}\n", rows.join("\n"));
    let rows: Vec<String> = right.map(str::to_owned).to_vec();
    let comparison = compared(&Export::read(text(&rows).as_bytes()).unwrap(), &night(), Span::default());
    assert!(comparison.agrees() && comparison.rows.len() == 6, "{}", comparison.text());
    for (row, column) in [(0, 2), (0, 3), (0, 4), (1, 2), (1, 3), (1, 4)] {
        let mut tampered = rows.clone();
        let mut cells: Vec<String> = right[row].split(',').map(str::to_owned).collect();
        cells[column] = (cells[column].parse::<u64>().unwrap() + 1).to_string();
        tampered[row] = cells.join(",");
        let comparison =
            compared(&Export::read(text(&tampered).as_bytes()).unwrap(), &night(), Span::default());
        let differing: Vec<_> = comparison.rows.iter().filter(|row| !row.agrees()).collect();
        let [found] = &differing[..] else { panic!("{row} {column}: {differing:?}") };
        assert_eq!((found.day.as_str(), found.difference()), (&right[row][..10], 1), "{row} {column}");
    }
    let missing = compared(&Export::read(text(&rows[..1]).as_bytes()).unwrap(), &night(), Span::default());
    assert!(missing.agrees(), "the other day is not in what the export is about: {}", missing.text());
    // A model that one side does not have at all is a difference as well.
    let other = [rows[0].clone(), "2025-11-15,claude-sonnet-4-5,0,0,0".to_owned()];
    let missing = compared(&Export::read(text(&other).as_bytes()).unwrap(), &night(), Span::default());
    assert_eq!(missing.rows.iter().filter(|row| !row.agrees()).count(), 3, "{}", missing.text());
}

#[test]
fn a_span_narrows_the_days_of_an_export_and_never_widens_them() {
    let day = std::time::Duration::from_secs(86_400);
    let check = |since: u32, until: u32, days: Option<(&str, &str)>| {
        let midnight = crate::units::midnight("2025-11-13").unwrap();
        let at = |days: u32| Some(midnight + day * days);
        let compared =
            compared(&fixture("anthropic_usage.csv"), &night(), Span { since: at(since), until: at(until) });
        let found = compared.days.as_ref().map(|(first, last)| (first.as_str(), last.as_str()));
        assert_eq!(found, days, "{since} {until}");
        let outside = compared
            .rows
            .iter()
            .filter(|row| days.is_none_or(|(first, last)| *row.day < *first || *row.day > *last));
        assert_eq!(outside.count(), 0, "{since} {until}");
    };
    check(0, 9, Some(("2025-11-14", "2025-11-15")));
    check(2, 9, Some(("2025-11-15", "2025-11-15")));
    check(0, 2, Some(("2025-11-14", "2025-11-14")));
    check(8, 9, None);
}

#[test]
fn a_decimal_comma_is_read_in_a_table_of_semicolons() {
    let export = "usage_date_utc;model;cost_usd\n2025-11-14;claude-sonnet-4-5;0,0138\n";
    assert_eq!(shown(&Export::read(export.as_bytes()).unwrap()), [format!("{SONNET} usd 13800000000")]);
    let export = "usage_date_utc\tmodel\tcost_usd\n2025-11-14\tclaude-sonnet-4-5\t0,0138\n";
    let error = Export::read(export.as_bytes()).unwrap_err().to_string();
    assert!(error.contains("cost_usd is \"0,0138\", not an amount of money"), "{error}");
}

#[test]
fn a_quiet_page_says_that_nothing_was_used() {
    let check = |page: &str, format: &str| {
        let export = Export::read(page.as_bytes()).unwrap();
        assert_eq!((export.format, export.days()), (format, Some(("2025-11-14", "2025-11-14"))));
        assert!(!compared(&export, &night(), Span::default()).agrees(), "{page}");
    };
    check(
        r#"{"data":[{"starting_at":"2025-11-14T00:00:00Z","ending_at":"2025-11-15T00:00:00Z","results":[]}],"has_more":false}"#,
        "Anthropic page without results",
    );
    check(
        r#"{"object":"page","data":[{"object":"bucket","start_time":1763078400,"end_time":1763164800,"results":[]}]}"#,
        "OpenAI page without results",
    );
}

#[test]
fn a_time_is_of_its_day_in_utc() {
    let check = |time: &str, day: &str| {
        let export = format!("starting_at,input_tokens,output_tokens\n{time},1,1\n");
        assert_eq!(Export::read(export.as_bytes()).unwrap().days(), Some((day, day)), "{time}");
    };
    check("2026-11-26T23:00:00-05:00", "2026-11-27");
    check("2026-11-26T23:00:00Z", "2026-11-26");
    check("2026-11-26T23:00:00", "2026-11-26");
    check("2026-11-26", "2026-11-26");
}

#[test]
fn what_an_export_does_not_tell_apart_is_added_up() {
    // Input with its caches, and no models.
    let export = "usage_date_utc,input_tokens,output_tokens\n2025-11-14,300,600\n2025-11-15,100,200\n";
    let comparison = compared(&Export::read(export.as_bytes()).unwrap(), &night(), Span::default());
    assert!(comparison.agrees() && comparison.rows.len() == 4, "{}", comparison.text());
}

#[test]
fn amounts_in_cents_agree_within_half_a_cent_a_row() {
    let check = |rows: &[&str], agrees: bool| {
        let export = format!("usage_date_utc,model,cost_usd\n{}\n", rows.join("\n"));
        let comparison = compared(&Export::read(export.as_bytes()).unwrap(), &night(), Span::default());
        assert_eq!(comparison.agrees(), agrees, "{rows:?}: {}", comparison.text());
    };
    // $0.0138 in three calls.
    check(&["2025-11-14,Claude Sonnet 4.5,0.01"], true);
    check(&["2025-11-14,Claude Sonnet 4.5,0.02"], false);
    check(&["2025-11-14,Claude Sonnet 4.5,0.01", "2025-11-14,Claude Sonnet 4.5,0.01"], true);
    check(&["2025-11-14,Claude Sonnet 4.5,0.0138"], true);
    check(&["2025-11-14,Claude Sonnet 4.5,0.0139"], false);
}

#[test]
fn a_difference_says_what_may_be_in_it() {
    for name in ["anthropic_usage.csv", "anthropic_cost.json", "openai_usage.json", "openai_costs.csv"] {
        let text = compared(&fixture(name), &night(), Span::default()).text();
        insta::assert_snapshot!(format!("against_{}", name.replace('.', "_")), text);
    }
    let comparison = compared(&fixture("anthropic_cost.json"), &night(), Span::default());
    let document = serde_json::to_value(comparison.document()).unwrap();
    assert_eq!(document["agrees"], false);
    let row = &document["rows"][0];
    assert_eq!((&row["sortie"], &row["export"]), (&serde_json::json!(0.0138), &serde_json::json!(0.023)));
    assert_eq!((&row["what"], &row["at_risk"]), (&serde_json::json!("usd"), &serde_json::json!(0.06)));
}

#[test]
fn agents_that_are_free_or_another_provider_s_are_not_compared() {
    let free = compared(&fixture("openai_usage.tsv"), &[testing::two_agents()], Span::default());
    assert!(free.rows.iter().all(|row| row.sortie == 0), "{free:?}");
    let other = compared(&fixture("openai_usage.tsv"), &[billed(testing::diamond())], Span::default());
    assert!(other.rows.iter().all(|row| row.sortie == 0), "{other:?}");
}

#[test]
fn what_is_no_export_is_refused_with_its_place() {
    let check = |bytes: &[u8], expected: &str| {
        let error = Export::read(bytes).unwrap_err().to_string();
        assert!(error.contains(expected), "{expected}: {error}");
    };
    check(b"", "it is empty");
    check(b"a,b,c\n1,2,3\n", "no export that sortie knows; its columns are a, b, c");
    check(b"{\"error\": \"no\"}", "no list `data`");
    check(b"{\"data\": []}", "it is empty");
    check(b"{\"data\": [", "not JSON");
    check(b"[".repeat(100_000).as_slice(), "not JSON");
    check(b"usage_date_utc,model,cost_usd\nAugust,m,1\n", "row 1: usage_date_utc is \"August\", not a day");
    check(b"usage_date_utc,model,cost_usd\n2025-11-14,m,banana\n", "cost_usd is \"banana\", not an amount");
    check(b"start_time,input_tokens,output_tokens\n1763078400,1.5,2\n", "\"1.5\", not a whole number");
    check(b"start_time,input_tokens,output_tokens\n1763078400,-1,2\n", "\"-1\", not a whole number");
    check(
        b"start_time,input_tokens,input_cached_tokens,output_tokens\n1763078400,5,10,2\n",
        "\"5\", not at least its cached tokens",
    );
    check(b"start_time,amount_value,amount_currency\n1763078400,1,eur\n", "\"eur\", not US dollars");
    check(b"usage_date_utc,cost_usd\n2025-11-14,1,2\n", "it is not CSV");
    check(b"usage_date_utc,cost_usd\n2025-11-14,\xff\n", "it is not CSV");
    check("c,".repeat(1000).as_bytes(), "more than 200 columns");
    let wide: Vec<String> = (0..300).map(|n| format!("\"c{n}\": 1")).collect();
    check(format!("{{\"data\": [{{{}}}]}}", wide.join(",")).as_bytes(), "more than 200 columns");
    check(&vec![b' '; MAX_BYTES + 1], "more than 64 MiB");
}

#[test]
fn no_bytes_panic() {
    for (name, bytes) in FIXTURES {
        for cut in 0..bytes.len() {
            let _ = Export::read(&bytes[..cut]);
        }
        for seed in 0..3_000 {
            let mut random = Random::seeded(seed);
            let mut bytes = bytes.to_vec();
            for _ in 0..=random.below(6) {
                let at = random.below(bytes.len());
                let from = random.below(bytes.len());
                match random.below(4) {
                    0 => bytes[at] = random.next().to_le_bytes()[0],
                    1 => bytes[at] = b"0123456789-.,eE\"{}[]\n\t"[random.below(22)],
                    2 => drop(bytes.splice(at..at, [b'9'; 30])),
                    _ => bytes.swap(at, from),
                }
            }
            if let Ok(export) = Export::read(&bytes) {
                let comparison = compared(&export, &night(), Span::default());
                assert!(comparison.text().ends_with('\n'), "{name} seed {seed}");
                assert!(serde_json::to_string(&comparison.document()).is_ok(), "{name} seed {seed}");
            }
        }
    }
}

#[test]
fn hostile_names_stay_in_their_cell() {
    let export = "usage_date_utc,model,cost_usd\n2025-11-14,\"a\u{1b}[2J\nb\",1\n";
    let text = compared(&Export::read(export.as_bytes()).unwrap(), &night(), Span::default()).text();
    assert!(!text.contains('\u{1b}') && text.contains("\\n"), "{text}");
}

#[test]
fn a_call_counts_on_the_day_of_its_record() {
    let mut story = billed(testing::two_agents());
    for record in &mut story.records {
        if matches!(record.event, Event::AttemptSucceeded { .. }) {
            record.at = story_midnight();
        }
    }
    let mut believed = Believed::new(&fixture("anthropic_usage.csv"));
    believed.add_run(&story.run(), &story.records, |_| false);
    assert_eq!(believed.days(), Some(("2025-11-14", "2025-11-15")));
}

#[test]
fn nothing_is_no_agreement() {
    let export = fixture("anthropic_usage.csv");
    let check = |comparison: &Comparison| {
        assert_eq!(comparison.text(), "Anthropic usage: nothing to compare\n");
        assert!(!comparison.document().agrees && comparison.rows.is_empty());
    };
    let past = Span { since: crate::units::midnight("2030-01-01"), until: None };
    check(&compared(&export, &night(), past));
    // A run that made no calls at the export's provider.
    let mut elsewhere = Believed::new(&export);
    let story = billed(testing::two_agents());
    elsewhere.add_run(&story.run(), &story.records, |_| true);
    check(&elsewhere.against(&export, elsewhere.days(), Span::default()));
}

#[test]
fn amounts_that_differ_look_so() {
    let export = "usage_date_utc,model,token_type,cost_usd\n2025-11-14,claude-sonnet-5-5,input,0.001047501\n";
    let comparison = compared(&Export::read(export.as_bytes()).unwrap(), &[], Span::default());
    let mut comparison = comparison;
    comparison.rows[0].sortie = 1_050_000_000;
    let text = comparison.text();
    assert!(text.contains("$0.001050  $0.001048"), "{text}");
}

fn story_midnight() -> sortie_core::time::Time {
    crate::units::midnight("2025-11-15").unwrap()
}
