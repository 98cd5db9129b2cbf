//! Each rule by its numbers, as nats-server 2.15.1 shows them; then random entries beside a model.

mod model;
mod random;

use super::duplicates::Duplicates;
use super::*;

const ROLLUP: &[u8] = b"NATS/1.0\r\nNats-Rollup: sub\r\n\r\n";

fn stream(storage: Storage, limits: Limits) -> Stream {
    Stream::new(storage, 0, limits, 0)
}

fn message<'a>(storage: Storage, subject: &'a [u8], payload: &'a [u8]) -> Message<'a> {
    Message {
        subject,
        body: body(storage, &[], payload),
        time_ns: 0,
        lifetime: Lifetime::Limits,
        rollup: Rollup::None,
        msg_id: b"",
        conditions: Conditions::default(),
        is_marker: false,
        purges: b"",
    }
}

fn body<'a>(storage: Storage, headers: &'a [u8], payload: &'a [u8]) -> Body<'a> {
    match storage {
        Storage::Memory => Body::Held { headers, payload },
        Storage::File => Body::Placed {
            header_bytes: headers.len() as u32,
            payload_bytes: payload.len() as u32,
            place: 0,
        },
    }
}

/// The sequence that a message got, or why it was refused.
fn publish(stream: &mut Stream, subject: &str, payload: &[u8]) -> Result<u64, Refusal> {
    let message = message(stream.storage, subject.as_bytes(), payload);
    sequence(&stream.apply(&Entry::Store(message)))
}

fn publish_rollup(stream: &mut Stream, subject: &str, rollup: Rollup) -> Result<u64, Refusal> {
    let storage = stream.storage;
    let message = message(storage, subject.as_bytes(), b"");
    let body = body(storage, ROLLUP, b"2");
    sequence(&stream.apply(&Entry::Store(Message { body, rollup, ..message })))
}

fn publish_at(stream: &mut Stream, time_ns: u64, lifetime: Lifetime) -> Result<u64, Refusal> {
    let message = message(stream.storage, b"a", b"");
    sequence(&stream.apply(&Entry::Store(Message { time_ns, lifetime, ..message })))
}

fn sequence(effects: &Effects) -> Result<u64, Refusal> {
    match &effects.outcome {
        Outcome::Stored { seq } | Outcome::Duplicate { seq } => Ok(*seq),
        Outcome::Refused(refusal) => Err(refusal.clone()),
        Outcome::Done => panic!("the entry had a message"),
    }
}

fn purge(stream: &mut Stream, filter: &[u8], below_seq: u64, keep: u64) -> u64 {
    stream.apply(&Entry::Purge(Purge { filter, below_seq, keep })).removed.messages
}

/// Messages, bytes, first and last sequence.
fn shown(stream: &Stream) -> (u64, u64, u64, u64) {
    let state = stream.state();
    (state.messages, state.bytes, state.first_seq, state.last_seq)
}

fn sequences(stream: &mut Stream) -> Vec<u64> {
    stream.messages_from(0).map(|stored| stored.seq).collect()
}

/// Six messages of five bytes, on `a.0` and `a.1` in turn.
fn six(storage: Storage) -> Stream {
    let mut stream = stream(storage, Limits::default());
    for number in 0..6 {
        assert!(publish(&mut stream, &format!("a.{}", number % 2), b"12345").is_ok());
    }
    stream
}

#[test]
fn a_fresh_stream_shows_no_sequence_and_a_purged_one_its_next() {
    let mut fresh = stream(Storage::File, Limits::default());
    assert_eq!(shown(&fresh), (0, 0, 0, 0));
    assert_eq!(purge(&mut fresh, b"", 0, 0), 0);
    assert_eq!(shown(&fresh), (0, 0, 1, 0));
    let with_first_seq = Stream::new(Storage::File, 10, Limits::default(), 0);
    assert_eq!(shown(&with_first_seq), (0, 0, 10, 9));
}

#[test]
fn sizes_are_those_of_the_storage() {
    assert_eq!(shown(&six(Storage::File)), (6, 228, 1, 6));
    assert_eq!(shown(&six(Storage::Memory)), (6, 144, 1, 6));
    for (storage, bytes) in [(Storage::File, 68), (Storage::Memory, 50)] {
        let mut stream = stream(storage, Limits::default());
        assert_eq!(publish_rollup(&mut stream, "a.0", Rollup::Subject), Ok(1));
        assert_eq!(stream.state().bytes, bytes);
    }
}

#[test]
fn removed_messages_leave_gaps() {
    let mut stream = six(Storage::File);
    for seq in [3, 6] {
        assert_eq!(stream.apply(&Entry::Remove { seq }).removed.ranges, [seq..=seq]);
    }
    assert_eq!(shown(&stream), (4, 152, 1, 6));
    assert_eq!(stream.deleted(10), [3..=3, 6..=6]);
    assert_eq!(stream.state().deleted, 2);
    assert_eq!(stream.next_matching(b"a.0", 2).map(|next| next.seq), Some(5));
    assert_eq!(stream.apply(&Entry::Remove { seq: 3 }).removed, Removed::default());
}

#[test]
fn a_purge_below_a_sequence_may_go_beyond_the_end() {
    let mut stream = six(Storage::Memory);
    assert_eq!(purge(&mut stream, b"", 1, 0), 0);
    stream.apply(&Entry::Remove { seq: 3 });
    stream.apply(&Entry::Remove { seq: 6 });
    assert_eq!(purge(&mut stream, b"", 4, 0), 2);
    assert_eq!(shown(&stream), (2, 48, 4, 6));
    assert_eq!(stream.deleted(10), [6..=6]);
    assert_eq!(purge(&mut stream, b"", 100, 0), 2);
    assert_eq!(shown(&stream), (0, 0, 100, 99));
    assert_eq!(publish(&mut stream, "a.1", b""), Ok(100));
}

#[test]
fn a_purge_takes_the_oldest_that_its_filter_matches() {
    let mut stream = six(Storage::File);
    assert_eq!(purge(&mut stream, b"a.*", 0, 2), 4);
    assert_eq!(shown(&stream), (2, 76, 5, 6));
    let mut stream = six(Storage::File);
    assert_eq!(purge(&mut stream, b"a.1", 5, 0), 2);
    assert_eq!(stream.deleted(10), [2..=2, 4..=4]);
    assert_eq!(purge(&mut stream, b">", 6, 0), 3);
    assert_eq!(shown(&stream), (1, 38, 6, 6));
}

#[test]
fn a_purge_of_all_names_one_range() {
    let mut stream = six(Storage::File);
    stream.apply(&Entry::Remove { seq: 3 });
    let removed = stream.apply(&Entry::Purge(Purge::default())).removed;
    assert_eq!((removed.messages, removed.bytes), (5, 190));
    assert_eq!(removed.ranges, [1..=6]);
    assert_eq!(shown(&stream), (0, 0, 7, 6));
}

#[test]
fn the_oldest_messages_make_room() {
    let limits = Limits { msgs_max: 2, ..Limits::default() };
    let mut by_count = stream(Storage::File, limits);
    for seq in 1..=4 {
        assert_eq!(publish(&mut by_count, "a", b""), Ok(seq));
    }
    assert_eq!(sequences(&mut by_count), [3, 4]);
    let mut by_size = stream(Storage::File, Limits { bytes_max: 100, ..Limits::default() });
    assert_eq!(publish(&mut by_size, "a.b", &[0; 200]), Ok(1));
    assert_eq!(shown(&by_size), (0, 0, 2, 1));
    assert_eq!(publish(&mut by_size, "a.b", &[0; 20]), Ok(2));
    assert_eq!(shown(&by_size), (1, 53, 2, 2));
}

#[test]
fn a_new_message_is_refused_unless_it_replaces_one_that_is_as_large() {
    for (storage, size_bytes, last_bytes) in [(Storage::File, 38, 72), (Storage::Memory, 24, 44)] {
        let mut stream = stream(
            storage,
            Limits {
                msgs_max: 2,
                msgs_per_subject_max: 1,
                bytes_max: 2 * size_bytes,
                discard: Discard::New,
                ..Limits::default()
            },
        );
        assert_eq!(publish(&mut stream, "a.0", b"12345"), Ok(1));
        assert_eq!(publish(&mut stream, "a.1", b"12345"), Ok(2));
        assert_eq!(publish(&mut stream, "a.2", b"12345"), Err(Refusal::MsgsMax));
        assert_eq!(publish(&mut stream, "a.1", b"12345"), Ok(3));
        assert_eq!(publish(&mut stream, "a.1", b"123456"), Err(Refusal::BytesMax));
        assert_eq!(publish(&mut stream, "a.1", b"1"), Ok(4));
        // What goes would make room, but it is smaller: that is what is asked.
        assert_eq!(publish(&mut stream, "a.1", b"12"), Err(Refusal::BytesMax));
        assert_eq!(stream.state().bytes, last_bytes);
        assert_eq!(stream.deleted(10), [2..=3]);
    }
}

#[test]
fn a_full_subject_refuses_all_but_a_rollup() {
    let mut stream = stream(
        Storage::File,
        Limits { msgs_per_subject_max: 1, discard: Discard::NewPerSubject, ..Limits::default() },
    );
    assert_eq!(publish(&mut stream, "a.0", b"1"), Ok(1));
    assert_eq!(publish(&mut stream, "a.0", b"2"), Err(Refusal::MsgsPerSubjectMax));
    assert_eq!(publish_rollup(&mut stream, "a.0", Rollup::Subject), Ok(2));
    assert_eq!(shown(&stream), (1, 68, 2, 2));
    assert_eq!(publish_rollup(&mut stream, "a.9", Rollup::All), Ok(3));
    assert_eq!(shown(&stream), (1, 68, 3, 3));
    assert_eq!(Refusal::MsgsPerSubjectMax.to_string(), "maximum messages per subject exceeded");
}

#[test]
fn a_full_stream_refuses_a_rollup_too() {
    let limits = Limits { msgs_max: 1, discard: Discard::New, ..Limits::default() };
    let mut stream = stream(Storage::File, limits);
    assert_eq!(publish(&mut stream, "a.0", b"1"), Ok(1));
    let refused = publish_rollup(&mut stream, "a.0", Rollup::Subject);
    assert_eq!(
        refused.map_err(|refusal| refusal.to_string()),
        Err("maximum messages exceeded".into())
    );
}

#[test]
fn new_limits_hold_for_what_is_stored() {
    let mut stream = stream(Storage::File, Limits::default());
    for token in "001122001".chars() {
        assert!(publish(&mut stream, &format!("a.{token}"), b"12345").is_ok());
    }
    let limits = Limits { msgs_max: 6, msgs_per_subject_max: 2, ..Limits::default() };
    stream.apply(&Entry::Limit(limits));
    assert_eq!(shown(&stream), (6, 228, 4, 9));
    // The number of messages is no reason to remove any when new ones are discarded.
    let discard = Discard::New;
    let limits = Limits { msgs_max: 1, msgs_per_subject_max: 1, discard, ..Limits::default() };
    stream.apply(&Entry::Limit(limits));
    assert_eq!(sequences(&mut stream), [6, 8, 9]);
    assert_eq!(stream.deleted(10), [7..=7]);
}

#[test]
fn age_ends_all_but_what_never_expires() {
    let mut stream = stream(Storage::File, Limits { age_max_ns: 10, ..Limits::default() });
    let lifetimes = [Lifetime::Never, Lifetime::Limits, Lifetime::Ttl { ttl_ns: 3 }];
    for lifetime in lifetimes {
        assert!(publish_at(&mut stream, 100, lifetime).is_ok());
    }
    assert!(publish_at(&mut stream, 105, Lifetime::Ttl { ttl_ns: 50 }).is_ok());
    for (now_ns, left) in [(102, [1, 2, 3, 4].as_slice()), (103, &[1, 2, 4]), (110, &[1, 4])] {
        let due = stream.next_expiry_ns().is_some_and(|due_ns| due_ns <= now_ns);
        let removed = stream.apply(&Entry::Expire { now_ns }).removed.messages;
        assert_eq!((sequences(&mut stream).as_slice(), removed > 0), (left, due), "at {now_ns}");
    }
    stream.apply(&Entry::Expire { now_ns: 115 });
    assert_eq!(sequences(&mut stream), [1]);
}

#[test]
fn the_last_message_of_a_subject_waits_for_its_marker() {
    let limits = Limits { age_max_ns: 10, marks_expiry: true, ..Limits::default() };
    let mut stream = stream(Storage::File, limits);
    assert!(publish_at(&mut stream, 1, Lifetime::Limits).is_ok());
    assert!(publish_at(&mut stream, 2, Lifetime::Limits).is_ok());
    for _ in 0..2 {
        // Until the marker is there it is asked for.
        let effects = stream.apply(&Entry::Expire { now_ns: 20 });
        assert_eq!((effects.expiring, sequences(&mut stream)), (vec![2], vec![2]));
    }
    let marker = message(Storage::File, b"a", b"");
    let (rollup, lifetime) = (Rollup::Subject, Lifetime::Ttl { ttl_ns: 5 });
    let marker = Message { time_ns: 20, rollup, lifetime, is_marker: true, ..marker };
    let effects = stream.apply(&Entry::Store(marker));
    assert_eq!(effects.removed.ranges, [2..=2]);
    let effects = stream.apply(&Entry::Expire { now_ns: 25 });
    assert_eq!((effects.expiring, shown(&stream)), (vec![], (0, 0, 4, 3)));
}

#[test]
fn an_id_counts_within_the_window_also_when_its_message_is_gone() {
    let limits = Limits { duplicate_window_ns: 10, ..Limits::default() };
    let mut stream = stream(Storage::File, limits);
    let with_id = Message { msg_id: b"id", ..message(Storage::File, b"a", b"") };
    let mut at = |time_ns| {
        let effects = stream.apply(&Entry::Store(Message { time_ns, ..with_id }));
        stream.apply(&Entry::Remove { seq: 1 });
        effects.outcome
    };
    assert_eq!(at(100), Outcome::Stored { seq: 1 });
    assert_eq!(at(109), Outcome::Duplicate { seq: 1 });
    assert_eq!(at(110), Outcome::Stored { seq: 2 });
    let passed = stream.apply(&Entry::Pass { time_ns: 112, msg_id: b"id" });
    assert_eq!(passed.outcome, Outcome::Duplicate { seq: 2 });
    let passed = stream.apply(&Entry::Pass { time_ns: 112, msg_id: b"other" });
    assert_eq!((passed.outcome, shown(&stream).3), (Outcome::Stored { seq: 3 }, 3));
    stream.apply(&Entry::Expire { now_ns: 121 });
    assert_eq!(stream.remembered_ids(), 1);
}

#[test]
fn the_oldest_ids_are_forgotten_rather_than_fill_the_memory() {
    let mut ids = Duplicates::new(0, 10_000);
    ids.set_window(1_000_000);
    for number in 0..10_000_u64 {
        ids.add(format!("id-{number}").as_bytes(), number, number);
    }
    assert!((50..200).contains(&ids.count()), "{} are held", ids.count());
    assert_eq!(ids.find(b"id-9999", 10_000), Some(9999));
    assert_eq!(ids.find(b"id-100", 10_000), None);
}

#[test]
fn memory_is_given_back_when_messages_go() {
    let mut stream = stream(Storage::Memory, Limits::default());
    let payload = |number: u64| vec![number as u8; 20 + number as usize % 7];
    for number in 1..=4000 {
        assert_eq!(
            publish(&mut stream, &format!("a.{}", number % 5), &payload(number)),
            Ok(number)
        );
    }
    let full_bytes = stream.held_bytes();
    for seq in (1..=4000).filter(|seq| seq % 10 != 0) {
        stream.apply(&Entry::Remove { seq });
    }
    assert!(stream.held_bytes() * 4 < full_bytes, "{} of {full_bytes}", stream.held_bytes());
    for seq in (10..=4000).step_by(10) {
        let payload = payload(seq);
        let held = Content::Held { headers: b"", payload: &payload };
        assert_eq!(stream.get(seq).map(|stored| stored.content), Some(held));
    }
    for seq in (10..=4000).step_by(10) {
        stream.apply(&Entry::Remove { seq });
    }
    assert_eq!((stream.held_bytes(), shown(&stream)), (0, (0, 0, 4001, 4000)));
}

#[test]
fn deadlines_of_messages_that_are_gone_do_not_gather() {
    let limits = Limits { msgs_per_subject_max: 1, ..Limits::default() };
    let mut stream = stream(Storage::File, limits);
    for time_ns in 0..1000 {
        assert!(publish_at(&mut stream, time_ns, Lifetime::Ttl { ttl_ns: 1_000_000 }).is_ok());
    }
    assert!(stream.deadlines.held() < 10, "{} are held", stream.deadlines.held());
    assert_eq!(stream.apply(&Entry::Expire { now_ns: 1_000_999 }).removed.ranges, [1000..=1000]);
}

#[test]
fn what_no_stream_can_hold_is_refused() {
    let mut stream = stream(Storage::File, Limits::default());
    let body = Body::Placed { header_bytes: 0, payload_bytes: u32::MAX, place: 0 };
    let huge = Message { body, ..message(Storage::File, b"a", b"") };
    let refused = Err(Refusal::MessageTooLarge);
    assert_eq!(sequence(&stream.apply(&Entry::Store(huge))), refused);
    assert_eq!(publish(&mut stream, &"a".repeat(1 << 20), b""), refused);
    assert_eq!(publish(&mut stream, &"a".repeat((1 << 20) - 1), b""), Ok(1));
}

#[test]
fn the_last_sequence_is_followed_by_none() {
    let mut stream = six(Storage::File);
    assert_eq!(purge(&mut stream, b"", u64::MAX, 0), 6);
    assert_eq!(shown(&stream), (0, 0, u64::MAX, SEQUENCE_MAX));
    assert_eq!(publish(&mut stream, "a", b""), Err(Refusal::NoSequenceLeft));
    stream.apply(&Entry::Skip { last_seq: u64::MAX, time_ns: 0 });
    assert_eq!(stream.state().last_seq, SEQUENCE_MAX);
    let mut stream = six(Storage::File);
    stream.apply(&Entry::Skip { last_seq: SEQUENCE_MAX - 1, time_ns: 0 });
    assert_eq!(publish(&mut stream, "a", b""), Ok(SEQUENCE_MAX));
    assert_eq!(publish(&mut stream, "a", b""), Err(Refusal::NoSequenceLeft));
    assert_eq!(stream.last_matching(b"a").map(|last| last.seq), Some(SEQUENCE_MAX));
    assert_eq!(stream.deleted(10), [7..=SEQUENCE_MAX - 1]);
}
