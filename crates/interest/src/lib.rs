//! Who wants what: sublist, generations for caches, permissions. Knows no connection and no wire.
//!
//! A publish asks the [`Permissions`] of its user, then the [`Sublist`] of its account, and keeps
//! the [`Matched`] result in a cache of its own for as long as [`Generations`] say that nothing
//! about it changed.
#![forbid(unsafe_code)]

#[cfg(any(test, feature = "checks"))]
pub mod checks;
mod generations;
mod hashing;
mod literals;
mod matched;
mod members;
mod permissions;
mod scan;
mod sublist;
mod trie;

pub use generations::{Generations, Stamp};
pub use matched::Matched;
pub use permissions::{
    BadRule, PermissionRules, Permissions, Responses, RuleKind, Subscribe, SubscribeRule,
};
pub use scan::Cursor;
pub use sublist::{Interest, InvalidSubject, Sublist};
