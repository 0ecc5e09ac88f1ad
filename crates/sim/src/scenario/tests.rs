//! Scenarios as text, and what they draw.

use sortie_core::hash::Hash;

use super::*;

#[test]
fn the_built_in_scenarios_load_under_their_names() {
    for name in Scenario::names() {
        assert_eq!(Scenario::named(name).unwrap().name, name);
    }
    assert!(matches!(Scenario::named("storm?"), Err(ScenarioError::Unknown { .. })));
}

#[test]
fn the_readme_shows_a_scenario_that_loads() {
    let readme = include_str!("../../README.md");
    let shown = readme.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next());
    let scenario = Scenario::parse(shown.expect("the README shows one")).unwrap();
    assert_eq!((scenario.name.as_str(), scenario.faults.len()), ("rough", 3));
}

#[test]
fn all_that_makes_no_sense_is_said_at_once() {
    let text = "
        name: odd
        latency: { total: { seconds: { fixed: -1 }, first_token: { lognormal: { mean: 0, sigma: 1, min: 0, max: 1 } } } }
        network_ms: { min: 5, max: 1 }
        output_tokens: { uniform: { min: 0, max: .nan } }
        requests_per_minute: 0
        quotas: { opnai: { requests_per_minute: 0 } }
        faults: [{ kind: 529, share: 0.6 }, { kind: cut, share: 0.6 }]";
    let ScenarioError::Senseless { problems, .. } = Scenario::parse(text).unwrap_err() else {
        panic!("the text has a scenario's form")
    };
    let named: Vec<&str> = problems.iter().map(|p| p.split(' ').next().unwrap()).collect();
    let expected = ["latency.seconds", "latency.first_token", "output_tokens", "network_ms"];
    let quotas = ["requests_per_minute", "quotas.opnai", "quotas.opnai.requests_per_minute"];
    assert_eq!(named, [&expected[..], &quotas, &["the"]].concat(), "{problems:?}");
}

#[test]
fn what_a_scenario_does_not_have_is_refused() {
    let valid = BUILT_IN[0].1;
    for line in ["quota: 3", "faults: [{ kind: explode, share: 0.1 }]", "network_ms: { min: 1, mx: 2 }"] {
        let text = format!("{}\n{line}\n", valid.replace("network_ms: { min: 20, max: 60 }", ""));
        assert!(matches!(Scenario::parse(&text), Err(ScenarioError::Form(_))), "{line}");
    }
}

#[test]
fn faults_are_drawn_in_their_shares() {
    let mut scenario = Scenario::named("calm").unwrap();
    let share = |kind, share| FaultShare { kind, share, from_s: None, until_s: None, provider: None };
    scenario.faults = vec![share(Fault::Status(529), 0.1), share(Fault::Cut, 0.2)];
    let draw = |n: u32| {
        scenario.fault("openai", &mut Chance::new(3, &Hash::of(&n.to_le_bytes()), "fault"), Duration::ZERO)
    };
    let drawn: Vec<Fault> = (0..20_000).map(draw).collect();
    let of = |fault: &Fault| drawn.iter().filter(|f| *f == fault).count() as f64 / drawn.len() as f64;
    assert!((of(&Fault::Status(529)) - 0.1).abs() < 0.01);
    assert!((of(&Fault::Cut) - 0.2).abs() < 0.01);
    assert!((of(&Fault::None) - 0.7).abs() < 0.02);
}

#[test]
fn a_fault_is_drawn_within_its_window_only() {
    let mut scenario = Scenario::named("calm").unwrap();
    let windowed = |kind, from_s, until_s| FaultShare { kind, share: 1.0, from_s, until_s, provider: None };
    scenario.faults = vec![
        windowed(Fault::Status(503), Some(10.0), Some(20.0)),
        windowed(Fault::Status(529), Some(20.0), None),
    ];
    let scenario = scenario.checked().unwrap();
    let at = |seconds| {
        scenario.fault("openai", &mut Chance::new(3, &Hash::of(b""), "fault"), Duration::from_secs(seconds))
    };
    let drawn = [0, 9, 10, 19, 20, 9999].map(at);
    let [outage, overload] = [Fault::Status(503), Fault::Status(529)];
    assert_eq!(drawn, [Fault::None, Fault::None, outage.clone(), outage, overload.clone(), overload]);
}

#[test]
fn a_fault_of_one_provider_is_not_the_other_s() {
    let text = format!("{}\nfaults: [{{ kind: no-credit, share: 1, provider: anthropic }}]", BUILT_IN[0].1);
    let scenario = Scenario::parse(&text).unwrap();
    let of =
        |provider| scenario.fault(provider, &mut Chance::new(3, &Hash::of(b""), "fault"), Duration::ZERO);
    assert_eq!((of("anthropic"), of("openai")), (Fault::NoCredit, Fault::None));
    assert_eq!(Scenario::parse(&scenario.to_text()).unwrap(), scenario);
}

#[test]
fn shares_that_overlap_are_added() {
    let check = |second: &str, fits: bool| {
        let first = "{ kind: 503, share: 0.7, from_s: 5, until_s: 9 }";
        let text = format!("{}\nfaults: [{first}, {second}]", BUILT_IN[0].1);
        assert_eq!(Scenario::parse(&text).is_ok(), fits, "{second}");
    };
    check("{ kind: 529, share: 0.7, from_s: 9 }", true);
    check("{ kind: 529, share: 0.7, until_s: 5 }", true);
    check("{ kind: 529, share: 0.7, from_s: 8 }", false);
    check("{ kind: 529, share: 0.7 }", false);
    check("{ kind: 529, share: -0.1 }", false);
    check("{ kind: 529, share: .nan }", false);
    let at_one =
        |share: f64, provider: &str| format!("{{ kind: 529, share: {share}, provider: {provider} }}");
    check(&at_one(0.3, "openai"), true);
    check(&at_one(0.4, "openai"), false);
    check(&at_one(0.1, "opnai"), false);
    // A window that is never open.
    check("{ kind: 529, share: 0.1, from_s: 20, until_s: 20 }", false);
    check("{ kind: 529, share: 0.1, until_s: 0 }", false);
    check("{ kind: 529, share: 0.1, from_s: .nan }", false);
}

#[test]
fn a_burst_of_requests_needs_its_quota() {
    let check = |quotas: &str, fits: bool| {
        let text = format!("{}\n{quotas}", BUILT_IN[0].1);
        assert_eq!(Scenario::parse(&text).is_ok(), fits, "{quotas}");
    };
    check("requests_burst: 5", false);
    check("requests_burst: 5\nrequests_per_minute: 60", true);
    check("quotas: { openai: { requests_burst: 5 } }", false);
}

#[test]
fn a_scenario_read_with_its_samples_stands_by_itself() {
    let text = BUILT_IN[0].1.replace("{ uniform: { min: 0.3, max: 0.7 } }", "{ samples: first.txt }");
    let Err(ScenarioError::Senseless { problems, .. }) = Scenario::parse(&text) else { panic!("{text}") };
    assert!(problems[0].contains("first.txt"), "{problems:?}");
    let scenario = Scenario::parse_with(&text, |path| {
        assert_eq!(path, Path::new("first.txt"));
        Ok("0.25\n0.75\n".to_owned())
    });
    let scenario = scenario.unwrap();
    assert_eq!(Scenario::parse(&scenario.to_text()).unwrap(), scenario);
    let listed = BUILT_IN[0].1.replace("{ uniform: { min: 0.3, max: 0.7 } }", "{ samples: [0.25, 0.75] }");
    assert_eq!(Scenario::parse(&listed).unwrap(), scenario);
    for (file, part) in [(Ok("soon".to_owned()), "soon"), (Err(io::ErrorKind::NotFound.into()), "not found")]
    {
        let mut file = Some(file);
        let error = Scenario::parse_with(&text, |_| file.take().unwrap()).unwrap_err();
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert!(error.to_string().contains("first.txt") && source.contains(part), "{source}");
    }
}

#[test]
fn a_class_has_its_own_quotas_before_its_providers() {
    let text = format!(
        "{}\nrequests_per_minute: 1\nquotas: {{ openai: {{ tokens_per_minute: 2 }}, gpt-4o: {{ requests_per_minute: 3 }} }}",
        BUILT_IN[0].1
    );
    let scenario = Scenario::parse(&text).unwrap();
    let of = |provider, class| {
        let quotas = scenario.quotas_of(provider, class);
        (quotas.requests_per_minute, quotas.tokens_per_minute)
    };
    assert_eq!(of("anthropic", "opus 4"), (Some(1), None));
    assert_eq!(of("openai", "gpt-5"), (None, Some(2)));
    assert_eq!(of("openai", "gpt-4o"), (Some(3), None));
}

#[test]
fn the_readme_names_every_scenario_and_every_fault() {
    let readme = include_str!("../../README.md");
    let known = crate::fault::UnknownFault(String::new()).to_string();
    let (_, words) = known.split_once("or one of ").unwrap();
    let scenarios: Vec<&str> = Scenario::names().collect();
    for word in scenarios.into_iter().chain(words.split(", ")) {
        let named = readme.contains(&format!("`{word}`")) || readme.contains(&format!("`{word}:"));
        assert!(named, "{word} is not in the README");
    }
}
