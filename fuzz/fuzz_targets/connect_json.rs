//! Any bytes as the JSON of a CONNECT: no panic, and JSON exactly when `serde_json` says so.
#![no_main]

use keelback_wire::checks::connect;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|json: &[u8]| connect::all(json));
