//! Any bytes from a client, in any chunks, through the whole engine: no panic, everybody is sent the
//! same, nothing is left.
#![no_main]

use keelback_engine::checks::ingest;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    // Where the input is cut follows from the input, so that a finding repeats.
    let seed = input
        .iter()
        .fold(1_u64, |seed, &byte| seed.wrapping_mul(0x100_0000_01b3) ^ u64::from(byte));
    ingest::all(input, seed);
});
