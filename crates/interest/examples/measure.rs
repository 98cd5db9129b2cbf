//! Prints what the sublist costs: bytes for each subscription, and operations a second.
//!
//! `cargo run --release -p keelback-interest --example measure`
//!
//! The bytes are those that the sublist asks the allocator for, without the handles' own.
#![allow(clippy::print_stdout)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use keelback_interest::{Generations, Interest, Matched, Sublist};

const LITERALS: usize = 1_000_000;
const WILDCARDS: usize = 100_000;
const MEMBERS: usize = 100_000;

static ALLOCATED_BYTES: AtomicUsize = AtomicUsize::new(0);

#[global_allocator]
static ALLOCATOR: Counting = Counting;

struct Counting;

// SAFETY: every call goes to the system's allocator as it came; counting changes nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATED_BYTES.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        ALLOCATED_BYTES.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: `at` came from `alloc` above, so from the system's allocator.
        unsafe { System.dealloc(at, layout) }
    }
}

#[derive(Clone)]
struct Sub(Arc<Box<[u8]>>);

impl Sub {
    fn plain(subject: &str) -> Self {
        Self(Arc::new(subject.as_bytes().into()))
    }
}

impl Interest for Sub {
    fn subject(&self) -> &[u8] {
        &self.0
    }

    fn queue(&self) -> &[u8] {
        &[]
    }

    fn id(&self) -> usize {
        Arc::as_ptr(&self.0).addr()
    }
}

fn main() {
    literals();
    for shape in ["svc.{}.*", "_INBOX.{}.*", "*.{}.>", "a.b.{}.c.*.d"] {
        wildcards(shape);
    }
    one_subject();
    generations();
}

fn literals() {
    let subs: Vec<_> =
        shuffled(LITERALS).map(|n| Sub::plain(&format!("orders.eu.{n:07}"))).collect();
    let (sublist, slowest) = filled("literal", &subs);
    println!("    slowest insert {:.2} ms", slowest.as_secs_f64() * 1e3);
    let subjects: Vec<_> = shuffled(LITERALS).map(|n| format!("orders.eu.{n:07}")).collect();
    matching("match, hit", &sublist, &subjects);
    let missing: Vec<_> = shuffled(LITERALS).map(|n| format!("orders.us.{n:07}")).collect();
    matching("match, miss", &sublist, &missing);
    emptied(sublist, &subs);
}

fn wildcards(shape: &str) {
    let subject = |n: usize| shape.replace("{}", &format!("{n:022}"));
    let subs: Vec<_> = shuffled(WILDCARDS).map(|n| Sub::plain(&subject(n))).collect();
    let (sublist, _) = filled(shape, &subs);
    let published = |n: usize| subject(n).replace('*', "x").replace('>', "y.z");
    let subjects: Vec<_> = shuffled(WILDCARDS).map(published).collect();
    matching("match, hit", &sublist, &subjects);
    let missing: Vec<_> = shuffled(WILDCARDS).map(|n| published(n + WILDCARDS)).collect();
    matching("match, miss", &sublist, &missing);
    emptied(sublist, &subs);
}

fn one_subject() {
    let subs: Vec<_> = (0..MEMBERS).map(|_| Sub::plain("news.all")).collect();
    let (sublist, _) = filled("one subject", &subs);
    emptied(sublist, &subs);
}

fn generations() {
    let generations = Generations::new(1);
    let inboxes: Vec<_> = (0..100_000).map(|n| format!("_INBOX.{n:022}.1")).collect();
    rate("generations, bump", inboxes.len(), || {
        for inbox in &inboxes {
            generations.bump(inbox.as_bytes());
        }
    });
    rate("generations, stamp and check", inboxes.len(), || {
        for inbox in &inboxes {
            let stamp = generations.stamp(inbox.as_bytes());
            black_box(generations.is_current(&stamp));
        }
    });
    let stamps: Vec<_> =
        (0..10_000).map(|n| generations.stamp(format!("a{n}.b.c").as_bytes())).collect();
    for inbox in &inboxes[..1_000] {
        generations.bump(inbox.as_bytes());
    }
    let current = stamps.iter().filter(|stamp| generations.is_current(stamp)).count();
    println!("    current after 1,000 unrelated changes: {:.1} %", current as f64 / 100.0);
}

/// A sublist with `subs` in it, and how long the slowest insertion took.
fn filled(name: &str, subs: &[Sub]) -> (Sublist<Sub>, Duration) {
    let before = ALLOCATED_BYTES.load(Ordering::Relaxed);
    let mut sublist = Sublist::new(0x5eed);
    let started = Instant::now();
    for sub in subs {
        assert!(sublist.insert(sub.clone()).is_ok());
    }
    let taken = started.elapsed();
    let bytes = ALLOCATED_BYTES.load(Ordering::Relaxed) - before;
    println!(
        "{name}: {} subscriptions, {:.1} bytes each",
        subs.len(),
        bytes as f64 / subs.len() as f64
    );
    print_rate("insert", subs.len(), taken);
    // Again, with a clock around each: the pauses that a lock's holder would cause.
    let mut again = Sublist::new(0x5eed);
    let slowest = subs.iter().map(|sub| {
        let started = Instant::now();
        assert!(again.insert(sub.clone()).is_ok());
        started.elapsed()
    });
    (sublist, slowest.max().unwrap_or_default())
}

fn emptied(mut sublist: Sublist<Sub>, subs: &[Sub]) {
    rate("remove", subs.len(), || subs.iter().for_each(|sub| assert!(sublist.remove(sub))));
    assert!(sublist.is_empty());
}

fn matching(name: &str, sublist: &Sublist<Sub>, subjects: &[String]) {
    let mut found = Matched::new();
    let mut hits = 0;
    rate(name, subjects.len(), || {
        for subject in subjects {
            sublist.matches(subject.as_bytes(), &mut found);
            hits += found.plain.len();
        }
    });
    println!("      found {hits}");
}

fn rate(name: &str, count: usize, work: impl FnOnce()) {
    let started = Instant::now();
    work();
    print_rate(name, count, started.elapsed());
}

fn print_rate(name: &str, count: usize, taken: Duration) {
    let millions = count as f64 / taken.as_secs_f64() / 1e6;
    let nanoseconds = taken.as_secs_f64() * 1e9 / count as f64;
    println!("    {name:<30} {millions:6.2} M/s {nanoseconds:8.0} ns");
}

/// The numbers below `count` (not a multiple of the stride's factors), each once, far from order.
fn shuffled(count: usize) -> impl Iterator<Item = usize> {
    // A prime that divides none of the counts used here.
    const STRIDE: usize = 7_368_787;
    (0..count).map(move |n| n * STRIDE % count)
}
