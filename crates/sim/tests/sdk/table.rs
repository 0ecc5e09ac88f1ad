//! A row for each case: what is asked, and what each SDK of the provider has to make of it.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sortie_core::hash::Hash;

use super::play::Played;

/// An SDK's place in its provider's table.
pub(crate) type Column = usize;

/// SDKs of one provider.
pub(crate) const COLUMNS: usize = 4;

/// What one SDK has to make of a case.
#[derive(Clone)]
struct Expected {
    /// The script's words for it.
    outcome: &'static str,
    /// Requests that the simulator has to see, the SDK's retries included; absent where it is not
    /// about them.
    requests: Option<u64>,
    /// How long it has to take at least, in milliseconds: the SDK's waits between its tries. There is
    /// no upper bound, for machines are slow at times.
    least_ms: u64,
}

/// One case.
pub(crate) struct Row {
    name: &'static str,
    verb: &'static str,
    prompt: &'static str,
    key: Option<&'static str>,
    max_retries: u32,
    timeout_s: f64,
    extra: Value,
    expected: [Expected; COLUMNS],
    /// Whether more requests than one follow a redirect, and are no retries.
    is_redirected: bool,
    /// SDKs that are not asked.
    not_for: &'static [Column],
}

/// A case that ends like this everywhere; `verb` is the script's.
pub(crate) fn row(name: &'static str, verb: &'static str, outcome: &'static str) -> Row {
    Row {
        name,
        verb,
        prompt: "[[sim text=Hello]]",
        key: None,
        // The SDKs' own default.
        max_retries: 2,
        timeout_s: 60.0,
        extra: json!({}),
        expected: [(); COLUMNS].map(|()| Expected { outcome, requests: None, least_ms: 0 }),
        is_redirected: false,
        not_for: &[],
    }
}

impl Row {
    pub(crate) fn prompt(mut self, prompt: &'static str) -> Self {
        self.prompt = prompt;
        self
    }

    /// A key that is not the case's own; then its requests are not told apart from others'.
    pub(crate) fn key_of(mut self, key: &'static str) -> Self {
        self.key = Some(key);
        self
    }

    pub(crate) fn max_retries(mut self, retries: u32) -> Self {
        self.max_retries = retries;
        self
    }

    /// The client's own timeout, in seconds.
    pub(crate) fn timeout(mut self, seconds: f64) -> Self {
        self.timeout_s = seconds;
        self
    }

    /// Fields of the body that go round the SDK's own types.
    pub(crate) fn extra(mut self, extra: Value) -> Self {
        self.extra = extra;
        self
    }

    pub(crate) fn requests(mut self, requests: u64) -> Self {
        self.expected.iter_mut().for_each(|expected| expected.requests = Some(requests));
        self
    }

    pub(crate) fn least_ms(mut self, least_ms: u64) -> Self {
        self.expected.iter_mut().for_each(|expected| expected.least_ms = least_ms);
        self
    }

    /// These SDKs make something else of it.
    pub(crate) fn but(mut self, columns: &[Column], outcome: &'static str) -> Self {
        for &column in columns {
            self.expected[column].outcome = outcome;
        }
        self
    }

    /// These SDKs send another number of requests, and wait otherwise.
    pub(crate) fn but_requests(mut self, columns: &[Column], requests: u64, least_ms: u64) -> Self {
        for &column in columns {
            self.expected[column].requests = Some(requests);
            self.expected[column].least_ms = least_ms;
        }
        self
    }

    /// More requests than one follow a redirect: they do not count as retries.
    pub(crate) fn redirected(mut self) -> Self {
        self.is_redirected = true;
        self
    }

    /// These SDKs cannot be asked: they would wait for longer than a test may take.
    pub(crate) fn not_for(mut self, columns: &'static [Column]) -> Self {
        self.not_for = columns;
        self
    }

    /// Whether the SDK of this column is asked.
    pub(crate) fn is_for(&self, column: Column) -> bool {
        !self.not_for.contains(&column)
    }

    /// The case as the scripts read it, of a simulator at this URL. A prompt may name that as `{url}`,
    /// and as `{other}` by another name of this machine.
    pub(crate) fn case(&self, url: &str) -> Value {
        let prompt = self.prompt.replace("{url}", url);
        let prompt = prompt.replace("{other}", &url.replace("127.0.0.1", "localhost"));
        json!({
            "case": self.name,
            "do": self.verb,
            // No two cases ask the same: the simulator counts the tries of each request.
            "prompt": format!("{prompt} {}", self.name),
            "key": self.key(),
            "max_retries": self.max_retries,
            "timeout": self.timeout_s,
            "extra": self.extra,
        })
    }

    /// Each case has a key of its own, by which the simulator's counts tell them apart.
    fn key(&self) -> String {
        self.key.map_or_else(|| format!("sk-test-{}", self.name.replace(' ', "-")), str::to_owned)
    }

    fn requests_seen(&self, played: &Played) -> u64 {
        let mut fingerprint = Hash::of(self.key().as_bytes()).to_string();
        fingerprint.truncate(8);
        played.stats.by_key.get(&fingerprint).copied().unwrap_or_default()
    }

    /// What is not as expected, in words.
    fn differences(&self, column: Column, played: &Played) -> Vec<String> {
        let expected = &self.expected[column];
        let Some((outcome, elapsed_ms)) = played.outcomes.get(self.name) else {
            return vec!["the script says nothing of it".to_owned()];
        };
        let seen = self.requests_seen(played);
        let mut differences = Vec::new();
        if outcome != expected.outcome {
            differences.push(format!("is `{outcome}` instead of `{}`", expected.outcome));
        }
        if expected.requests.is_some_and(|requests| requests != seen) {
            differences.push(format!("took {seen} requests instead of {:?}", expected.requests));
        }
        if *elapsed_ms < expected.least_ms {
            differences.push(format!("took {elapsed_ms} ms, less than {}", expected.least_ms));
        }
        differences
    }
}

/// What the SDK of this column did otherwise than its table says, a line each; empty where nothing.
/// What is `pending`, by its row's name, the simulator does not do yet; that it does is a line too.
pub(crate) fn compare(rows: &[Row], pending: &[&str], column: Column, played: &Played) -> Vec<String> {
    let mut report = Vec::new();
    for row in rows {
        let differences = row.differences(column, played);
        if !pending.contains(&row.name) {
            report.extend(differences.iter().map(|difference| format!("{}: {difference}", row.name)));
        } else if differences.is_empty() {
            report.push(format!("{}: is done and no longer pending", row.name));
        }
    }
    let unknown = pending.iter().filter(|name| rows.iter().all(|row| row.name != **name));
    report.extend(unknown.map(|name| format!("{name}: is pending, and there is no such case")));
    report.extend(miscounted(rows, played));
    show(rows, pending, played);
    report
}

/// Whether the retries that the SDK says it made are those that the simulator saw: a case of three
/// requests has one that says 1 and one that says 2.
fn miscounted(rows: &[Row], played: &Played) -> Option<String> {
    let said: BTreeMap<u32, u64> = played
        .stats
        .by_retry_count
        .iter()
        .filter(|(before, _)| **before > 0)
        .map(|(&n, &count)| (n, count))
        .collect();
    let mut retried = BTreeMap::new();
    let retries = |row: &&Row| row.expected[0].requests.is_some() && !row.is_redirected;
    for row in rows.iter().filter(retries) {
        for before in 1..row.requests_seen(played) {
            *retried.entry(before as u32).or_default() += 1;
        }
    }
    (said != retried).then(|| format!("`x-stainless-retry-count` says {said:?}, seen were {retried:?}"))
}

/// The whole table, for `--nocapture`.
#[expect(clippy::print_stdout, reason = "the output of a test is shown on demand")]
fn show(rows: &[Row], pending: &[&str], played: &Played) {
    for row in rows {
        let (outcome, elapsed_ms) = played.outcomes.get(row.name).map_or(("", 0), |(text, ms)| (text, *ms));
        let sign = if pending.contains(&row.name) { " (pending)" } else { "" };
        println!(
            "{:46} {:2} requests {elapsed_ms:6} ms  {outcome}{sign}",
            row.name,
            row.requests_seen(played)
        );
    }
}
