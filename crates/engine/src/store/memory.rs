//! Journals in memory: for the library without a results directory, for benchmarks and tests.
//! Nothing survives the process.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sortie_core::hash::Hash;
use sortie_core::run::event::{Answer, Record};

use super::{Header, Listed, Output, Store, StoreError, answer_to, check_numbers, check_run_id};

/// Journals in memory.
#[derive(Debug, Default)]
pub struct MemoryStore {
    memory: Arc<Mutex<Memory>>,
    /// The epochs of the runs that this store owns.
    owned: HashMap<String, u64>,
}

/// What several stores may share.
#[derive(Debug, Default)]
struct Memory {
    runs: HashMap<String, Kept>,
    outputs: HashMap<Hash, Arc<str>>,
}

#[derive(Debug)]
struct Kept {
    header: Header,
    records: Vec<Record>,
    /// Counts the owners, as in the SQLite journal.
    epoch: u64,
    owned: bool,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        MemoryStore::default()
    }

    /// Another store on the same memory, as another process would open the same directory.
    #[must_use]
    pub fn another(&self) -> Self {
        MemoryStore { memory: Arc::clone(&self.memory), owned: HashMap::new() }
    }

    fn give_up(&mut self, run_id: &str) {
        let Some(epoch) = self.owned.remove(run_id) else { return };
        if let Some(kept) = lock(&self.memory).runs.get_mut(run_id)
            && kept.epoch == epoch
        {
            kept.owned = false;
        }
    }

    /// Lets the next store take the run although this one still owns it, as where somebody deleted
    /// the lock's file.
    #[cfg(test)]
    pub(super) fn lose_lock(&self, run_id: &str) {
        if let Some(kept) = lock(&self.memory).runs.get_mut(run_id) {
            kept.owned = false;
        }
    }
}

/// Nothing that is done under the lock can stop half way, so a poisoned one is whole.
fn lock(memory: &Mutex<Memory>) -> MutexGuard<'_, Memory> {
    memory.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for MemoryStore {
    fn drop(&mut self) {
        for run_id in self.owned.keys().cloned().collect::<Vec<_>>() {
            self.give_up(&run_id);
        }
    }
}

impl Store for MemoryStore {
    async fn create(&mut self, header: &Header) -> Result<(), StoreError> {
        let run_id = &header.run_id;
        check_run_id(run_id)?;
        let mut memory = lock(&self.memory);
        if memory.runs.contains_key(run_id) {
            return Err(StoreError::Exists(run_id.clone()));
        }
        let kept = Kept { header: header.clone(), records: Vec::new(), epoch: 1, owned: true };
        memory.runs.insert(run_id.clone(), kept);
        self.owned.insert(run_id.clone(), 1);
        Ok(())
    }

    async fn open(&mut self, run_id: &str) -> Result<(Header, Vec<Record>), StoreError> {
        check_run_id(run_id)?;
        self.give_up(run_id);
        let mut memory = lock(&self.memory);
        let kept = memory.runs.get_mut(run_id).ok_or_else(|| StoreError::NoSuchRun(run_id.to_owned()))?;
        if kept.owned {
            return Err(StoreError::Owned { run: run_id.to_owned(), pid: Some(std::process::id()) });
        }
        kept.owned = true;
        kept.epoch += 1;
        let (epoch, journal) = (kept.epoch, (kept.header.clone(), kept.records.clone()));
        drop(memory);
        self.owned.insert(run_id.to_owned(), epoch);
        Ok(journal)
    }

    async fn append(
        &mut self,
        run_id: &str,
        after: u64,
        records: &[Record],
        outputs: &[Output],
    ) -> Result<(), StoreError> {
        check_numbers(run_id, after, records)?;
        let mut memory = lock(&self.memory);
        let memory = &mut *memory;
        let epoch = self.owned.get(run_id).copied();
        let kept = memory
            .runs
            .get_mut(run_id)
            .filter(|kept| Some(kept.epoch) == epoch && kept.records.len() as u64 == after)
            .ok_or_else(|| StoreError::Fenced(run_id.to_owned()))?;
        kept.records.extend_from_slice(records);
        for (hash, text) in outputs {
            memory.outputs.entry(*hash).or_insert_with(|| Arc::clone(text));
        }
        Ok(())
    }

    async fn release(&mut self, run_id: &str) {
        self.give_up(run_id);
    }

    async fn output(&self, hash: &Hash) -> Result<Arc<str>, StoreError> {
        lock(&self.memory).outputs.get(hash).cloned().ok_or(StoreError::NoSuchOutput(*hash))
    }

    async fn outputs(&self, hashes: &[Hash]) -> Result<Vec<Arc<str>>, StoreError> {
        let memory = lock(&self.memory);
        let output = |hash: &Hash| memory.outputs.get(hash).cloned().ok_or(StoreError::NoSuchOutput(*hash));
        hashes.iter().map(output).collect()
    }

    async fn answered(&self, request: &Hash) -> Result<Option<(String, Answer)>, StoreError> {
        let memory = lock(&self.memory);
        let answers = memory.runs.values().flat_map(|kept| {
            let is_kept = |answer: &&Answer| memory.outputs.contains_key(&answer.output);
            let of = move |record| Some((record, answer_to(request, record).filter(is_kept)?));
            kept.records
                .iter()
                .filter_map(of)
                .map(|(record, answer)| (record.at, &kept.header.run_id, answer))
        });
        let last = answers.max_by_key(|(at, run, _)| (*at, *run));
        Ok(last.map(|(_, run, answer)| (run.clone(), answer.clone())))
    }

    async fn read(&self, run_id: &str) -> Result<(Header, Vec<Record>), StoreError> {
        check_run_id(run_id)?;
        let memory = lock(&self.memory);
        let kept = memory.runs.get(run_id).ok_or_else(|| StoreError::NoSuchRun(run_id.to_owned()))?;
        Ok((kept.header.clone(), kept.records.clone()))
    }

    async fn list(&self) -> Result<Vec<Listed>, StoreError> {
        let memory = lock(&self.memory);
        let mut runs: Vec<Listed> = memory
            .runs
            .values()
            .map(|kept| Listed {
                run_id: kept.header.run_id.clone(),
                plan_name: kept.header.plan.name().to_owned(),
                created: kept.header.created,
                tasks: kept.header.plan.len() as u64,
                last: kept.records.last().cloned(),
                owned: kept.owned,
            })
            .collect();
        runs.sort_by(|a, b| (b.created, &b.run_id).cmp(&(a.created, &a.run_id)));
        Ok(runs)
    }
}

#[cfg(test)]
mod tests {
    use super::MemoryStore;
    use crate::store::contract::{Place, contract};

    #[derive(Default)]
    struct Memory(MemoryStore);

    impl Place for Memory {
        type Store = MemoryStore;

        fn store(&self) -> MemoryStore {
            self.0.another()
        }

        fn lose_lock(&self, owner: &MemoryStore, run_id: &str) {
            owner.lose_lock(run_id);
        }
    }

    contract!(Memory);
}
