//! What is wrong with a document is told at once, and hostile documents are refused.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Format, Place, Problem, Problems, Source, nearest, schema_of, unique};

/// A form with one field of each kind that written forms use.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "read only by the parser")]
struct Form {
    name: String,
    count: Option<u32>,
    share: Option<f64>,
    is_on: Option<bool>,
    colour: Option<Colour>,
    words: Option<Vec<String>>,
    inner: Option<Inner>,
    rate: Option<Rate>,
    #[serde(default, deserialize_with = "unique::map")]
    #[schemars(with = "Option<BTreeMap<String, Inner>>")]
    by_name: Option<Vec<(String, Inner)>>,
    #[serde(default, deserialize_with = "unique::value")]
    free: Option<serde_json::Value>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Colour {
    /// With a doc comment, which changes the schema's shape.
    Red,
    /// The same.
    Green,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "read only by the parser")]
struct Inner {
    size: u8,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "read only by the parser")]
enum Rate {
    Word(Free),
    Inner(Inner),
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Free {
    Free,
}

fn read(name: &str, text: &str) -> Result<Form, Problems> {
    Ok(Source::new(name, text.into())?.read::<Form>()?)
}

/// The messages of all problems, with their places.
fn check(name: &str, text: &str, expect: &[&str]) {
    let shown = read(name, text).expect_err(text).to_string();
    let lines: Vec<&str> = shown.lines().collect();
    assert_eq!(lines, expect, "{text}");
}

#[test]
fn all_structural_errors_of_a_yaml_document_are_told_at_once() {
    let text = "nam: a\ncount: -1\nshare: much\nis_on: yes\ncolour: reed\nwords: one\ninner:\n  size: 300\n  \
                sise: 1\nrate: {}\nby_name:\n  a: {size: x}\n";
    check(
        "f.yaml",
        text,
        &[
            "f.yaml:1:1: unknown field `nam`",
            "  hint: did you mean `name`?",
            "f.yaml:1:1: the document has no `name`",
            "f.yaml:2:8: `count` must be a whole number from 0 to 4294967295, not `-1`",
            "f.yaml:3:8: `share` must be a number, not `much`",
            "f.yaml:4:8: `is_on` must be `true` or `false`, not `yes`",
            "f.yaml:5:9: `colour` must be `red` or `green`, not `reed`",
            "  hint: did you mean `red`?",
            "f.yaml:6:8: `words` must be a list, not `one`",
            "f.yaml:8:9: `size` must be a whole number from 0 to 255, not `300`",
            "f.yaml:9:3: unknown field `sise`",
            "  hint: did you mean `size`?",
            "f.yaml:10:7: `rate` has no `size`",
            "f.yaml:12:13: `size` must be a whole number from 0 to 255, not `x`",
        ],
    );
}

#[test]
fn the_same_errors_are_found_in_json() {
    let text = "{\n  \"name\": 1,\n  \"count\": \"5\",\n  \"colour\": \"blue\",\n  \"words\": [1, \"a\"],\n  \
                \"rate\": \"fre\",\n  \"xyzzy\": 1\n}";
    check(
        "f.json",
        text,
        &[
            "f.json:2:11: `name` must be text, not `1`",
            "f.json:3:12: `count` must be a whole number from 0 to 4294967295, not `\"5\"`",
            "f.json:4:13: `colour` must be `red` or `green`, not `\"blue\"`",
            "f.json:5:13: `words[0]` must be text, not `1`",
            "f.json:6:11: `rate` must be `free` or a map, not `\"fre\"`",
            "  hint: did you mean `free`?",
            "f.json:7:3: unknown field `xyzzy`",
            "  hint: known here: by_name, colour, count, free, inner, is_on, name, rate, share, words",
        ],
    );
}

#[test]
fn a_key_that_comes_twice_is_refused_everywhere() {
    let twice = |line, column, first| format!("{line}:{column}: duplicate key `a` (first: {first})");
    for (text, expect) in [
        ("{\"name\": \"x\", \"free\": {\"a\": 1, \"a\": 2}}", twice(1, 32, "1:24")),
        (
            "{\"name\": \"x\", \"by_name\": {\"a\": {\"size\": 1}, \"a\": {\"size\": 2}}}",
            twice(1, 45, "1:27"),
        ),
    ] {
        check("f.json", text, &[&format!("f.json:{expect}")]);
        check("f.yaml", text, &[&format!("f.yaml:{expect}")]);
    }
    check("f.yaml", "name: a\nname: b\n", &["f.yaml:2:1: duplicate key `name` (first: 1:1)"]);
    check(
        "f.json",
        "{\"name\": \"a\", \"name\": \"b\"}",
        &["f.json:1:15: duplicate key `name` (first: 1:2)"],
    );
}

#[test]
fn yaml_is_the_yaml_of_1_2_and_no_stays_a_word() {
    let form =
        read("f.yaml", "name: no\nwords: [on, 1, 2024-01-01, ~x]\nfree: {a: no, b: 1, c: yes}").unwrap();
    assert_eq!(form.name, "no");
    assert_eq!(form.words.unwrap(), ["on", "1", "2024-01-01", "~x"]);
    assert_eq!(form.free.unwrap(), serde_json::json!({"a": "no", "b": 1, "c": "yes"}));
}

#[test]
fn what_yaml_has_beyond_data_is_refused() {
    let aliases = "anchors (`&name`) and aliases (`*name`) are not supported";
    for (text, expect) in [
        ("name: &a x\nwords: [*a]", format!("f.yaml:1:10: {aliases}")),
        ("<<: {name: x}", "f.yaml:1:1: merge keys (`<<`) are not supported".into()),
        ("name: a\n---\nname: b", "f.yaml:2:1: a second document in the same file".into()),
        ("? [a]\n: b", "f.yaml:1:3: a key must be text".into()),
    ] {
        let shown = read("f.yaml", text).expect_err(text).to_string();
        assert_eq!(shown.lines().next().unwrap(), expect);
    }
    assert!(read("f.yaml", "name: !env HOME").is_err());
}

#[test]
fn an_alias_bomb_is_refused_without_being_expanded() {
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..30 {
        let aliases = vec![format!("*a{}", level - 1); 10].join(", ");
        bomb.extend([format!("a{level}: &a{level} [{aliases}]\n")]);
    }
    assert!(read("f.yaml", &bomb).is_err());
    assert!(read("f.yaml", &format!("name: x\nfree:\n  {}", bomb.replace('\n', "\n  "))).is_err());
}

#[test]
fn hostile_documents_are_refused_without_a_panic() {
    let mib = 1 << 20;
    let nested = |open: &str, close: &str, n| {
        format!("{{\"name\": \"x\", \"free\": {}1{}}}", open.repeat(n), close.repeat(n))
    };
    for (name, text) in [
        ("f.yaml", "[".repeat(mib)),
        ("f.yaml", "- ".repeat(mib / 2)),
        ("f.yaml", "{a: ".repeat(mib / 4)),
        ("f.yaml", "a: ".repeat(mib / 3)),
        ("f.yaml", "\u{1}\u{2}%@`&*!|>".repeat(mib / 10)),
        ("f.yaml", format!("name: [{}", "a,".repeat(mib / 2))),
        ("f.yaml", "a: 1\n".repeat(mib / 5)),
        ("f.yaml", "\"".to_owned() + &"x".repeat(mib)),
        ("f.yaml", "name: a\0b".to_owned()),
        ("f.json", "[".repeat(mib)),
        ("f.json", "{\"a\":".repeat(mib / 5)),
        ("f.json", "name: a".to_owned()),
        ("f.json", "{\"name\": \"a\0b\"}".to_owned()),
        ("f.json", nested("[", "]", 200)),
        ("f.yaml", nested("[", "]", 200)),
        ("f.json", "{\"name\": 1e999, \"share\": 1e999}".to_owned()),
    ] {
        assert!(read(name, &text).is_err(), "{name}: {}", text.chars().take(40).collect::<String>());
    }
    assert!(read("f.json", &nested("[", "]", 100)).is_ok());
    assert!(read("f.yaml", &nested("[", "]", 100)).is_ok());
}

#[test]
fn bytes_that_are_no_text_are_refused_with_their_offset() {
    let refused = |bytes: &[u8]| Source::new("f.yaml", bytes.to_vec()).unwrap_err().to_string();
    let not_utf8 = refused(b"name: a\nshare: \xff");
    assert_eq!(not_utf8, "f.yaml: not UTF-8 text: the byte at offset 15 (line 2) is not");
    for empty in ["", " \n\t", "\u{feff}"] {
        check("f.yaml", empty, &["f.yaml: the document is empty"]);
        check("f.json", empty, &["f.json: the document is empty"]);
    }
}

#[test]
fn syntax_errors_have_a_place() {
    check("f.yaml", "name: a: b", &["f.yaml:1:8: mapping values are not allowed in this context"]);
    check("f.json", "{\"name\": \"ä\",\n \"count\" 1}", &["f.json:2:10: expected `:`"]);
    check("f.json", "{\"name\": \"a\"", &["f.json:1:12: EOF while parsing an object"]);
}

#[test]
fn jsonl_is_read_line_by_line_and_every_bad_line_is_told() {
    let text = "{\"size\": 1}\n\n{\"size\": \"x\"}\n{\"size\" 1}\n{}\n{\"size\": 2}\n";
    let source = Source::new("f.jsonl", text.into()).unwrap();
    let shown = source.read_lines::<Inner>("list").unwrap_err().to_string();
    assert_eq!(
        shown.lines().collect::<Vec<_>>(),
        [
            "f.jsonl:3:10: `size` must be a whole number from 0 to 255, not `\"x\"`",
            "f.jsonl:4:9: expected `:`",
            "f.jsonl:5:1: `list[3]` has no `size`",
        ]
    );
    let at = source.locate(Problem::error("x").at(Place::root().key("list").index(4).key("size")).into());
    assert_eq!(at.to_string(), "f.jsonl:6:10: x");
}

#[test]
fn places_and_quotes_are_found_in_the_text() {
    let source = Source::new("f.yaml", "name: |\n  one\n  {{ two }}\nwords:\n- a\n- ü b\n".into()).unwrap();
    let find = |problem: Problem| {
        let problems = source.locate(problem.into());
        let at = problems.iter().next().unwrap().at.unwrap();
        (at.line, at.column, source.text()[at.start..at.end].to_owned())
    };
    let name = || Problem::error("x").at(Place::root().key("name"));
    assert_eq!(find(name().quote("{{ two }}")), (3, 3, "{{ two }}".into()));
    assert_eq!(find(name().quote("not there")).0, 2);
    let word = Place::root().key("words").index(1);
    assert_eq!(find(Problem::error("x").at(word)), (6, 3, "ü b".into()));
    assert_eq!(find(Problem::error("x").at(Place::root().name("words"))), (4, 1, "words".into()));
}

#[test]
fn the_format_is_told_by_the_name_or_else_by_the_text() {
    use Format::{Json, JsonLines, Yaml};
    let check = |name: &str, text: &str, format| {
        assert_eq!(Source::new(name, text.into()).unwrap().format(), format, "{name} {text}");
    };
    check("a.yml", "{\"a\": 1}", Yaml);
    check("a.JSONL", "{}", JsonLines);
    check("a.json", "a: 1", Json);
    check("-", "a: 1", Yaml);
    check("-", "{a: 1}", Yaml);
    check("-", " {\"a\":\n 1}", Json);
    check("-", "{\"a\": 1}\n{\"a\": 2}", JsonLines);
    check("-", "{\"a\": 1}\n", Json);
}

#[test]
fn only_the_first_hundred_problems_are_kept() {
    let text = (0..500).fold("name: a\n".to_owned(), |text, n| text + &format!("x{n}: 1\n"));
    let problems = read("f.yaml", &text).unwrap_err();
    assert_eq!((problems.iter().count(), problems.more(), problems.len()), (100, 400, 500));
    assert!(problems.to_string().ends_with("and 400 more"));
}

#[test]
fn the_nearest_name_is_near() {
    let names = ["depends_on", "prompt", "id"];
    assert_eq!(nearest("depend_on", names), Some("depends_on"));
    assert_eq!(nearest("promtp", names), Some("prompt"));
    assert_eq!(nearest("temperature", names), None);
    assert_eq!(nearest("z", ["a", "b"]), None);
    assert_eq!(nearest("ab", ["ac"]), Some("ac"));
}

#[test]
fn the_schema_names_every_field_with_its_description() {
    let schema = schema_of::<Form>();
    assert_eq!(schema["additionalProperties"], false);
    assert_eq!(schema["required"], serde_json::json!(["name"]));
    assert_eq!(schema["properties"].as_object().unwrap().len(), 10);
}
