//! The same configuration, plan, scenario and seed give the same journal, byte by byte: nothing is decided by a
//! clock, by the order of a hash map, or by chance that no seed names.

use sortie_core::chance::Chance;
use sortie_core::hash::Hash;

use super::draw::{Draw, Drawn};
use super::world::{Hardship, live};
use super::{again, seeds};

/// Runs that `cargo test` repeats; the whole proof is `SORTIE_RUNS=1000`.
const SHORT: u64 = 20;

const FLAKY: &str = include_str!("../../../sim/scenarios/flaky-network.yaml");

/// The journal of a run as it is written, one record a line.
async fn journal(seed: u64, hardship: Hardship) -> Result<String, String> {
    let chance = &mut Chance::new(seed, &Hash::of(b"repeat"), "runs");
    let mut drawn = Drawn::new(chance).limited(chance);
    drawn.has_fallbacks = chance.percent(50);
    drawn.scenario = FLAKY.to_owned();
    let lived = live(drawn.header(seed), hardship, chance).await?;
    let lines = lived.records.iter().map(|record| serde_json::to_string(record).unwrap());
    Ok(lines.collect::<Vec<_>>().join("\n"))
}

#[tokio::test]
#[expect(clippy::print_stdout, reason = "shown with --nocapture: how much was repeated")]
async fn the_same_seed_writes_the_same_journal_byte_by_byte() {
    let (mut records, mut bytes) = (0, 0);
    let mut others = std::collections::BTreeSet::new();
    for seed in seeds(SHORT) {
        // Every other one with processes that die on the way.
        let hardship = Hardship { crashes: 40 * (seed % 2), raises: 30, ..Hardship::default() };
        let (first, second) = (journal(seed, hardship).await, journal(seed, hardship).await);
        let repeat = again(seed, "tests::repeat");
        assert!(first.is_ok(), "seed {seed}: {first:?}\n  {repeat}");
        assert_eq!(first, second, "seed {seed}\n  {repeat}");
        let first = first.unwrap_or_default();
        (records, bytes) = (records + first.lines().count(), bytes + first.len());
        others.insert(Hash::of(first.as_bytes()));
    }
    assert_eq!(others.len(), seeds(SHORT).count(), "another seed is another run");
    println!("{} runs twice, {records} records, {bytes} bytes each time", others.len());
}
