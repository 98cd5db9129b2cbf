//! The fuzz targets' seeds, run through the targets' rules on any toolchain.

#![allow(clippy::unwrap_used)]

use std::path::Path;

/// The files of one target's corpus, in order of their names.
fn seeds(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
    let mut paths: Vec<_> = folder.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(!paths.is_empty(), "no seeds for {target}");
    paths.iter().map(|path| std::fs::read(path).unwrap()).collect()
}

#[test]
fn client_parser_seeds_keep_the_rules() {
    for seed in seeds("client_parser") {
        for cuts in 1..5 {
            super::client::all(&seed, cuts);
        }
        // And everything that breaks off.
        for end in 0..seed.len().min(200) {
            super::client::all(&seed[..end], 1);
        }
    }
}

#[test]
fn connect_json_seeds_keep_the_rules() {
    for seed in seeds("connect_json") {
        for end in 0..=seed.len() {
            super::connect::all(&seed[..end]);
        }
    }
}
