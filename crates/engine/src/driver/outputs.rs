//! Outputs that prompts are likely to need soon, so that they are not read back from the disk.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use sortie_core::hash::Hash;

/// Most dependants start as soon as their dependencies are done: the last outputs are enough. A
/// thousand long answers fit; memory stays bounded for a million.
const MOST_BYTES: usize = 32 << 20;

/// The last outputs, the oldest forgotten first.
#[derive(Debug, Default)]
pub(super) struct Recent {
    texts: HashMap<Hash, Arc<str>>,
    oldest: VecDeque<Hash>,
    bytes: usize,
}

impl Recent {
    pub(super) fn keep(&mut self, hash: Hash, text: &Arc<str>) {
        if self.texts.insert(hash, Arc::clone(text)).is_some() {
            return;
        }
        self.oldest.push_back(hash);
        self.bytes += text.len();
        while self.bytes > MOST_BYTES
            && let Some(forgotten) = self.oldest.pop_front()
        {
            self.bytes -= self.texts.remove(&forgotten).map_or(0, |text| text.len());
        }
    }

    pub(super) fn get(&self, hash: &Hash) -> Option<Arc<str>> {
        self.texts.get(hash).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_are_forgotten_and_the_bytes_stay_bounded() {
        let mut recent = Recent::default();
        let text: Arc<str> = "x".repeat(MOST_BYTES / 4).into();
        let hashes: Vec<Hash> = (0..6u8).map(|n| Hash::of(&[n])).collect();
        for hash in &hashes {
            recent.keep(*hash, &text);
            recent.keep(*hash, &text);
        }
        let known: Vec<bool> = hashes.iter().map(|hash| recent.get(hash).is_some()).collect();
        assert_eq!(known, [false, false, true, true, true, true]);
        assert_eq!((recent.bytes, recent.texts.len()), (MOST_BYTES, recent.oldest.len()));
    }
}
