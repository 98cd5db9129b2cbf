//! Subjects: tokens, validity, wildcards. Knows no subscription, no account, no wire.
#![forbid(unsafe_code)]
