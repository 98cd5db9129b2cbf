//! Any sequence of SUB, UNSUB and PUB: the sublist and its caches agree with the plain rule.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|program: &[u8]| keelback_interest::checks::sublist(program));
