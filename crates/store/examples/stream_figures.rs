//! What a stream takes in memory and in time: a million messages of several kinds.
//!
//!     cargo run --release --package keelback-store --example stream_figures
#![allow(clippy::print_stdout)]

use std::hint::black_box;
use std::time::Instant;

use keelback_store::stream::{
    Body, Conditions, Entry, Lifetime, Limits, Message, Outcome, Rollup, Storage, Stream,
};

const MILLION: u64 = 1_000_000;

fn store(stream: &mut Stream, subject: &[u8], body: Body<'_>, time_ns: u64) -> u64 {
    let (lifetime, rollup) = (Lifetime::Limits, Rollup::None);
    let message = Message {
        subject,
        body,
        time_ns,
        lifetime,
        rollup,
        msg_id: b"",
        conditions: Conditions::default(),
        is_marker: false,
        purges: b"",
    };
    match stream.apply(&Entry::Store(message)).outcome {
        Outcome::Stored { seq } => seq,
        outcome => panic!("{outcome:?}"),
    }
}

/// Numbers that look random, the same each time.
fn mixed(number: u64) -> u64 {
    let mixed = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed ^ mixed >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 17
}

/// What this process has in memory (bytes).
fn resident_bytes() -> i64 {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    pages
        .split(' ')
        .nth(1)
        .and_then(|pages| pages.parse().ok())
        .map_or(0, |pages: i64| pages * 4096)
}

struct Case {
    what: &'static str,
    storage: Storage,
    step_ns: u64,
    subjects: u64,
    is_mixed: bool,
}

const CASES: [Case; 4] = [
    Case::new("file, 1,000 subjects, 1 us apart", Storage::File, 1000, 1000),
    Case::new("file, 1,000 subjects, 1 s apart", Storage::File, 1_000_000_000, 1000),
    Case::new("memory, 128 B each, 1,000 subjects", Storage::Memory, 1000, 1000),
    Case { is_mixed: false, ..Case::new("file, 1,000,000 subjects", Storage::File, 1000, MILLION) },
];

impl Case {
    const fn new(what: &'static str, storage: Storage, step_ns: u64, subjects: u64) -> Self {
        Self { what, storage, step_ns, subjects, is_mixed: true }
    }

    fn subject(&self, number: u64) -> [u8; 16] {
        let number = if self.is_mixed { mixed(number) } else { number };
        let mut subject = *b"orders.000000000";
        let mut rest = number % self.subjects;
        for digit in subject.iter_mut().rev().take_while(|digit| **digit == b'0') {
            *digit += (rest % 10) as u8;
            rest /= 10;
        }
        subject
    }

    /// A million messages: the stream, what they take, and how long one took.
    fn fill(&self) -> (Stream, i64, u128) {
        let before = resident_bytes();
        let mut stream = Stream::new(self.storage, 0, Limits::default(), 5);
        let store_ns = ns_each(MILLION, |number| {
            let body = match self.storage {
                Storage::File => {
                    Body::Placed { header_bytes: 0, payload_bytes: 128, place: number * 174 }
                }
                Storage::Memory => Body::Held { headers: b"", payload: &[7; 128] },
            };
            let time_ns = 1_700_000_000_000_000_000 + number * self.step_ns;
            store(&mut stream, &self.subject(number), body, time_ns);
        });
        let bytes = (resident_bytes() - before) / MILLION.cast_signed();
        (stream, bytes, store_ns)
    }
}

fn ns_each(times: u64, each: impl FnMut(u64)) -> u128 {
    let start = Instant::now();
    (0..times).for_each(each);
    start.elapsed().as_nanos() / u128::from(times)
}

fn main() {
    // All are held until all are filled: what one gave back would hide what the next one takes.
    for (case, (mut stream, bytes, store_ns)) in
        CASES.iter().map(|case| (case, case.fill())).collect::<Vec<_>>()
    {
        let get_ns = ns_each(MILLION, |number| {
            black_box(stream.get(1 + mixed(number) % MILLION));
        });
        let next_ns = ns_each(10_000, |number| {
            let from = 1 + mixed(number) % MILLION;
            black_box(stream.next_matching(&case.subject(number), from));
        });
        let wildcard_ns = ns_each(10, |_| {
            black_box(stream.next_matching(b"*.000000007", 100));
        });
        let remove_ns = ns_each(MILLION / 2, |number| {
            stream.apply(&Entry::Remove { seq: 1 + mixed(number) % MILLION });
        });
        println!("{}: {bytes} B a message", case.what);
        println!(
            "    ns: store {store_ns}, get {get_ns}, next of a subject {next_ns}, \
             rare wildcard {wildcard_ns}, remove anywhere {remove_ns}"
        );
    }
}
