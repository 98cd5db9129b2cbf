//! The fuzz target's seeds, and a few thousand changed copies of them, on any toolchain.

use std::path::Path;

/// The files of the target's corpus, in order of their names.
fn seeds() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/engine_ingest");
    let mut paths: Vec<_> = folder.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(!paths.is_empty(), "no seeds");
    paths.iter().map(|path| std::fs::read(path).unwrap()).collect()
}

#[test]
fn seeds_keep_the_rules_however_they_are_cut() {
    for seed in seeds() {
        for cuts in 1..40 {
            super::ingest::all(&seed, cuts);
        }
    }
}

#[test]
fn seeds_that_were_tampered_with_keep_the_rules() {
    let seeds = seeds();
    let mut random = 0x2545_F491_4F6C_DD1D_u64;
    let mut next = |most: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        (random >> 33) as usize % most
    };
    for round in 0..1500 {
        let mut input = seeds[next(seeds.len())].clone();
        for _ in 0..=next(4) {
            let other = &seeds[next(seeds.len())];
            let at = next(input.len());
            match next(4) {
                0 => input[at] = next(256) as u8,
                1 => drop(input.drain(at..(at + 1 + next(8)).min(input.len()))),
                2 => {
                    let from = next(other.len());
                    let end = (from + 1 + next(60)).min(other.len());
                    input.splice(at..at, other[from..end].iter().copied());
                }
                _ => input.truncate(at + 1),
            }
            if input.is_empty() {
                input.push(b'P');
            }
        }
        super::ingest::all(&input, round);
    }
}
