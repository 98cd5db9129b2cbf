//! Rules of taking in what a client sends.

use foldhash::HashMap;
use keelback_wire::client::{Limits, Op, Step, next_op};

use super::server::{Peer, Server};
use crate::ingest::Outcome;
use crate::lock;

/// Bytes in a chunk at most; sinks take fewer at once, so that queues fill.
const CHUNK_BYTES_MAX: usize = 40;

/// All rules for one input; `seed` chooses where it is cut.
pub fn all(input: &[u8], seed: u64) {
    let whole = Outputs::of(input, &mut std::iter::once(input.len()), usize::MAX);
    if has_crowded_queue(input) {
        // Which member gets a message depends on what is looked at together.
        Outputs::of(input, &mut cuts(seed), 7);
        return;
    }
    let cut = Outputs::of(input, &mut cuts(seed), 7);
    assert_eq!(whole, cut, "cut by seed {seed}: {}", input.escape_ascii());
    let single = Outputs::of(input, &mut std::iter::repeat(1), usize::MAX);
    assert_eq!(whole, single, "byte by byte: {}", input.escape_ascii());
}

/// What everybody was sent, and what was counted.
#[derive(Debug, PartialEq, Eq)]
struct Outputs {
    own: String,
    with_headers: String,
    without_headers: String,
    outcome: Outcome,
    in_msgs: u64,
    in_bytes: u64,
    out_msgs: u64,
    out_bytes: u64,
}

impl Outputs {
    /// Sends `input` in chunks of these sizes to a server where others listen.
    fn of(input: &[u8], sizes: &mut dyn Iterator<Item = usize>, at_once: usize) -> Self {
        let mut server = Server::with_limits(|limits| {
            limits.payload_bytes_max = 64;
            limits.control_line_bytes_max = 200;
            limits.subscriptions_max = 12;
        });
        let mut others = [server.connect("\"headers\":true"), server.connect("")];
        server.send(&mut others[0], "SUB > all\r\nSUB a.* star\r\nUNSUB star 3\r\n");
        server.send(&mut others[1], "SUB *.b star\r\nSUB a.> tail\r\n");
        let mut own = server.accept(0);
        for peer in others.iter().chain([&own]) {
            lock(&peer.sink).at_once = at_once;
        }
        let outcome = send_in_chunks(&mut server, &mut own, input, sizes);
        for peer in others.iter().chain([&own]) {
            server.drain_all(peer);
            assert!(!lock(&peer.sink).wants_room, "waits for room without need");
        }
        let listening = server.account("$G").sublist().len();
        server.close(&mut own);
        let left = server.account("$G").sublist().len();
        assert!(left <= listening && (2..=4).contains(&left), "{left} subscriptions are left");
        let (came, went) = (&own.client.connection.counters, &server.hub.totals.gone);
        let load = |counter: &std::sync::atomic::AtomicU64| {
            counter.load(std::sync::atomic::Ordering::Relaxed)
        };
        assert_eq!(load(&came.in_msgs), load(&went.in_msgs));
        let [with_headers, without_headers] = others.map(|peer| text(&peer));
        Self {
            own: without_sids(&text(&own)),
            with_headers,
            without_headers,
            outcome,
            in_msgs: load(&came.in_msgs),
            in_bytes: load(&came.in_bytes),
            out_msgs: load(&came.out_msgs),
            out_bytes: load(&came.out_bytes),
        }
    }
}

fn send_in_chunks(
    server: &mut Server,
    peer: &mut Peer,
    mut input: &[u8],
    sizes: &mut dyn Iterator<Item = usize>,
) -> Outcome {
    while !input.is_empty() {
        let size = sizes.next().unwrap_or(1).clamp(1, input.len());
        let (chunk, rest) = input.split_at(size);
        input = rest;
        let outcome = server.send(peer, chunk);
        if outcome != Outcome::Continue {
            return outcome;
        }
    }
    Outcome::Continue
}

/// Sizes of chunks, the same for the same seed.
fn cuts(seed: u64) -> impl Iterator<Item = usize> {
    let mut state = seed | 1;
    std::iter::from_fn(move || {
        // xorshift64: any sequence will do that differs from seed to seed.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        Some(1 + (state >> 32) as usize % CHUNK_BYTES_MAX)
    })
}

fn text(peer: &Peer) -> String {
    peer.read_bytes().escape_ascii().to_string()
}

/// Of several own subscriptions that match a reply, any may be told that there was nobody.
fn without_sids(text: &str) -> String {
    const STATUS: &str = "NATS/1.0 503";
    let mut parts = text.split(STATUS);
    let mut joined = String::new();
    let mut last = parts.next().unwrap_or_default();
    for part in parts {
        let line = last.rfind("HMSG ").unwrap_or(0);
        let mut words: Vec<&str> = last[line..].split(' ').collect();
        let sid = words.len().saturating_sub(3);
        words[sid] = "?";
        joined += &last[..line];
        joined += &words.join(" ");
        joined += STATUS;
        last = part;
    }
    joined + last
}

/// Whether two subscriptions may join one queue group.
fn has_crowded_queue(mut input: &[u8]) -> bool {
    let limits = Limits { control_line_bytes_max: 4096, payload_bytes_max: None };
    let mut members: HashMap<Vec<u8>, u32> = HashMap::default();
    while let Ok(Step::Op { op, used_bytes }) = next_op(input, &limits) {
        if let Op::Subscribe { queue: Some(queue), .. } = op {
            *members.entry(queue.to_vec()).or_default() += 1;
        }
        input = &input[used_bytes..];
    }
    members.values().any(|&count| count > 1)
}
