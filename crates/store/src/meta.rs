//! Which streams a store has: a state machine of its own in the log, as group 0.
//!
//! A stream is created, changed and deleted by entries of this group. Groups are never used twice,
//! so that entries of a stream that is gone belong to nobody.

use std::collections::BTreeMap;

use crate::bytes::{Fields, push_counted};
use crate::log::Position;
use crate::stream::Limits;

#[cfg(test)]
mod tests;

/// The group of these entries.
pub const GROUP: u32 = 0;

const PUT: u8 = 1;
const DROP: u8 = 2;

/// A stream, as the store remembers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamRecord {
    /// Its group in the log.
    pub group: u32,
    /// Whose it is.
    pub account: String,
    /// Its name.
    pub name: String,
    /// Since 1970.
    pub created_ns: u64,
    /// Its first message gets this sequence.
    pub first_seq: u64,
    /// Its limits when it was created or last changed.
    pub limits: Limits,
    /// What whoever made it wants to remember: its configuration.
    pub config: Vec<u8>,
}

/// A change of the streams.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// There is this stream, in the place of one of its group.
    Put(StreamRecord),
    /// The stream of this group is gone.
    Drop(u32),
}

/// What of the log a manifest has, and what is needed of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// All changes of streams before it are in the manifest.
    pub applied: Position,
    /// Nothing before it is needed: all streams have it.
    pub needed: Position,
}

/// The streams of a store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Meta {
    streams: BTreeMap<u32, StreamRecord>,
    /// The highest group ever given.
    last_group: u32,
}

impl Change {
    /// As the body of an entry.
    pub fn encode(&self) -> Vec<u8> {
        let mut body = Vec::new();
        match self {
            Self::Put(record) => {
                body.push(PUT);
                record.encode(&mut body);
            }
            Self::Drop(group) => {
                body.push(DROP);
                body.extend_from_slice(&group.to_le_bytes());
            }
        }
        body
    }

    /// Reads the body of an entry; `None` for what `encode` never writes.
    pub fn decode(body: &[u8]) -> Option<Self> {
        let mut fields = Fields(body);
        let change = match fields.u8()? {
            PUT => Self::Put(StreamRecord::decode(&mut fields)?),
            DROP => Self::Drop(fields.u32()?),
            _ => return None,
        };
        fields.is_at_end().then_some(change)
    }
}

impl StreamRecord {
    fn encode(&self, to: &mut Vec<u8>) {
        to.extend_from_slice(&self.group.to_le_bytes());
        to.extend_from_slice(&self.created_ns.to_le_bytes());
        to.extend_from_slice(&self.first_seq.to_le_bytes());
        self.limits.encode(to);
        for text in [self.account.as_bytes(), self.name.as_bytes(), &self.config] {
            push_counted(to, text);
        }
    }

    fn decode(fields: &mut Fields<'_>) -> Option<Self> {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).ok();
        Some(Self {
            group: fields.u32()?,
            created_ns: fields.u64()?,
            first_seq: fields.u64()?,
            limits: Limits::decode(fields)?,
            account: text(fields.counted()?)?,
            name: text(fields.counted()?)?,
            config: fields.counted()?.to_vec(),
        })
    }
}

impl Meta {
    /// A group for a stream that is to be created.
    pub fn next_group(&mut self) -> u32 {
        self.last_group += 1;
        self.last_group
    }

    /// Applies a change.
    pub fn apply(&mut self, change: Change) {
        match change {
            Change::Put(record) => {
                self.last_group = self.last_group.max(record.group);
                self.streams.insert(record.group, record);
            }
            Change::Drop(group) => {
                self.last_group = self.last_group.max(group);
                self.streams.remove(&group);
            }
        }
    }

    /// The stream of this group.
    pub fn stream(&self, group: u32) -> Option<&StreamRecord> {
        self.streams.get(&group)
    }

    /// The streams, in the order in which they were created.
    pub fn streams(&self) -> impl Iterator<Item = &StreamRecord> {
        self.streams.values()
    }

    /// As the content of a manifest.
    pub fn encode(&self, reach: Reach) -> Vec<u8> {
        let mut content = Vec::new();
        for position in [reach.applied, reach.needed] {
            content.extend_from_slice(&position.file.to_le_bytes());
            content.extend_from_slice(&position.offset.to_le_bytes());
        }
        content.extend_from_slice(&self.last_group.to_le_bytes());
        content.extend_from_slice(&(self.streams.len() as u32).to_le_bytes());
        for record in self.streams.values() {
            record.encode(&mut content);
        }
        content
    }

    /// Reads the content of a manifest; `None` for what `encode` never writes.
    pub fn decode(content: &[u8]) -> Option<(Self, Reach)> {
        let mut fields = Fields(content);
        let mut position = || Some(Position { file: fields.u64()?, offset: fields.u64()? });
        let reach = Reach { applied: position()?, needed: position()? };
        let mut meta = Self { streams: BTreeMap::new(), last_group: fields.u32()? };
        for _ in 0..fields.u32()? {
            let record = StreamRecord::decode(&mut fields)?;
            if record.group > meta.last_group {
                return None;
            }
            meta.streams.insert(record.group, record);
        }
        fields.is_at_end().then_some((meta, reach))
    }
}
