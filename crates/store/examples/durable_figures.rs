//! What opening a stream of small messages takes, in time and in memory: closed, and found as it was
//! at its last checkpoint without having been closed.
//!
//!     cargo run --release --package keelback-store --example durable_figures [MILLIONS...]
#![allow(clippy::print_stdout)]

use std::path::Path;
use std::time::Instant;

use keelback_store::disk::real::RealDisk;
use keelback_store::durable::{Config, Durable, DurableError, SEGMENT_BYTES};
use keelback_store::log::Position;
use keelback_store::stream::{Body, Conditions, Entry, Lifetime, Limits, Message, Rollup};

const MILLION: u64 = 1_000_000;
const SUBJECTS: u64 = 1000;

/// Written at once (bytes).
const FLUSH_BYTES: usize = 1 << 20;

const CONFIG: Config = Config { store: 1, group: 1, segment_bytes: SEGMENT_BYTES, hash_seed: 5 };

/// What this process has in memory (bytes).
fn resident_bytes() -> i64 {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    pages
        .split(' ')
        .nth(1)
        .and_then(|pages| pages.parse().ok())
        .map_or(0, |pages: i64| pages * 4096)
}

fn at(number: u64) -> Position {
    Position { file: 1, offset: number }
}

fn checkpoint(stream: &mut Durable<RealDisk>, is_closing: bool) -> Result<(), DurableError> {
    let result = stream.begin_checkpoint(is_closing)?.run();
    stream.finish_checkpoint(result).map(|_| ())
}

fn fill(stream: &mut Durable<RealDisk>, count: u64) -> Result<(), DurableError> {
    for number in 0..count {
        let subject = format!("orders.{:09}", number % SUBJECTS);
        let message = Message {
            subject: subject.as_bytes(),
            body: Body::Held { headers: b"", payload: &[7; 16] },
            time_ns: 1_700_000_000_000_000_000 + number * 1000,
            lifetime: Lifetime::Limits,
            rollup: Rollup::None,
            msg_id: b"",
            conditions: Conditions::default(),
            is_marker: false,
            purges: b"",
        };
        stream.apply(at(number + 1), &Entry::Store(message))?;
        if stream.waiting_bytes() >= FLUSH_BYTES {
            stream.flush()?;
        }
    }
    Ok(())
}

fn measure(millions: u64) -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir_in(".")?;
    let disk = RealDisk::new(folder.path())?;
    for is_closing in [false, true] {
        let limits = Limits::default();
        let mut stream = Durable::create(disk.clone(), stream(), CONFIG, at(0), 0, limits)?;
        let start = Instant::now();
        fill(&mut stream, millions * MILLION)?;
        let filled = start.elapsed();
        checkpoint(&mut stream, is_closing)?;
        let safe = start.elapsed();
        let state = if is_closing { "closed" } else { "not closed" };
        println!("{millions} million, {state}: filled in {filled:.2?}, safe after {safe:.2?}");
        // What this process had in memory would hide what opening takes.
        let this = std::env::current_exe()?;
        std::process::Command::new(this).arg("open").arg(folder.path()).status()?;
        stream.delete()?;
    }
    Ok(())
}

fn open(folder: &str) -> Result<(), Box<dyn std::error::Error>> {
    let before = resident_bytes();
    let start = Instant::now();
    let (stream, damage) = Durable::open(RealDisk::new(folder)?, stream(), CONFIG)?;
    let opened = start.elapsed();
    let messages = stream.state().state().messages;
    let bytes = (resident_bytes() - before) / messages.cast_signed().max(1);
    let damaged = damage.len();
    println!("    opened in {opened:.2?}: {messages} messages, {bytes} B each, {damaged} damaged");
    Ok(())
}

fn stream() -> &'static Path {
    Path::new("stream")
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let asked: Vec<String> = std::env::args().skip(1).collect();
    match &asked[..] {
        [] => [1, 10].into_iter().try_for_each(measure),
        [what, folder] if what == "open" => open(folder),
        millions => millions.iter().try_for_each(|millions| measure(millions.parse()?)),
    }
}
