//! Streams in a store beside plain models: what was acknowledged is there after power cuts and
//! failures at every call, and every message reads back.

use std::collections::BTreeMap;
use std::io;

use proptest::prelude::*;

use super::*;
use crate::disk::faulty::{Dice, Faults, FaultyDisk};
use crate::stream::{
    Body, Conditions, Content, Entry as StreamEntry, Lifetime, Limits, Message, Purge, Rollup,
    Storage, Stream, encode,
};

const OPTIONS: Options = Options {
    log_file_bytes: 16 << 10,
    log_spares: 1,
    is_lazy: false,
    drawn: 77,
    segment_bytes: 16 << 10,
    waiting_bytes_max: 1 << 20,
};

const STREAMS: usize = 2;

/// What is done to the store.
#[derive(Clone, Debug)]
enum Step {
    Store { stream: usize, subject: u8, bytes: u16, id: u8, lifetime: u8, rollup: u8 },
    Remove { stream: usize, back: u64 },
    Purge { stream: usize, subject: u8, keep: u64 },
    Expire { stream: usize },
    Limit { stream: usize, msgs_max: u64 },
    Checkpoint,
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let stream = 0..STREAMS;
    let store = (stream.clone(), 0_u8..6, 0_u16..900, 0_u8..9, 0_u8..8, 0_u8..30);
    prop_oneof![
        24 => store.prop_map(|(stream, subject, bytes, id, lifetime, rollup)| Step::Store {
            stream, subject, bytes, id, lifetime, rollup
        }),
        4 => (stream.clone(), 0_u64..20).prop_map(|(stream, back)| Step::Remove { stream, back }),
        2 => (stream.clone(), 0_u8..6, 0_u64..3)
            .prop_map(|(stream, subject, keep)| Step::Purge { stream, subject, keep }),
        1 => stream.clone().prop_map(|stream| Step::Expire { stream }),
        1 => (stream, 5_u64..60).prop_map(|(stream, msgs_max)| Step::Limit { stream, msgs_max }),
        3 => Just(Step::Checkpoint),
        1 => Just(Step::Reopen),
    ]
}

/// A stream that keeps bodies in a list.
struct Plain {
    stream: Stream,
    /// Headers and payloads.
    bodies: Vec<[Vec<u8>; 2]>,
}

impl Default for Plain {
    fn default() -> Self {
        Self { stream: Stream::new(Storage::File, 0, limits(), 0), bodies: Vec::new() }
    }
}

/// What was acknowledged, by group.
#[derive(Default)]
struct Model(BTreeMap<u32, Plain>);

fn limits() -> Limits {
    Limits { msgs_max: 50, age_max_ns: 400, duplicate_window_ns: 60, ..Limits::default() }
}

impl Model {
    fn apply(&mut self, group: u32, entry: &StreamEntry<'_>) {
        let Plain { stream, bodies } = self.0.entry(group).or_default();
        if let StreamEntry::Store(message) = entry
            && let Body::Held { headers, payload } = message.body
        {
            bodies.push([headers.to_vec(), payload.to_vec()]);
            let body = Body::Placed {
                header_bytes: headers.len() as u32,
                payload_bytes: payload.len() as u32,
                place: bodies.len() as u64 - 1,
            };
            stream.apply(&StreamEntry::Store(Message { body, ..*message }));
        } else {
            stream.apply(entry);
        }
    }
}

/// A store with its committed entries, as a server drives it.
struct Driven {
    store: Store<FaultyDisk>,
    /// By group, what the log is not needed for.
    checkpointed: BTreeMap<u32, Position>,
    now_ns: u64,
}

impl Driven {
    fn open(disk: &FaultyDisk, now_ns: u64) -> Result<Self, StoreError> {
        let mut store = Store::open(disk, &OPTIONS)?;
        let mut checkpointed = std::mem::take(&mut store.checkpointed);
        while store.may_trim && store.streams.len() < STREAMS {
            let group = store.meta.meta.next_group();
            let record = StreamRecord {
                group,
                account: "$G".to_owned(),
                name: format!("S{group}"),
                created_ns: 1,
                first_seq: 0,
                limits: limits(),
                config: Vec::new(),
            };
            let change = Change::Put(record.clone());
            let config = config_of(&store.root, group, &OPTIONS);
            let folder = folder_of(group);
            // What an earlier life left, before the change was safe, belongs to nobody.
            let made = Durable::remove_folder(disk, &folder).and_then(|()| {
                Durable::create(disk.clone(), &folder, config, store.log.end(), 0, limits())
            });
            let stream = made.map_err(of_stream(&record))?;
            store.log.append(meta::GROUP, &change.encode()).map_err(StoreError::Log)?;
            store.log.commit().map_err(StoreError::Log)?;
            store.meta.apply(change);
            store.streams.insert(group, stream);
            checkpointed.insert(group, store.log.end());
        }
        Ok(Self { store, checkpointed, now_ns })
    }

    /// Does a step; true for an entry that was acknowledged.
    fn act(&mut self, step: &Step, model: &mut Model, maybe: &mut Option<(u32, Vec<u8>)>) -> bool {
        self.now_ns += 3;
        let time_ns = self.now_ns;
        let group_of = |stream: usize| stream as u32 + 1;
        let (subject, headers, payload);
        let (group, entry) = match *step {
            Step::Store { stream, subject: number, bytes, id, lifetime, rollup } => {
                subject = format!("s.{number}").into_bytes();
                headers = if id < 4 { format!("id:{id}").into_bytes() } else { Vec::new() };
                payload = vec![number; usize::from(bytes)];
                let message = Message {
                    subject: &subject,
                    body: Body::Held { headers: &headers, payload: &payload },
                    time_ns,
                    lifetime: match lifetime {
                        0 => Lifetime::Ttl { ttl_ns: 1_000_000_000 },
                        1 => Lifetime::Never,
                        _ => Lifetime::Limits,
                    },
                    rollup: if rollup == 0 { Rollup::Subject } else { Rollup::None },
                    msg_id: headers.strip_prefix(b"id:").unwrap_or_default(),
                    conditions: Conditions::default(),
                    is_marker: false,
                    purges: b"",
                };
                (group_of(stream), StreamEntry::Store(message))
            }
            Step::Remove { stream, back } => {
                let last = self.store.streams[&group_of(stream)].state().state().last_seq;
                (group_of(stream), StreamEntry::Remove { seq: last.saturating_sub(back) })
            }
            Step::Purge { stream, subject: number, keep } => {
                subject = format!("s.{number}").into_bytes();
                let purge = Purge { filter: &subject, below_seq: 0, keep };
                (group_of(stream), StreamEntry::Purge(purge))
            }
            Step::Expire { stream } => (group_of(stream), StreamEntry::Expire { now_ns: time_ns }),
            Step::Limit { stream, msgs_max } => {
                (group_of(stream), StreamEntry::Limit(Limits { msgs_max, ..limits() }))
            }
            Step::Checkpoint => {
                self.checkpoint();
                return false;
            }
            Step::Reopen => return false,
        };
        let mut body = Vec::new();
        encode(&mut body, &entry);
        *maybe = Some((group, body.clone()));
        if self.store.log.append(group, &body).is_err() || self.store.log.commit().is_err() {
            return false;
        }
        *maybe = None;
        let behind = self.store.log.end();
        if let Some(stream) = self.store.streams.get_mut(&group) {
            if stream.apply(behind, &entry).is_err() {
                *maybe = Some((group, body));
                return false;
            }
            let _ = stream.flush();
        }
        model.apply(group, &entry);
        true
    }

    fn checkpoint(&mut self) {
        let applied = self.store.log.end();
        let mut needed = applied;
        for (&group, stream) in &mut self.store.streams {
            if let Ok(checkpoint) = stream.begin_checkpoint(false) {
                let done = checkpoint.run();
                if let Ok(safe) = stream.finish_checkpoint(done) {
                    self.checkpointed.insert(group, safe);
                }
            }
            let safe = self.checkpointed.get(&group).copied().unwrap_or_default();
            if stream.is_given_up() || stream.applied() > safe {
                needed = needed.min(safe);
            }
        }
        if let Ok(needed) = self.store.meta.save(Reach { applied, needed }) {
            let _ = self.store.log.trim(needed);
        }
    }

    /// What differs from the model.
    fn differs(&mut self, model: &mut Model) -> Option<String> {
        for (group, stream) in &mut self.store.streams {
            if stream.is_given_up() {
                // What a failed sync dropped is in the log, and found when it is opened again.
                continue;
            }
            let mut nothing = Plain::default();
            let Plain { stream: plain, bodies } = model.0.get_mut(group).unwrap_or(&mut nothing);
            let (found, expected) = (stream.state().state(), plain.state());
            if found != expected {
                return Some(format!("stream {group}: {found:?}, not {expected:?}"));
            }
            if stream.state().limits() != plain.limits() {
                return Some(format!("stream {group}: other limits"));
            }
            for message in plain.messages_from(0) {
                let Content::Placed(place) = message.content else { continue };
                let [headers, payload] = &bodies[place as usize];
                match stream.read(message.seq) {
                    Ok(Some(stored)) => {
                        let record = stored.record();
                        let is_same = record.subject == message.subject
                            && record.headers == *headers
                            && record.payload == *payload
                            && record.time_ns == message.time_ns;
                        if !is_same {
                            return Some(format!(
                                "stream {group}: another message {}",
                                message.seq
                            ));
                        }
                    }
                    other => return Some(format!("stream {group}: {} is {other:?}", message.seq)),
                }
            }
            for id in [&b"0"[..], b"1", b"2", b"3"] {
                let now_ns = self.now_ns;
                let (found, expected) =
                    (stream.duplicate_of(id, now_ns).ok(), plain.duplicate_of(id, now_ns));
                if found != Some(expected) {
                    return Some(format!(
                        "stream {group}: id {id:?} is {found:?}, not {expected:?}"
                    ));
                }
            }
        }
        None
    }
}

/// What a run left.
struct Left {
    model: Model,
    /// An entry that was not acknowledged, and may be there all the same: group and body.
    maybe: Option<(u32, Vec<u8>)>,
    now_ns: u64,
}

/// Runs steps on a disk, up to one that fails; `None` when not even the store could be made.
fn run(disk: &FaultyDisk, steps: &[Step]) -> Option<Left> {
    let mut model = Model::default();
    let mut driven = Driven::open(disk, 0).ok()?;
    if !driven.store.may_trim {
        return None;
    }
    for step in steps {
        let now_ns = driven.now_ns;
        if matches!(step, Step::Reopen) {
            drop(driven);
            let Ok(opened) = Driven::open(disk, now_ns) else {
                return Some(Left { model, maybe: None, now_ns });
            };
            driven = opened;
            let is_hurt = driven.store.streams.values().any(Durable::is_given_up);
            if is_hurt || !driven.store.may_trim {
                return Some(Left { model, maybe: None, now_ns });
            }
            assert_eq!(driven.differs(&mut model), None, "after a restart");
            continue;
        }
        let mut maybe = None;
        let done = driven.act(step, &mut model, &mut maybe);
        if !done && maybe.is_some() {
            return Some(Left { model, maybe, now_ns: driven.now_ns });
        }
    }
    assert_eq!(driven.differs(&mut model), None, "while it runs");
    Some(Left { model, maybe: None, now_ns: driven.now_ns })
}

/// Opens what is on the disk, and compares it.
fn check(disk: &FaultyDisk, left: Left) {
    let Left { mut model, maybe, now_ns } = left;
    let mut driven = match Driven::open(disk, now_ns) {
        Ok(driven) => driven,
        Err(error) => panic!("it does not open: {error}"),
    };
    assert_eq!(driven.store.damage, Vec::<String>::new());
    let difference = driven.differs(&mut model);
    if difference.is_some()
        && let Some((group, body)) = maybe
        && let Some(entry) = crate::stream::decode(&body)
    {
        model.apply(group, &entry);
        assert_eq!(driven.differs(&mut model), None);
    } else {
        assert_eq!(difference, None);
    }
}

fn steps(count: usize) -> impl Strategy<Value = Vec<Step>> {
    proptest::collection::vec(step(), 1..count)
}

fn cases(short: u32, long: u32) -> ProptestConfig {
    let is_soak = std::env::var_os("KEELBACK_SOAK").is_some();
    let asked = std::env::var("PROPTEST_CASES").ok().and_then(|text| text.parse().ok());
    ProptestConfig::with_cases(if is_soak { asked.unwrap_or(long) } else { short })
}

proptest! {
    #![proptest_config(cases(60, 5_000))]

    #[test]
    fn a_store_is_what_it_was_after_restarts(steps in steps(160)) {
        let disk = FaultyDisk::default();
        if let Some(left) = run(&disk, &steps) {
            check(&disk, left);
        }
    }

    #[test]
    fn what_was_acknowledged_survives_a_power_cut_anywhere(
        steps in steps(120), at in 0_u64..700, seed in any::<u64>(),
    ) {
        let faults = Faults { power_off_at: Some(at), ..Faults::default() };
        let disk = FaultyDisk::new(faults);
        if let Some(left) = run(&disk, &steps) {
            check(&disk.after_power_cut(&mut Dice::new(seed)), left);
        }
    }

    #[test]
    fn nothing_acknowledged_is_lost_when_a_call_fails(
        steps in steps(120), at in 0_u64..700, seed in any::<u64>(), is_full in any::<bool>(),
    ) {
        let kind = if is_full { io::ErrorKind::StorageFull } else { io::ErrorKind::Other };
        let fail_at = BTreeMap::from([(at, kind)]);
        let disk = FaultyDisk::new(Faults { fail_at, ..Faults::default() });
        if let Some(left) = run(&disk, &steps) {
            check(&disk.after_power_cut(&mut Dice::new(seed)), left);
        }
    }
}
