//! Random entries on a stream and on the plain model: after each, every question is answered alike.

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;

use super::super::*;
use super::model::{Model, is_match};

const SUBJECTS: [&[u8]; 9] =
    [b"a.1", b"a.2", b"a.22", b"a.x.1", b"b.1", b"b.2", b"b.x.1", b"c", b"kv.0.z"];

const FILTERS: [&[u8]; 12] = [
    b"", b">", b"a.*", b"*.1", b"a.>", b"*.x.1", b"b.1", b"c", b"none", b"none.*", b"a.2",
    b"kv.*.z",
];

/// An entry, but for its time and its place in the stream.
#[derive(Clone, Debug)]
enum Step {
    Store {
        subject: usize,
        bytes: (u8, u8),
        lifetime: u64,
        rollup: u8,
        id: u8,
        is_marker: bool,
    },
    /// Many of one size, spread over subjects.
    Burst {
        count: usize,
        stride: usize,
        payload_bytes: u8,
    },
    /// All or none; of a stream in memory, where bodies are held.
    Batch(Vec<(usize, u8, u8, u8)>),
    Pass {
        id: u8,
    },
    Skip {
        count: u64,
    },
    Remove {
        offset: u64,
    },
    Purge {
        filter: usize,
        below: Option<u64>,
        keep: u64,
    },
    Expire {
        later_ns: u64,
    },
    Limit(Limits),
    /// What comes next is in another segment.
    Segment,
    /// Messages that are not asked for go, but for those of every so many segments.
    Cool {
        keep_every: usize,
    },
}

fn limits() -> impl Strategy<Value = Limits> {
    let some = |range: std::ops::Range<u64>| prop_oneof![2 => Just(0), 1 => range];
    let discard = prop_oneof![
        3 => Just(Discard::Old), 1 => Just(Discard::New), 1 => Just(Discard::NewPerSubject)
    ];
    let counts = (some(1..60), some(1..3000), some(1..8));
    (counts, some(1..120), discard, some(1..60), any::<bool>()).prop_map(
        |(counts, age_max_ns, discard, duplicate_window_ns, marks_expiry)| Limits {
            msgs_max: counts.0,
            bytes_max: counts.1,
            msgs_per_subject_max: counts.2,
            age_max_ns,
            discard,
            duplicate_window_ns,
            marks_expiry,
            packs: false,
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    let store = (0..SUBJECTS.len(), (0_u8..3, 0_u8..90), 0_u64..60, 0_u8..20, 0_u8..12, 0_u8..4);
    prop_oneof![
        10 => store.prop_map(|(subject, bytes, lifetime, rollup, id, marker)| Step::Store {
            subject, bytes, lifetime, rollup, id, is_marker: marker == 0,
        }),
        3 => (1_usize..40, 1_usize..9, any::<u8>()).prop_map(|(count, stride, payload_bytes)| {
            Step::Burst { count, stride, payload_bytes }
        }),
        2 => prop::collection::vec((0..SUBJECTS.len(), 0_u8..60, 0_u8..20, 0_u8..40), 1..6)
            .prop_map(Step::Batch),
        1 => (0_u8..8).prop_map(|id| Step::Pass { id }),
        1 => prop_oneof![1_u64..5, Just(1 << 33)].prop_map(|count| Step::Skip { count }),
        8 => (0_u64..80).prop_map(|offset| Step::Remove { offset }),
        1 => (0..FILTERS.len(), prop::option::of(0_u64..60), 0_u64..4)
            .prop_map(|(filter, below, keep)| Step::Purge { filter, below, keep }),
        3 => (0_u64..40).prop_map(|later_ns| Step::Expire { later_ns }),
        1 => limits().prop_map(Step::Limit),
        3 => Just(Step::Segment),
        3 => (1_usize..5).prop_map(|keep_every| Step::Cool { keep_every }),
    ]
}

/// A stream and its model, which are driven together.
struct Pair {
    stream: Stream,
    model: Model,
    now_ns: u64,
    places: u64,
    /// Where segments begin.
    begins: Vec<u64>,
}

/// Messages that are not in the stream for a while.
struct Shelf(Vec<(Vec<u8>, super::super::Kept)>);

impl Source for Shelf {
    fn load(&self) -> Result<Loaded, String> {
        let mut loaded = Loaded::default();
        for (number, (subject, kept)) in self.0.iter().enumerate() {
            // Each once, but in no order.
            let known = loaded.subjects.iter().position(|text| **text == **subject);
            let id = known.unwrap_or_else(|| {
                loaded.subjects.push(subject.as_slice().into());
                loaded.subjects.len() - 1
            });
            assert!(number == 0 || loaded.messages[number - 1].0.sequence < kept.sequence);
            loaded.messages.push((*kept, id as u32));
        }
        Ok(loaded)
    }
}

impl Pair {
    fn new(storage: Storage, first_seq: u64, limits: Limits, hash_seed: u64) -> Self {
        Self {
            stream: Stream::new(storage, first_seq, limits, hash_seed),
            model: Model::new(storage, first_seq, limits),
            now_ns: 1000,
            places: 0,
            begins: Vec::new(),
        }
    }

    fn run(&mut self, step: &Step, passed_ns: i64) -> TestCaseResult {
        // A clock may be set back.
        self.now_ns = self.now_ns.saturating_add_signed(passed_ns);
        let time_ns = self.now_ns;
        match *step {
            Step::Store { subject, bytes, lifetime, rollup, id, is_marker } => {
                let (headers, payload) = (vec![b'h'; bytes.0.into()], vec![id; bytes.1.into()]);
                let lifetime = match lifetime {
                    0..30 => Lifetime::Limits,
                    30..35 => Lifetime::Never,
                    ttl_ns => Lifetime::Ttl { ttl_ns },
                };
                let rollup = match rollup {
                    0 => Rollup::All,
                    1 | 2 => Rollup::Subject,
                    _ => Rollup::None,
                };
                let body = self.body(&headers, &payload);
                let subject = SUBJECTS[subject];
                let msg_id = id_of(&id);
                self.apply(&Entry::Store(Message {
                    subject,
                    body,
                    time_ns,
                    lifetime,
                    rollup,
                    msg_id,
                    conditions: Conditions::default(),
                    is_marker,
                    purges: if bytes.1 % 13 == 5 { SUBJECTS[id as usize % 9] } else { b"" },
                }))
            }
            Step::Burst { count, stride, payload_bytes } => {
                for number in 0..count {
                    let payload = vec![number as u8; payload_bytes.into()];
                    let body = self.body(&[], &payload);
                    let subject = SUBJECTS[number * stride % SUBJECTS.len()];
                    self.apply(&Entry::Store(message(subject, body, time_ns)))?;
                }
                Ok(())
            }
            Step::Batch(ref messages) => self.apply_batch(messages),
            Step::Pass { id } => self.apply(&Entry::Pass { time_ns, msg_id: id_of(&id) }),
            Step::Skip { count } => {
                self.apply(&Entry::Skip { last_seq: self.model.last_seq + count, time_ns })
            }
            Step::Remove { offset } => {
                self.apply(&Entry::Remove { seq: self.model.first_seq() + offset })
            }
            Step::Purge { filter, below, keep } => {
                let below_seq = below.map_or(0, |offset| self.model.first_seq() + offset);
                self.apply(&Entry::Purge(Purge { filter: FILTERS[filter], below_seq, keep }))
            }
            Step::Expire { later_ns } => self.apply(&Entry::Expire { now_ns: time_ns + later_ns }),
            Step::Limit(limits) => self.apply(&Entry::Limit(limits)),
            Step::Segment => {
                self.begin_segment();
                Ok(())
            }
            Step::Cool { keep_every } => {
                self.cool(keep_every);
                Ok(())
            }
        }
    }

    /// A stream in memory has no segments.
    fn begin_segment(&mut self) {
        let first_seq = self.model.last_seq + 1;
        if self.model.storage == Storage::File && self.begins.last() != Some(&first_seq) {
            self.stream.begin_span(first_seq);
            self.begins.push(first_seq);
        }
    }

    fn cool(&mut self, keep_every: usize) {
        // A segment that is written to stays.
        self.begin_segment();
        self.stream.sweep();
        for (at, first_seq) in self.stream.sweep().into_iter().enumerate() {
            if (at + 1) % keep_every != 0 {
                let next = self.begins.iter().find(|begin| **begin > first_seq);
                let end = next.copied().unwrap_or(u64::MAX);
                let messages = self.model.messages.range(first_seq..end);
                let kept = messages.map(|(&seq, kept)| kept.on_shelf(seq)).collect();
                assert!(self.stream.cool(first_seq, || Box::new(Shelf(kept))));
            }
        }
    }

    fn apply_batch(&mut self, messages: &[(usize, u8, u8, u8)]) -> TestCaseResult {
        if self.model.storage == Storage::File {
            return Ok(());
        }
        let mut text = BatchText::default();
        for (subject, bytes, rollup, id) in messages {
            let rollup = match rollup {
                0 => Rollup::All,
                1 | 2 => Rollup::Subject,
                _ => Rollup::None,
            };
            let payload = vec![*id; usize::from(*bytes)];
            let body = Body::Held { headers: b"", payload: &payload };
            let message = message(SUBJECTS[*subject], body, self.now_ns);
            text.push(&Message { rollup, msg_id: id_of(id), ..message });
        }
        self.apply(&Entry::Batch(text.batch()))
    }

    fn body<'a>(&mut self, headers: &'a [u8], payload: &'a [u8]) -> Body<'a> {
        match self.model.storage {
            Storage::Memory => Body::Held { headers, payload },
            Storage::File => {
                self.places = self.places.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
                let (header_bytes, payload_bytes) = (headers.len() as u32, payload.len() as u32);
                Body::Placed { header_bytes, payload_bytes, place: self.places }
            }
        }
    }

    fn apply(&mut self, entry: &Entry<'_>) -> TestCaseResult {
        let bytes_before = self.model.bytes();
        let effects = self.stream.apply(entry);
        let (outcome, removed, expiring) = self.model.apply(entry);
        prop_assert_eq!(&effects.outcome, &outcome, "{:?}", entry);
        prop_assert_eq!(&effects.expiring, &expiring, "{:?}", entry);
        let stored_bytes = match (entry, &outcome) {
            (Entry::Store(message), Outcome::Stored { .. }) => {
                self.model.storage.message_bytes(message.subject, &message.body)
            }
            (Entry::Batch(batch), Outcome::Stored { .. }) => {
                let size = |it: Message<'_>| Storage::Memory.message_bytes(it.subject, &it.body);
                batch.iter().map(size).sum()
            }
            _ => 0,
        };
        let gone_bytes = bytes_before + stored_bytes - self.model.bytes();
        prop_assert_eq!(effects.removed.bytes, gone_bytes);
        self.check_removed(&effects.removed, &removed)
    }

    fn check_removed(&self, told: &Removed, removed: &BTreeSet<u64>) -> TestCaseResult {
        prop_assert_eq!(told.messages, removed.len() as u64);
        let is_told = |seq: &u64| told.ranges.iter().any(|range| range.contains(seq));
        prop_assert!(removed.iter().all(is_told), "{:?} of {:?}", told, removed);
        prop_assert!(!self.model.messages.keys().any(is_told), "{:?}", told);
        prop_assert!(told.ranges.iter().all(|range| removed.range(range.clone()).next().is_some()));
        prop_assert!(told.ranges.is_sorted_by(|one, next| *one.end() + 1 < *next.start()));
        Ok(())
    }

    fn check(&mut self) -> TestCaseResult {
        self.check_state()?;
        self.check_sequences()?;
        for filter in FILTERS {
            self.check_filter(filter)?;
        }
        self.check_last_of_each()
    }

    fn check_state(&mut self) -> TestCaseResult {
        let (stream, model) = (&mut self.stream, &self.model);
        let count = model.messages.len() as u64;
        let texts: BTreeSet<_> = model.messages.values().map(|kept| &kept.subject).collect();
        let span = if count == 0 { 0 } else { model.last_seq - model.first_seq() + 1 };
        let state = State {
            messages: count,
            bytes: model.bytes(),
            first_seq: model.first_seq(),
            first_time_ns: model.messages.values().next().map(|kept| kept.time_ns),
            last_seq: model.last_seq,
            last_time_ns: model.last_time_ns,
            subjects: texts.len() as u64,
            deleted: span - count,
        };
        prop_assert_eq!(stream.state(), state);
        let deleted = stream.deleted(usize::MAX);
        prop_assert_eq!(
            deleted.iter().map(|gap| gap.end() - gap.start() + 1).sum::<u64>(),
            span - count
        );
        prop_assert!(!model.messages.keys().any(|seq| deleted.iter().any(|gap| gap.contains(seq))));
        prop_assert_eq!(&stream.deleted(2)[..], &deleted[..deleted.len().min(2)]);
        if let Some(due_ns) = model.due_ns() {
            prop_assert!(stream.next_expiry_ns().is_some_and(|next_ns| next_ns <= due_ns));
        }
        for id in 0..8 {
            let expected = model.duplicate(id_of(&id), self.now_ns);
            let found = stream.duplicate_of(id_of(&id), self.now_ns);
            prop_assert_eq!(found.map(|seq| Outcome::Duplicate { seq }), expected);
        }
        Ok(())
    }

    fn check_sequences(&mut self) -> TestCaseResult {
        let (stream, model) = (&mut self.stream, &self.model);
        for seq in interesting(model) {
            let expected = model.messages.get(&seq).map(|kept| Stored {
                seq,
                subject: &kept.subject,
                time_ns: kept.time_ns,
                bytes: kept.bytes,
                content: match model.storage {
                    Storage::File => Content::Placed(kept.place),
                    Storage::Memory => {
                        Content::Held { headers: &kept.headers, payload: &kept.payload }
                    }
                },
            });
            prop_assert_eq!(stream.get(seq), expected);
        }
        for back_ns in 0..40 {
            let time_ns = self.now_ns + 3 - back_ns;
            let first = model.messages.iter().find(|(_, kept)| kept.time_ns >= time_ns);
            let expected = first.map_or(model.last_seq + 1, |(&seq, _)| seq);
            prop_assert_eq!(stream.seq_at(time_ns), expected);
        }
        Ok(())
    }

    fn check_filter(&mut self, filter: &[u8]) -> TestCaseResult {
        let (stream, model) = (&mut self.stream, &self.model);
        let all = model.of(filter);
        prop_assert_eq!(stream.last_matching(filter).map(|found| found.seq), all.last().copied());
        let mut counts: std::collections::BTreeMap<&[u8], u64> = std::collections::BTreeMap::new();
        for kept in model.messages.values().filter(|kept| is_match(filter, &kept.subject)) {
            *counts.entry(&kept.subject).or_default() += 1;
        }
        prop_assert!(stream.subjects_matching(filter).eq(counts));
        for seq in interesting(model) {
            let at = all.partition_point(|&other| other < seq);
            let next = stream.next_matching(filter, seq).map(|found| found.seq);
            prop_assert_eq!(next, all.get(at).copied(), "{:?} from {}", filter, seq);
            prop_assert_eq!(stream.count_from(filter, seq), (all.len() - at) as u64);
        }
        Ok(())
    }

    fn check_last_of_each(&mut self) -> TestCaseResult {
        let filters: [&[&[u8]]; 4] = [&[b">"], &[b"a.*", b"*.1"], &[b"b.1", b"none"], &[]];
        for filters in filters {
            for up_to_seq in interesting(&self.model) {
                let mut last = std::collections::BTreeMap::new();
                for (&seq, kept) in self.model.messages.range(..=up_to_seq) {
                    if filters.iter().any(|filter| is_match(filter, &kept.subject)) {
                        last.insert(&kept.subject, seq);
                    }
                }
                let mut expected: Vec<u64> = last.into_values().collect();
                expected.sort_unstable();
                let limited = if expected.len() > 2 { Err(TooMany) } else { Ok(expected.clone()) };
                prop_assert_eq!(self.stream.last_of_each(filters, up_to_seq, 2), limited);
                let all = self.stream.last_of_each(filters, up_to_seq, 100);
                prop_assert_eq!(all, Ok(expected));
            }
        }
        Ok(())
    }
}

/// Sequences to ask for: around some of the messages, and both ends.
fn interesting(model: &Model) -> BTreeSet<u64> {
    let some = model.messages.keys().step_by((model.messages.len() / 8).max(1));
    let ends = [0, model.first_seq(), model.last_seq];
    some.copied().chain(ends).flat_map(|seq| seq.saturating_sub(1)..=seq + 1).collect()
}

/// Some messages have no id.
fn id_of(id: &u8) -> &[u8] {
    if *id < 6 { std::slice::from_ref(id) } else { &[] }
}

fn message<'a>(subject: &'a [u8], body: Body<'a>, time_ns: u64) -> Message<'a> {
    Message {
        subject,
        body,
        time_ns,
        lifetime: Lifetime::Limits,
        rollup: Rollup::None,
        msg_id: b"",
        conditions: Conditions::default(),
        is_marker: false,
        purges: b"",
    }
}

fn steps() -> impl Strategy<Value = Vec<(Step, i64)>> {
    prop::collection::vec((step(), -1_i64..6), 1..60)
}

fn storage() -> impl Strategy<Value = Storage> {
    prop_oneof![Just(Storage::File), Just(Storage::Memory)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn a_stream_answers_as_the_model_does(
        storage in storage(),
        first_seq in prop_oneof![Just(0_u64), Just(1), 2..50_u64],
        limits in limits(),
        steps in steps(),
    ) {
        // Two machines that differ in what must not be seen.
        let mut one = Pair::new(storage, first_seq, limits, 1);
        one.begin_segment();
        for (number, (step, passed_ns)) in steps.iter().enumerate() {
            one.run(step, *passed_ns)?;
            // Looking at everything has everything here: so not each time.
            match number % 4 {
                0 => one.check_state()?,
                1 => one.check_filter(FILTERS[number % FILTERS.len()])?,
                2 => one.check_last_of_each()?,
                _ => one.check()?,
            }
            prop_assert_eq!(one.stream.take_failure(), None);
        }
        let mut other = Pair::new(storage, first_seq, limits, 2);
        for (step, passed_ns) in &steps {
            other.run(step, *passed_ns)?;
        }
        prop_assert_eq!(one.stream.state(), other.stream.state());
        prop_assert!(one.stream.messages_from(0).eq(other.stream.messages_from(0)));
    }
}
