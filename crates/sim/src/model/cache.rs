//! The providers' prompt caches: which part of a request's input was read before, for each key and
//! model, and what that makes of its usage.
//!
//! It knows prefixes by their hashes and holds no text. What it keeps depends on what came before,
//! unlike all else in an answer: so it is at the providers.

use std::collections::HashMap;
use std::time::Duration;

use sortie_core::hash::Hash;
use sortie_core::price;
use sortie_core::usage::Usage;
use sortie_providers::dialect::{Caching, Keep, Particulars};

use crate::answer::{BYTES_PER_TOKEN, INPUT_OVERHEAD};

/// How long a prefix is kept after its last use, by `ttl` (Anthropic's documentation of prompt
/// caching); OpenAI's documentation names five to ten minutes.
const FIVE_MINUTES: Duration = Duration::from_secs(5 * 60);
const HOUR: Duration = Duration::from_secs(60 * 60);

/// Blocks before a mark in which an earlier prefix is looked for (Anthropic's documentation).
const LOOK_BACK: usize = 20;

/// The shortest prefix that OpenAI caches, and the steps in which it grows, in tokens (OpenAI's
/// documentation of prompt caching).
const LEAST_AUTOMATIC: u64 = 1_024;
const STEP_AUTOMATIC: u64 = 128;

/// The shortest prefix that Anthropic caches, in tokens, by model; others' is 1,024 (public price
/// tables).
const LEAST_MARKED: [(&str, u64); 8] = [
    ("claude-haiku-4-5", 4_096),
    ("claude-opus-4-5", 4_096),
    ("claude-opus-4-6", 4_096),
    ("claude-haiku-5-5", 512),
    ("claude-sonnet-5-5", 512),
    ("claude-opus-5", 512),
    ("claude-opus-5-5", 512),
    ("claude-fable-5", 512),
];

/// Prefixes held before those that have expired are dropped.
const SWEEP_AT: usize = 100_000;

/// All prefixes that are kept.
#[derive(Debug, Default)]
pub(super) struct Caches {
    /// When each prefix expires, by its hash, which includes the key and the model.
    prefixes: HashMap<Hash, Duration>,
}

/// What a request takes from the cache and leaves in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Reading {
    /// The input, in its four counts.
    pub(super) input: Usage,
    /// Prefixes that it uses or writes, and for how long.
    kept: Vec<(Hash, Duration)>,
}

/// A prefix: all up to here.
struct Prefix {
    hash: Hash,
    tokens: u64,
    keep: Option<Keep>,
}

impl Caches {
    /// What this request would read and write; nothing changes before it is kept.
    pub(super) fn read(
        &self,
        said: &Particulars,
        key: &str,
        model: &str,
        total: u64,
        now: Duration,
    ) -> Reading {
        let start = Hash::of(format!("{key}\n{model}").as_bytes());
        match said.caching {
            Caching::Never => Reading { input: Usage { input: total, ..Usage::default() }, kept: Vec::new() },
            Caching::Marked => self.marked(&blocks(said, start), least(model), total, now),
            Caching::Automatic => self.automatic(&steps(said, start, total), model, total, now),
        }
    }

    /// Keeps what an accepted request has read and written.
    pub(super) fn keep(&mut self, reading: &Reading, now: Duration) {
        if self.prefixes.len() >= SWEEP_AT {
            self.prefixes.retain(|_, until| *until > now);
        }
        for (prefix, ttl) in &reading.kept {
            let until = self.prefixes.entry(*prefix).or_default();
            *until = (*until).max(now + *ttl);
        }
    }

    fn has(&self, prefix: &Prefix, now: Duration) -> bool {
        self.prefixes.get(&prefix.hash).is_some_and(|until| *until > now)
    }

    /// The longest prefix at a mark or a little before it that is kept is read; what follows it up to
    /// the last mark is written.
    fn marked(&self, prefixes: &[Prefix], least: u64, total: u64, now: Duration) -> Reading {
        let marks: Vec<usize> = (0..prefixes.len())
            .filter(|&at| prefixes[at].keep.is_some() && prefixes[at].tokens >= least)
            .collect();
        let looked_at = |&at: &usize| marks.iter().any(|&mark| at <= mark && mark - at < LOOK_BACK);
        let hit = (0..prefixes.len()).filter(looked_at).rev().find(|&at| self.has(&prefixes[at], now));
        let read = hit.map_or(0, |at| prefixes[at].tokens);
        let mut reading = Reading { input: Usage { cache_read: read, ..Usage::default() }, kept: Vec::new() };
        let mut written = read;
        for prefix in marks.into_iter().map(|at| &prefixes[at]) {
            let tokens = prefix.tokens.saturating_sub(written);
            written += tokens;
            let (kind, ttl) = if prefix.keep == Some(Keep::Hour) {
                (&mut reading.input.cache_write_1h, HOUR)
            } else {
                (&mut reading.input.cache_write, FIVE_MINUTES)
            };
            *kind += tokens;
            reading.kept.push((prefix.hash, ttl));
        }
        if let Some(at) = hit.filter(|&at| prefixes[at].keep.is_none()) {
            reading.kept.push((prefixes[at].hash, FIVE_MINUTES));
        }
        reading.input.input = total.saturating_sub(written);
        reading
    }

    /// The longest prefix that is kept is read; the others are written, which only newer models bill.
    fn automatic(&self, prefixes: &[Prefix], model: &str, total: u64, now: Duration) -> Reading {
        let read = prefixes.iter().rev().find(|prefix| self.has(prefix, now)).map_or(0, |hit| hit.tokens);
        let end = prefixes.last().map_or(0, |prefix| prefix.tokens);
        let bills_writes = price::table()
            .find(model)
            .is_some_and(|row| row.price.standard.cache_write > row.price.standard.input);
        let written = if bills_writes { end.saturating_sub(read) } else { 0 };
        Reading {
            input: Usage {
                input: total.saturating_sub(read + written),
                cache_read: read,
                cache_write: written,
                ..Usage::default()
            },
            kept: prefixes.iter().map(|prefix| (prefix.hash, FIVE_MINUTES)).collect(),
        }
    }
}

/// The input tokens of a request that says all this.
pub(super) fn total(said: &Particulars) -> u64 {
    said.parts.iter().map(|part| part.bytes).sum::<u64>().div_ceil(BYTES_PER_TOKEN) + INPUT_OVERHEAD
}

fn least(model: &str) -> u64 {
    let base = price::table().find(model).map_or(model, |row| row.model.as_str());
    LEAST_MARKED.iter().find(|(name, _)| *name == base).map_or(1_024, |(_, least)| *least)
}

/// A prefix for each block.
fn blocks(said: &Particulars, start: Hash) -> Vec<Prefix> {
    let (mut hash, mut bytes) = (start, 0);
    let prefix = |part: &sortie_providers::dialect::Part| {
        hash = Hash::of(&[hash.as_bytes(), part.text.as_bytes()].concat());
        bytes += part.bytes;
        Prefix { hash, tokens: bytes / BYTES_PER_TOKEN, keep: part.keep }
    };
    // Without a mark nothing is hashed: most requests have none.
    if said.parts.iter().all(|part| part.keep.is_none()) {
        Vec::new()
    } else {
        said.parts.iter().map(prefix).collect()
    }
}

/// A prefix for each step of tokens, from the shortest that is cached.
fn steps(said: &Particulars, start: Hash, total: u64) -> Vec<Prefix> {
    if total < LEAST_AUTOMATIC {
        return Vec::new();
    }
    // A boundary between parts is part of what is compared.
    let text = said.parts.iter().map(|part| part.text.as_str()).collect::<Vec<_>>().join("\n");
    let mut hash = start;
    let mut prefixes = Vec::new();
    for (at, step) in text.as_bytes().chunks_exact((STEP_AUTOMATIC * BYTES_PER_TOKEN) as usize).enumerate() {
        hash = Hash::of(&[hash.as_bytes(), step].concat());
        let tokens = (at as u64 + 1) * STEP_AUTOMATIC;
        if tokens >= LEAST_AUTOMATIC {
            prefixes.push(Prefix { hash, tokens, keep: None });
        }
    }
    // Media have more bytes than they are counted by, and a published tokenizer may count fewer.
    prefixes.retain(|prefix| prefix.tokens < total);
    prefixes
}

#[cfg(test)]
mod tests {
    use super::*;
    use sortie_providers::dialect::Part;

    const NOON: Duration = Duration::from_secs(1_800_000_000);

    /// Parts of this many tokens; the letter tells them apart.
    fn said(caching: Caching, parts: &[(char, u64, Option<Keep>)]) -> Particulars {
        let part = |&(letter, tokens, keep): &(char, u64, Option<Keep>)| Part {
            keep,
            ..Part::text(letter.to_string().repeat((tokens * BYTES_PER_TOKEN) as usize))
        };
        Particulars { parts: parts.iter().map(part).collect(), caching, ..Particulars::default() }
    }

    /// Reads, keeps, and gives `[input, read, 5 m, 1 h]`.
    fn counts(caches: &mut Caches, said: &Particulars, model: &str, after_s: u64) -> [u64; 4] {
        let now = NOON + Duration::from_secs(after_s);
        let reading = caches.read(said, "sk-test", model, total(said), now);
        caches.keep(&reading, now);
        let usage = reading.input;
        assert_eq!(usage.total_input(), total(said));
        [usage.input, usage.cache_read, usage.cache_write, usage.cache_write_1h]
    }

    #[test]
    fn a_marked_prefix_is_written_once_and_read_until_it_expires() {
        let caches = &mut Caches::default();
        let (five, hour) = (Some(Keep::FiveMinutes), Some(Keep::Hour));
        let ask =
            |letter| said(Caching::Marked, &[('s', 2000, hour), ('d', 1000, five), (letter, 100, None)]);
        let sonnet = "claude-sonnet-4-6";
        assert_eq!(counts(caches, &ask('a'), sonnet, 0), [108, 0, 1000, 2000]);
        assert_eq!(counts(caches, &ask('b'), sonnet, 200), [108, 3000, 0, 0]);
        // The second use kept it; then only the hour-long part is left.
        assert_eq!(counts(caches, &ask('a'), sonnet, 499), [108, 3000, 0, 0]);
        assert_eq!(counts(caches, &ask('a'), sonnet, 1000), [108, 2000, 1000, 0]);
        assert_eq!(counts(caches, &ask('a'), sonnet, 9000), [108, 0, 1000, 2000]);
        assert_eq!(counts(caches, &ask('a'), "claude-sonnet-5", 9000), [108, 0, 1000, 2000]);
    }

    #[test]
    fn a_conversation_reads_what_its_last_turn_wrote() {
        let caches = &mut Caches::default();
        let five = Some(Keep::FiveMinutes);
        let first = said(Caching::Marked, &[('s', 1500, None), ('u', 500, five)]);
        let second = said(Caching::Marked, &[('s', 1500, None), ('u', 500, None), ('v', 300, five)]);
        assert_eq!(counts(caches, &first, "claude-sonnet-5", 0), [8, 0, 2000, 0]);
        assert_eq!(counts(caches, &second, "claude-sonnet-5", 1), [8, 2000, 300, 0]);
    }

    #[test]
    fn a_prefix_that_is_too_short_is_not_cached() {
        let caches = &mut Caches::default();
        let ask = said(Caching::Marked, &[('s', 2000, Some(Keep::FiveMinutes))]);
        for after in [0, 1] {
            assert_eq!(counts(caches, &ask, "claude-haiku-4-5", after), [2008, 0, 0, 0]);
        }
        assert_eq!(counts(caches, &ask, "claude-haiku-4-5-20251001", 2), [2008, 0, 0, 0]);
    }

    #[test]
    fn long_prefixes_are_cached_unasked_in_steps() {
        let caches = &mut Caches::default();
        let ask = |letter| said(Caching::Automatic, &[('s', 1200, None), (letter, 400, None)]);
        assert_eq!(counts(caches, &ask('a'), "gpt-4o", 0), [1608, 0, 0, 0]);
        assert_eq!(counts(caches, &ask('b'), "gpt-4o", 1), [1608 - 1152, 1152, 0, 0]);
        assert_eq!(counts(caches, &ask('b'), "gpt-4o", 2), [1608 - 1536, 1536, 0, 0]);
        assert_eq!(counts(caches, &ask('b'), "gpt-4o", 1000), [1608, 0, 0, 0]);
        // From 5.6 on, writes are billed.
        assert_eq!(counts(caches, &ask('a'), "gpt-6.1-sol", 0), [72, 0, 1536, 0]);
        assert_eq!(counts(caches, &ask('b'), "gpt-6.1-sol", 1), [72, 1152, 384, 0]);
        let short = said(Caching::Automatic, &[('s', 900, None)]);
        for after in [0, 1] {
            assert_eq!(counts(caches, &short, "gpt-4o", after), [908, 0, 0, 0]);
        }
    }
}
