//! A stream with the bounds that it ships with: many messages beside a plain map.

use std::collections::BTreeMap;

use keelback_store::stream::{
    Body, Conditions, Content, Entry, Lifetime, Limits, Message, Outcome, Purge, Rollup, Storage,
    Stream,
};

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

#[test]
fn many_messages_are_found_again_however_they_are_removed() {
    let mut stream = Stream::new(Storage::Memory, 0, Limits::default(), 5);
    let mut plain = BTreeMap::new();
    for number in 0..60_000_u64 {
        let subject = format!("a.{}.{}", mixed(number) % 3, mixed(number * 7) % 900);
        let payload = vec![number as u8; 10 + (mixed(number) % 50) as usize];
        let body = Body::Held { headers: b"", payload: &payload };
        let seq = store(&mut stream, subject.as_bytes(), body, number);
        plain.insert(seq, (subject, payload));
        // Two go for three that come: first some anywhere, later the oldest.
        if number % 3 > 0 {
            let anywhere = 1 + mixed(number) % (number + 1);
            let seq = if number < 40_000 { anywhere } else { stream.state().first_seq };
            assert_eq!(
                stream.apply(&Entry::Remove { seq }).removed.messages > 0,
                plain.remove(&seq).is_some()
            );
        }
    }
    let held = stream.messages_from(0).map(|stored| (stored.seq, stored.subject, stored.content));
    assert!(held.eq(plain.iter().map(|(&seq, (subject, payload))| {
        (seq, subject.as_bytes(), Content::Held { headers: b"".as_slice(), payload })
    })));
    for filter in ["a.1.>", "a.*.17", "a.2.5", "a.>"] {
        let matches = |text: &str| match filter {
            "a.*.17" => text.ends_with(".17"),
            "a.2.5" => text == filter,
            _ => text.starts_with(filter.trim_end_matches('>')),
        };
        let found: Vec<u64> =
            plain.iter().filter(|(_, (text, _))| matches(text)).map(|(&seq, _)| seq).collect();
        for from in (0..60_000).step_by(997) {
            let at = found.partition_point(|&seq| seq < from);
            let next = stream.next_matching(filter.as_bytes(), from).map(|next| next.seq);
            assert_eq!(next, found.get(at).copied(), "{filter} from {from}");
            assert_eq!(stream.count_from(filter.as_bytes(), from), (found.len() - at) as u64);
        }
        let purge = Purge { filter: filter.as_bytes(), ..Purge::default() };
        assert_eq!(stream.apply(&Entry::Purge(purge)).removed.messages, found.len() as u64);
        plain.retain(|_, (text, _)| !matches(text));
        assert_eq!(stream.state().messages, plain.len() as u64);
    }
    assert_eq!((stream.state().messages, stream.state().subjects, stream.held_bytes()), (0, 0, 0));
}
