//! Counters against what their publisher says, and what is known of a piece against the whole.

use sortie_core::chance::Chance;
use sortie_core::hash::Hash;

use super::*;

#[test]
fn a_model_is_counted_only_where_its_tokenizer_is_published() {
    let check = |models: &[&str], expect: Option<&str>| {
        for model in models {
            assert_eq!(of_model(model).map(Counter::name), expect, "{model}");
        }
    };
    let o200k =
        ["gpt-4o", "gpt-4o-mini", "gpt-4o-2024-08-06", "gpt-4.1", "gpt-4.1-nano", "o1", "o3-mini", "o4-mini"];
    check(&o200k, Some("o200k_base"));
    check(&["gpt-5", "gpt-5-nano", "gpt-5.1", "gpt-5.6-sol", "o4-mini-2025-04-16"], Some("o200k_base"));
    check(
        &["gpt-4", "gpt-4-turbo", "gpt-4-0613", "gpt-3.5-turbo", "gpt-3.5-turbo-0125"],
        Some("cl100k_base"),
    );
    check(&["gpt-6-sol", "gpt-6.1-sol", "gpt-50", "gpt-4.5", "gpt-40", "o10", "o5", "o4"], None);
    check(&["claude-sonnet-5-5", "qwen3", "", "my-gpt-4o", "ft:gpt-4o:me", "gpt-oss-120b"], None);
}

/// Counts that OpenAI's own tiktoken 0.14.0 gives (`len(encode_ordinary(text))`).
#[test]
fn counts_are_those_of_the_publisher() {
    let check = |text: &str, o200k: u64, cl100k: u64| {
        let counted = (O200k.count(text), Cl100k.count(text));
        assert_eq!(counted, (o200k, cl100k), "{text:?}");
    };
    check("", 0, 0);
    check("Write a test plan of five.", 7, 7);
    check("It's HTTPServer's camelCase, DON'T.", 9, 11);
    check("    for (i = 0; i < 10; i++) {\n\t\treturn x;\n    }\n", 22, 22);
    check("数据预算必须成立。模型按顺序读取结果，", 12, 19);
    check("東京のカナ", 4, 6);
    check("1234567890 3.14159", 9, 9);
    check("٣٤٥٦", 4, 8);
    check("👩‍👩‍👧‍👦 😀😀", 13, 21);
    check("e\u{301}\u{302} naïve  ", 6, 7);
    check("  \n \n\n  x\r\n\r\n", 5, 5);
    check("...\n//!?\n/", 5, 4);
    check("<|endoftext|>", 7, 7);
    check(&"a".repeat(100), 13, 13);
    check(&" ".repeat(100), 2, 2);
}

/// Fragments of text that tokenizers treat in ways of their own.
const NASTY: [&str; 40] = [
    "the ",
    "It's",
    " don't",
    "'s",
    "'LL",
    "S",
    "ARE",
    "camelCase",
    "HTTPServer",
    " ",
    "  ",
    "   ",
    "\n",
    "\n\n",
    "\r\n",
    "\t",
    " \n ",
    "/",
    "//",
    ".\n/",
    "\n/",
    "...",
    "!?",
    ";",
    "{",
    "}}\n",
    "fn main() {\n    ",
    "\"key\": ",
    "1",
    "12345",
    "٣٤",
    "①",
    "数据，",
    "模型。",
    "東京",
    "カナ",
    "한국어",
    "é\u{301}",
    "👩‍👩‍👧",
    "\u{a0}",
];

fn text(chance: &mut Chance, most: u64) -> String {
    (0..chance.below(most)).map(|_| chance.pick(&NASTY)).collect()
}

/// Whatever stands around a piece, its known part has its own tokens: those of the rest are what the
/// text on its two sides has, which is no more than its bytes.
#[test]
fn what_is_known_of_a_piece_holds_between_any_texts() {
    let mut found = 0;
    for counter in ALL {
        for seed in 0..20_000 {
            let mut chance = Chance::new(seed, &Hash::of(b"seams"), "known");
            let [before, piece, after] = [(); 3].map(|()| text(&mut chance, 10));
            for (joins_before, joins_after) in [(false, false), (true, false), (false, true), (true, true)] {
                let before = if joins_before { before.as_str() } else { "" };
                let after = if joins_after { after.as_str() } else { "" };
                let Known { own, bytes } = known(&piece, Joints { before: joins_before, after: joins_after });
                let sides =
                    [format!("{before}{}", &piece[..own.start]), format!("{}{after}", &piece[own.end..])];
                let rest = if own.is_empty() {
                    counter.count(&sides.concat())
                } else {
                    sides.iter().map(|side| counter.count(side)).sum()
                };
                let whole = counter.count(&format!("{before}{piece}{after}"));
                let told = (seed, counter.name(), before, &piece, after);
                assert_eq!(
                    whole,
                    counter.count(&piece[own.clone()]) + rest,
                    "{told:?}: {own:?} of the piece"
                );
                assert!(rest <= bytes + (before.len() + after.len()) as u64, "{told:?}");
                found += u64::from(!own.is_empty() && joins_before && joins_after);
            }
        }
    }
    assert!(found > 10_000, "of 40,000 pieces with text on both sides, {found} have a known part");
}

#[test]
fn tokens_add_up_at_every_seam() {
    for counter in ALL {
        for seed in 0..20_000 {
            let mut chance = Chance::new(seed, &Hash::of(b"seams"), "split");
            let whole = text(&mut chance, 12);
            let all = counter.count(&whole);
            for at in seam::seams(&whole) {
                let parts = counter.count(&whole[..at]) + counter.count(&whole[at..]);
                assert_eq!(parts, all, "seed {seed}, {}, at {at} of {whole:?}", counter.name());
            }
        }
    }
}
