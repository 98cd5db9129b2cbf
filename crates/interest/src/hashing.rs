//! Seeded hashes: the keys come from strangers, who must not be able to choose collisions.

use std::hash::Hasher;

use foldhash::SharedSeed;
use foldhash::fast::FoldHasher;

/// The secret of one table; the same seed gives the same hashes.
#[derive(Clone, Debug)]
pub(crate) struct Hashing {
    seed: u64,
    shared: SharedSeed,
}

impl Hashing {
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed, shared: SharedSeed::from_u64(seed) }
    }

    pub(crate) fn bytes(&self, bytes: &[u8]) -> u64 {
        let mut hasher = self.hasher();
        hasher.write(bytes);
        hasher.finish()
    }

    /// The hash of a trie edge: the token with `token_hash` below the node `parent`.
    pub(crate) fn edge(&self, parent: u32, token_hash: u64) -> u64 {
        let mut hasher = self.hasher();
        hasher.write_u64(token_hash);
        hasher.write_u32(parent);
        hasher.finish()
    }

    pub(crate) fn id(&self, id: usize) -> u64 {
        let mut hasher = self.hasher();
        hasher.write_usize(id);
        hasher.finish()
    }

    fn hasher(&self) -> FoldHasher<'_> {
        FoldHasher::with_seed(self.seed, &self.shared)
    }
}
