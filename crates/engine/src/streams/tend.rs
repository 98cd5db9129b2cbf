//! What is done to streams from time to time: what is too old goes, what waits is written, and the log
//! is trimmed.

use std::sync::Arc;

use keelback_jetstream::publish;
use keelback_store::disk::Disk;
use keelback_store::log::Position;
use keelback_store::meta::Reach;
use keelback_store::stream::{Body, Conditions, Entry, Lifetime, Message, Rollup};

use super::Streams;
use super::running::{Kept, Running};
use crate::lock;
use crate::log::Level;

const NS_PER_S: u64 = 1_000_000_000;

/// Without an entry for so long the log is trimmed though it is short.
const IDLE_NS: u64 = 5_000_000_000;

/// On a full disk it is tried so often to have room again.
const FULL_NS: u64 = 500_000_000;

/// Messages in files that nobody asked for twice as long need not be in memory.
const IDLE_MESSAGES_NS: u64 = 10_000_000_000;

/// More are left to the next time: a stream must not keep the others waiting.
const COMPACTIONS_A_TURN: usize = 8;

/// What was done so far.
#[derive(Default)]
pub(super) struct Tended {
    /// What the log held when it was last looked at, and since when.
    applied: Position,
    since_ns: u64,
    /// What it held when it was last trimmed.
    trimmed: Position,
    /// When the disk was full it was last trimmed then.
    made_room_ns: u64,
    /// When messages that nobody asks for were last looked for.
    swept_ns: u64,
}

impl<D: Disk + Clone> Streams<D> {
    /// Does what is due at this time. Called by one thread, a few times a second.
    pub fn tend(&self, now_ns: u64) {
        let sweeps = self.sweeps(now_ns);
        for running in self.all() {
            self.expire(&running, now_ns);
            self.look_after(&running, sweeps);
            self.fire_due(&running, now_ns);
            running.give_up_batches(&self.hub, now_ns);
            running.forget_due_fast(now_ns);
        }
        let is_full = self.with_committer(|committer| {
            committer.sync();
            committer.is_full()
        });
        if is_full == Some(false) {
            self.note_room();
        }
        if self.must_trim(now_ns, is_full == Some(true)) {
            self.trim(false);
        }
    }

    /// Whether the log has grown by a file since the last checkpoint, or nothing was added to it for a
    /// while and it holds something; on a full disk, each time.
    fn must_trim(&self, now_ns: u64, is_full: bool) -> bool {
        let applied = *lock(&self.applied);
        let mut tended = lock(&self.tended);
        if tended.applied != applied {
            (tended.applied, tended.since_ns) = (applied, now_ns);
        }
        let is_idle = now_ns.saturating_sub(tended.since_ns) >= IDLE_NS;
        let is_due = is_full && now_ns.saturating_sub(tended.made_room_ns) >= FULL_NS;
        let has_grown = applied.file > tended.trimmed.file;
        let must = has_grown || is_due || (is_idle && applied > tended.trimmed);
        if must {
            tended.trimmed = applied;
            tended.made_room_ns = now_ns;
        }
        must
    }

    /// Whether it is time to look for messages that nobody asks for.
    fn sweeps(&self, now_ns: u64) -> bool {
        let mut tended = lock(&self.tended);
        let is_due = now_ns.saturating_sub(tended.swept_ns) >= IDLE_MESSAGES_NS;
        if is_due {
            tended.swept_ns = now_ns;
        }
        is_due
    }

    /// Tells of damage that was found since, and lets messages go that nobody asks for.
    fn look_after(&self, running: &Running<D>, sweeps: bool) {
        let (damage, idle, rests) = match &mut *running.kept() {
            Kept::Memory(_) => return,
            Kept::Files(files) => {
                let idle = if sweeps { files.durable.sweep() } else { Vec::new() };
                (files.durable.take_damage(), idle, sweeps && files.durable.has_unsealed())
            }
        };
        if rests {
            self.checkpoint(running, false);
        }
        for damage in damage {
            self.note_damage(format!("{}: {damage}", running.name));
        }
        for first_seq in idle {
            // One segment at a time: messages go on.
            if let Kept::Files(files) = &mut *running.kept() {
                files.durable.cool(first_seq);
            }
        }
    }

    fn expire(&self, running: &Arc<Running<D>>, now_ns: u64) {
        let is_due = running.kept().stream().next_expiry_ns().is_some_and(|due| due <= now_ns);
        if is_due {
            // What cannot be removed now is tried again.
            let effects = self.ask(running, &Entry::Expire { now_ns });
            for seq in effects.map(|effects| effects.expiring).unwrap_or_default() {
                self.mark_expiry(running, seq, now_ns);
            }
        }
    }

    /// Puts a marker in the place of a message that is due, the last of its subject.
    fn mark_expiry(&self, running: &Arc<Running<D>>, seq: u64, now_ns: u64) {
        let found =
            running.kept().ask(|stream| stream.get(seq).map(|stored| stored.subject.to_vec()));
        let Ok(Some(subject)) = found else { return };
        let ttl_s = running.policy().marker_ttl_s;
        let headers = publish::marker_headers(ttl_s);
        let marker = Message {
            subject: &subject,
            body: Body::Held { headers: &headers, payload: b"" },
            time_ns: now_ns,
            lifetime: Lifetime::Ttl { ttl_ns: ttl_s.saturating_mul(NS_PER_S) },
            rollup: Rollup::Subject,
            msg_id: b"",
            conditions: Conditions { last_subject_seq: Some(seq), ..Conditions::default() },
            is_marker: true,
            purges: b"",
        };
        // One that came meanwhile is the last of its subject now; else it is tried again.
        let _ = self.ask(running, &Entry::Store(marker));
    }

    /// Writes checkpoints, so that the log is not needed for what they hold. Those that are the last
    /// make the next start quicker.
    pub(super) fn trim(&self, is_closing: bool) {
        let mut needed = *lock(&self.applied);
        let mut has_room = true;
        for running in self.all() {
            let (from, is_written) = self.checkpoint(&running, is_closing);
            has_room &= is_written;
            needed = from.map_or(needed, |from| needed.min(from));
        }
        let mut meta = lock(&self.meta);
        let applied = *lock(&self.applied);
        if !self.may_trim {
            return;
        }
        let saved = meta.save(Reach { applied, needed });
        drop(meta);
        let needed = match saved {
            Ok(needed) => needed,
            Err(error) => {
                if error.is_full() {
                    self.note_full();
                    return;
                }
                let problem = format!("JetStream: which streams there are is not written: {error}");
                self.hub.log.write(Level::Error, &problem);
                return;
            }
        };
        self.with_committer(|committer| {
            committer.trim(needed);
            if has_room {
                committer.look_for_room();
            }
        });
    }

    /// Writes segments anew of which most was removed; says whether it did. The next checkpoint lets
    /// go of the old ones.
    fn compact(&self, running: &Running<D>) -> bool {
        let mut is_done = false;
        for _ in 0..COMPACTIONS_A_TURN {
            let begun = match &mut *running.kept() {
                Kept::Files(files) if !files.durable.is_given_up() => {
                    files.durable.begin_compaction()
                }
                _ => return is_done,
            };
            let result = match begun {
                Ok(None) => return is_done,
                Err(failure) => Err(failure),
                // Without the lock: messages go on.
                Ok(Some(compaction)) => {
                    let written = compaction.run();
                    match &mut *running.kept() {
                        Kept::Files(files) => files.durable.finish_compaction(written),
                        Kept::Memory(_) => return is_done,
                    }
                }
            };
            if let Err(failure) = result {
                let name = &running.name;
                let problem =
                    format!("JetStream: what {name:?} removed keeps its place on disk: {failure}");
                self.hub.log.write(Level::Warn, &problem);
                return is_done;
            }
            is_done = true;
        }
        is_done
    }

    /// Writes a checkpoint of a stream that changed; gives what the log is still needed from, and
    /// whether the disk had room for it.
    fn checkpoint(&self, running: &Running<D>, is_closing: bool) -> (Option<Position>, bool) {
        let _writing = lock(&running.writing);
        let mut has_room = self.write(running, is_closing);
        if !is_closing && self.compact(running) {
            has_room &= self.write(running, false);
        }
        let kept = running.kept();
        if let Some(why) = running.note_failure(&kept) {
            self.tell_failure(running, why);
        }
        match &*kept {
            Kept::Files(files) => (files.is_dirty().then_some(files.checkpointed), has_room),
            Kept::Memory(_) => (None, has_room),
        }
    }

    /// Says whether the disk had room for it.
    fn write(&self, running: &Running<D>, is_closing: bool) -> bool {
        let begun = match &mut *running.kept() {
            Kept::Files(files)
                if files.is_dirty()
                    || files.durable.has_obsolete()
                    || files.durable.has_unsealed() =>
            {
                files.durable.begin_checkpoint(is_closing)
            }
            _ => return true,
        };
        // Without the lock: messages go on.
        let result = begun.and_then(|checkpoint| {
            let done = checkpoint.run();
            match &mut *running.kept() {
                Kept::Files(files) => {
                    files.checkpointed = files.durable.finish_checkpoint(done)?;
                    Ok(())
                }
                Kept::Memory(_) => Ok(()),
            }
        });
        let Err(failure) = result else { return true };
        if failure.is_full() {
            self.note_full();
            return false;
        }
        let name = &running.name;
        let problem = format!("JetStream: the stream {name:?} is not written: {failure}");
        self.hub.log.write(Level::Error, &problem);
        true
    }
}
