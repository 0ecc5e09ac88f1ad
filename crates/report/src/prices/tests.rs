use sortie_core::price::table;

use super::*;

fn of<'a>(models: &[&str], stated: Vec<Stated<'a>>, today: &'a str) -> Prices<'a> {
    let rows = models.iter().map(|model| table().find(model).unwrap()).collect();
    Prices { table: table(), rows, stated, stated_in: "sortie.yaml", today }
}

#[test]
fn numbers_are_grouped_and_exact() {
    assert_eq!(
        ["0", "7", "999", "1,000", "1,050,000"],
        [0, 7, 999, 1000, 1_050_000].map(grouped).each_ref().map(String::as_str)
    );
    assert_eq!(
        ["272k", "1,050k", "16,385"],
        [272_000, 1_050_000, 16_385].map(thousands).each_ref().map(String::as_str)
    );
    assert_eq!(
        ["0.125", "10", "0.005"],
        [125_000, 10_000_000, 5_000].map(|pico| million(Usd::from_pico(pico))).each_ref().map(String::as_str)
    );
}

#[test]
fn a_line_has_the_rates_that_the_table_has() {
    let list = of(&["claude-haiku-5-5", "gpt-6.1-sol", "o4-mini"], Vec::new(), "2026-11-25").list();
    let cells: Vec<Vec<&str>> = list.lines().take(4).map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(
        cells[1],
        [
            "claude-haiku-5-5",
            "0.1",
            "0.5",
            "0.01",
            "0.125",
            "0.2",
            "0.05/0.25",
            "–",
            ">100k:",
            "0.5/2.5",
            "1,000k",
            "128k"
        ]
    );
    assert_eq!(
        cells[2],
        ["gpt-6.1-sol", "2", "10", "0.1", "2.5", "5", "1/5", "4/20", ">272k:", "4/15", "1,050k", "128k"]
    );
    assert_eq!(cells[3][cells[3].len() - 2..], ["2026-10-23", "(retired)"]);
    assert!(list.contains(&format!("Price table of {}", table().name())), "{list}");
}

#[test]
fn a_model_is_retired_from_its_day_on() {
    let check = |today: &str, words: &str| {
        let text = of(&["claude-sonnet-4-5"], Vec::new(), today).details();
        assert!(text.contains(words), "{today}: {text}");
    };
    check("2026-11-29", "will be retired on 2026-11-30; its successor is claude-sonnet-5-5");
    check("2026-11-30", "was retired on 2026-11-30");
}

#[test]
fn every_rate_of_a_model_is_spelled_out() {
    let text = of(&["gpt-6.1-sol"], Vec::new(), "2026-11-25").details();
    for tier in ["standard", "batch", "flex", "priority", "ultrafast"] {
        for name in [tier.to_owned(), format!("{tier}, input above 272,000")] {
            assert!(
                text.lines().any(|line| line.trim_start().starts_with(&format!("{name}  "))),
                "{name}: {text}"
            );
        }
    }
}

#[test]
fn what_a_configuration_states_is_marked_as_its_own() {
    let (free, known) =
        (Pricing::Free, Pricing::Known(Price::flat(Usd::from_pico(500_000), Usd::from_pico(2_000_000))));
    let stated = |agent, pricing| Stated { agent, model: "m\u{1b}[2J", provider: "openai", pricing };
    let text = of(&[], vec![stated("local", &free), stated("own", &known)], "2026-11-25").list();
    assert!(text.contains("Stated in sortie.yaml") && !text.contains('\u{1b}'), "{text}");
    let line = |agent: &str| text.lines().find(|line| line.starts_with(agent)).unwrap().to_owned();
    assert!(line("local").ends_with("free") && line("own").contains("0.5"), "{text}");
}
