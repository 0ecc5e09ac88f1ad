use super::*;
use crate::trial::testing::{all, fault_tolerance, hostile};

fn rendered(trial: &Trial) -> String {
    String::from_utf8(junit(trial)).unwrap()
}

/// What an XML 1.0 document of elements, attributes and text has to be, checked by a reader of its own. Returns its
/// elements with their attributes, in order.
fn well_formed(xml: &str) -> Vec<(String, Vec<(String, String)>)> {
    let mut rest = xml.strip_prefix("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n").expect("a declaration");
    let (mut open, mut elements): (Vec<String>, Vec<_>) = (Vec::new(), Vec::new());
    while let Some(at) = rest.find('<') {
        assert_text(&rest[..at]);
        assert!(
            !open.is_empty() || rest[..at].trim().is_empty(),
            "text outside of the root: {:?}",
            &rest[..at]
        );
        let end = at + rest[at..].find('>').expect("a tag ends");
        let tag = &rest[at + 1..end];
        rest = &rest[end + 1..];
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop().as_deref(), Some(name), "closed in order");
            continue;
        }
        let (tag, is_empty) = tag.strip_suffix('/').map_or((tag, false), |tag| (tag, true));
        let (name, attributes) = tag.split_once(' ').unwrap_or((tag, ""));
        assert!(name.chars().all(|c| c.is_ascii_alphabetic() || c == '-'), "{name:?}");
        assert!(!open.is_empty() || elements.is_empty(), "one root");
        elements.push((name.to_owned(), attributes_of(attributes)));
        if !is_empty {
            open.push(name.to_owned());
        }
    }
    assert!(open.is_empty() && rest.trim().is_empty(), "{open:?} {rest:?}");
    elements
}

fn attributes_of(mut rest: &str) -> Vec<(String, String)> {
    let mut attributes: Vec<(String, String)> = Vec::new();
    while !rest.trim().is_empty() {
        let (name, more) = rest.trim_start().split_once("=\"").expect("an attribute has a value");
        assert!(name.chars().all(|c| c.is_ascii_lowercase()), "{name:?}");
        assert!(attributes.iter().all(|(other, _)| other != name), "{name} twice");
        let (value, more) = more.split_once('"').expect("a value ends");
        assert!(more.is_empty() || more.starts_with(' '), "{more:?}");
        assert_text(value);
        attributes.push((name.to_owned(), value.to_owned()));
        rest = more;
    }
    attributes
}

/// Characters that XML has, and no `&` but of an entity that it knows.
fn assert_text(text: &str) {
    assert!(!text.contains("]]>") && !text.contains('<'), "{text:?}");
    for c in text.chars() {
        assert!(
            matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..),
            "{c:?}"
        );
    }
    for (at, _) in text.match_indices('&') {
        let entity = text[at..].split_once(';').expect("an entity ends").0;
        assert!(["&amp", "&lt", "&gt", "&quot", "&apos"].contains(&entity), "{entity}");
    }
}

#[test]
fn a_trial_of_each_kind_is_well_formed_and_counts_its_cases() {
    for (name, trial) in all().into_iter().chain([("hostile", hostile())]) {
        let elements = well_formed(&rendered(&trial));
        let count = |tag: &str| elements.iter().filter(|(name, _)| name == tag).count();
        let (_, root) = &elements[0];
        let said = |attribute: &str| {
            let (_, value) = root.iter().find(|(name, _)| name == attribute).unwrap();
            value.parse::<usize>().unwrap()
        };
        assert_eq!(said("tests"), count("testcase"), "{name}");
        assert_eq!(said("failures"), count("failure"), "{name}");
        assert_eq!(said("skipped"), count("skipped"), "{name}");
        let cases = trial.criteria.len() + trial.checklist.len() + trial.faults.len();
        assert_eq!(count("testcase"), cases, "{name}");
    }
}

#[test]
fn the_reader_refuses_what_is_not_well_formed() {
    for wrong in [
        "<a>",
        "<a></b>",
        "<a><b></a></b>",
        "<a/><b/>",
        "<a>&nbsp;</a>",
        "<a>&</a>",
        "<a b=\"1\" b=\"2\"/>",
        "<a b=1/>",
        "<a>]]></a>",
        "<a>\u{1}</a>",
        "<a b=\"<\"/>",
    ] {
        let document = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{wrong}");
        assert!(std::panic::catch_unwind(|| well_formed(&document)).is_err(), "{wrong}");
    }
}

#[test]
fn a_case_is_a_criterion_a_point_or_a_fault() {
    insta::assert_snapshot!("fault_tolerance", rendered(&fault_tolerance()));
}

#[test]
fn a_trial_of_which_nothing_was_judged_is_a_document_and_fails_where_the_trial_did() {
    let mut trial = fault_tolerance();
    (trial.criteria, trial.checklist, trial.faults) = (Vec::new(), Vec::new(), Vec::new());
    let names = |trial: &Trial| -> Vec<String> {
        well_formed(&rendered(trial)).into_iter().map(|(name, _)| name).collect()
    };
    assert_eq!(names(&trial).iter().filter(|name| *name == "failure").count(), 1);
    trial.verdict = Verdict::Pass;
    assert_eq!(names(&trial), ["testsuites"]);
}
