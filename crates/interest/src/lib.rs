//! Who wants what: sublist, generations for caches, permissions. Knows no connection and no wire.
#![forbid(unsafe_code)]
