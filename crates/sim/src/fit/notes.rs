//! What calls do not tell, in sentences.

use super::evidence::{A_FEW, Evidence};
use super::serving::Found;

/// The share of answers of the greatest length from which on something is taken to cut them.
const CUT: f64 = 0.25;

/// Fewer calls than this are few for a 95th percentile.
const ENOUGH: usize = 40;

pub(super) fn of(evidence: &Evidence, found: &Found) -> Vec<String> {
    let mut notes = Vec::new();
    let answered = evidence.answered().count();
    if answered < ENOUGH {
        notes.push(format!("{answered} answered calls are few: a 95th percentile of them is a guess"));
    }
    notes.extend(of_widths(evidence, found));
    notes.extend(of_times(evidence));
    let longest = evidence.answered().map(|call| call.tokens).fold(0.0, f64::max);
    let cut = evidence.answered().filter(|call| call.tokens >= longest).count();
    if cut as f64 >= CUT * answered as f64 {
        notes.push(format!(
            "{cut} of {answered} answers have {longest} tokens, as if bounded by their request: how long they would have \
             become is not known"
        ));
    }
    notes
}

fn of_widths(evidence: &Evidence, found: &Found) -> Vec<String> {
    let widest = evidence.widest;
    if evidence.providers > 1 {
        let providers = evidence.providers;
        return vec![format!(
            "calls went to {providers} providers: their times are taken together, and what load does to them was not \
             looked for"
        )];
    }
    if widest == 1 {
        return vec![
            "calls were made one at a time: nothing tells what happens to several, so they are answered side by side \
             and as fast"
                .to_owned(),
        ];
    }
    let mut notes = Vec::new();
    if !evidence.knows_one_alone() {
        let least =
            evidence.widths.iter().find(|(_, calls)| **calls >= A_FEW).map_or(widest, |(width, _)| *width);
        notes.push(format!(
            "hardly a call was alone: slowness is told in relation to {least} at a time, and one alone may be faster"
        ));
    }
    let many = evidence.widths.values().filter(|calls| **calls >= A_FEW).count();
    if many < 2 {
        notes.push(format!("all calls were made about {widest} at a time: other widths are a guess"));
    }
    match found.slots {
        Some(slots) => {
            let are = if slots == 1 { "is" } else { "are" };
            notes.push(format!("{slots} of up to {widest} calls at a time {are} answered, the others wait"));
        }
        None => notes.push(format!(
            "nothing of up to {widest} calls at a time waited for a slot: what happens to more is not known"
        )),
    }
    let guessed: Vec<String> = (1..=found.slowdown.len())
        .filter(|busy| found.levels.get(busy).is_none_or(|calls| *calls < A_FEW))
        .map(|busy| busy.to_string())
        .collect();
    if !guessed.is_empty() {
        notes.push(format!(
            "fewer than {A_FEW} calls were begun as one of {}: their slowdown lies between those of their neighbours",
            guessed.join(", ")
        ));
    }
    notes
}

fn of_times(evidence: &Evidence) -> Vec<String> {
    let mut notes = Vec::new();
    if evidence.network.is_none() {
        notes
            .push("the network's share of the time is not told apart: it is in the first token's".to_owned());
    }
    if evidence.answered().all(|call| call.first.is_none()) {
        notes.push(
            "no first token was seen: it is supposed to come at once, and slots are told by the ends alone"
                .to_owned(),
        );
    }
    let mut lengths = evidence.answered().map(|call| call.tokens);
    let first = lengths.next();
    if lengths.all(|length| Some(length) == first) {
        notes.push(
            "all answers are as long: that others would take longer or less in proportion is a guess"
                .to_owned(),
        );
    } else if !evidence.by_length {
        notes.push("the time of an answer has nothing to do with its length".to_owned());
    }
    notes
}
