//! Results are data: they go in once, as they are, and never become templates.

use super::*;

const TASKS: [&str; 4] = ["a", "impl-a", "分析", "it's"];

fn parse(text: &str) -> Result<Template, Vec<Fault>> {
    Template::parse(text, |id| TASKS.iter().position(|task| *task == id).map(|at| TaskId(at as u32)))
}

/// What a prompt becomes, all results being `result`.
fn check(prompt: &str, result: &str, expect: &str) {
    let rendered = parse(prompt).expect(prompt).render(|_| Some(result));
    assert_eq!(rendered.as_deref(), Ok(expect), "{prompt}");
}

#[test]
fn results_are_inserted_however_they_are_written() {
    for reference in [
        "{{ results.a }}",
        "{{results.a}}",
        "{{\n results . a\t}}",
        "{{ results['a'] }}",
        "{{ results[ \"a\" ] }}",
        "{{ results.impl-a }}",
        "{{ results['impl-a'] }}",
        "{{ results.分析 }}",
        "{{ results['it\\'s'] }}",
        "{{ results[\"it's\"] }}",
    ] {
        check(&format!("x {reference} y"), "R", "x R y");
    }
}

#[test]
fn what_is_no_reference_is_text() {
    for text in
        ["", "{", "}}", "{ {", "{% if x %}", "{# c #}", "${results.a}", "a } } b", "{\"k\": {\"l\": 1}}"]
    {
        check(text, "R", text);
    }
}

#[test]
fn anything_else_in_double_braces_is_a_fault() {
    let not = |quote: &str| Fault::NotAResult { quote: quote.into() };
    for text in [
        "{{ a }}",
        "{{ results }}",
        "{{}}",
        "{{ results. }}",
        "{{ results.a | upper }}",
        "{{- results.a }}",
        "{{ results[a] }}",
        "{{ results['a\"] }}",
        "{{ results['a' }}",
        "{{ result.a }}",
        "{{ results..a }}",
    ] {
        assert_eq!(parse(&format!("x\n{text} y")), Err(vec![not(text)]), "{text}");
    }
}

#[test]
fn all_faults_of_a_prompt_are_told() {
    assert_eq!(
        parse("{{ x }}\n{{ results.b }}\nz {{ results.a"),
        Err(vec![
            Fault::NotAResult { quote: "{{ x }}".into() },
            Fault::UnknownTask { quote: "{{ results.b }}".into(), task: "b".into() },
            Fault::Unclosed { quote: "{{ results.a".into(), line: 3 },
        ])
    );
}

#[test]
fn fields_come_as_they_are_written_and_strings_unescaped() {
    let result = "{\"s\": \"a\\n\\u00e9\", \"n\": 1.50, \"o\": {\"k\": [1,  {\"x\": null}]}, \"10\": true}";
    check("{{ results.a.s }}", result, "a\né");
    check("{{ results.a.n }}", result, "1.50");
    check("{{ results.a.o }}", result, "{\"k\": [1,  {\"x\": null}]}");
    check("{{ results.a.o.k[1]['x'] }}", result, "null");
    check("{{ results.a[10] }}", result, "true");
    check("{{ results.a.s }}", &format!("```json\n{result}\n```\n"), "a\né");
    check("{{ results.a[1] }}", " [1, 2] ", "2");
}

#[test]
fn a_field_that_is_not_there_fails_as_a_template_and_names_the_reference() {
    for (result, why) in [
        ("plain text", "the result is not JSON"),
        ("", "the result is not JSON"),
        ("{\"b\": 1}", "the result has no `k` there"),
        ("{\"k\": 1}", "the result has no `l` there"),
        ("[1]", "the result has no `k` there"),
        ("{\"k\": {\"l\": \"\\ud800\"}}", "the result is not JSON"),
    ] {
        let failure = parse("{{ results['impl-a'].k.l }}").unwrap().render(|_| Some(result)).unwrap_err();
        let message = format!("no `results['impl-a'].k.l`: {why}");
        assert_eq!((failure.class, failure.message), (Class::Template, message), "{result}");
    }
}

/// A small generator, seeded, so that every payload can be made again.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % sides as u64) as usize
    }

    fn text(&mut self) -> String {
        const PIECES: [&str; 14] = [
            "{{ results.a }}",
            "{{",
            "}}",
            "{{ results['a'].k }}",
            "{% include '/etc/passwd' %}",
            "${HOME}",
            "{#",
            "a",
            "é",
            "\"",
            "\\",
            "\n",
            "语",
            "{{{{",
        ];
        (0..self.roll(8)).map(|_| PIECES[self.roll(PIECES.len())]).collect()
    }

    fn json(&mut self, depth: usize) -> serde_json::Value {
        match self.roll(if depth == 0 { 4 } else { 6 }) {
            0 => self.text().into(),
            1 => self.roll(100_000).into(),
            2 => (self.roll(1000) as f64 / 7.0).into(),
            3 => serde_json::Value::Null,
            4 => (0..self.roll(4)).map(|_| self.json(depth - 1)).collect(),
            _ => (0..self.roll(4))
                .map(|_| (self.text(), self.json(depth - 1)))
                .collect::<serde_json::Map<_, _>>()
                .into(),
        }
    }
}

#[test]
fn a_result_is_never_expanded_again() {
    let template = parse("<{{ results.a }}|{{ results.impl-a }}>").unwrap();
    for seed in 1..=10_000 {
        let mut dice = Dice(seed * 0x9e37_79b9);
        let results = [dice.text(), dice.text()];
        let rendered = template.render(|task| Some(&results[task.index()])).unwrap();
        assert_eq!(rendered, format!("<{}|{}>", results[0], results[1]), "seed {seed}");
    }
}

#[test]
fn a_field_is_never_longer_than_its_result() {
    let mut found = 0;
    for seed in 1..=10_000 {
        let mut dice = Dice(seed * 0x9e37_79b9);
        let value = serde_json::json!({ "k": dice.json(3), "l": [dice.json(2)] });
        let pretty = dice.roll(2) == 0;
        let result =
            if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }
                .unwrap();
        for reference in ["{{ results.a.k }}", "{{ results.a.l[0] }}", "{{ results.a.k[0] }}"] {
            if let Ok(field) = parse(reference).unwrap().render(|_| Some(&result)) {
                found += 1;
                assert!(field.len() <= result.len(), "seed {seed}: {reference} of {result}");
            }
        }
    }
    assert!(found > 20_000, "only {found} fields were found");
}

#[test]
fn a_template_survives_the_journal() {
    let template = parse("x {{ results.a }} {{ results.a.k[0] }}").unwrap();
    let written = serde_json::to_string(&template).unwrap();
    assert_eq!(serde_json::from_str::<Template>(&written).unwrap(), template);
}
