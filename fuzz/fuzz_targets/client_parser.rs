//! Any bytes from a client: no panic, no difference to the plain machine, none by cutting.
#![no_main]

use keelback_wire::checks::client;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    // Where the input is cut follows from the input, so that a finding repeats.
    let seed = input
        .iter()
        .fold(1_u64, |seed, &byte| seed.wrapping_mul(0x100_0000_01b3) ^ u64::from(byte));
    client::all(input, seed);
});
