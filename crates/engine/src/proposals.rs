//! What a thread proposes to streams in one turn: entries for the log, and whom to answer.

use std::sync::Arc;
use std::sync::mpsc::SyncSender;

use keelback_store::log::Entries;
use keelback_store::stream::Effects;

use crate::worker::Worker;

/// Takes proposals.
pub trait Proposer: Send + Sync {
    /// Has them committed, applied and answered.
    fn propose(&self, proposals: Proposals);
}

/// Entries, and who wants to know what became of each.
#[derive(Default)]
pub struct Proposals {
    /// For the log.
    pub entries: Entries,
    /// One an entry.
    pub origins: Vec<Origin>,
    /// Subjects of answers, one behind the other.
    pub replies: Vec<u8>,
    /// They make room, or are small: a full disk is no reason to refuse them.
    pub is_vital: bool,
}

/// Who proposed an entry.
#[derive(Debug)]
pub enum Origin {
    /// A publisher, who is answered at so many bytes of `replies`; at none, not at all.
    Publisher {
        /// The length of its reply subject.
        reply_bytes: u32,
    },
    /// A thread that waits.
    Caller(SyncSender<Applied>),
}

/// What came of a caller's entry, or why the disk refused it.
pub type Applied = Result<Effects, String>;

impl Worker {
    /// The proposals of this turn, which go to `proposer`.
    pub fn proposals(&mut self, proposer: &Arc<dyn Proposer>) -> &mut Proposals {
        let is_same = self.proposer.as_ref().is_some_and(|own| Arc::ptr_eq(own, proposer));
        if !is_same {
            self.propose();
            self.proposer = Some(proposer.clone());
        }
        &mut self.proposed
    }

    /// Hands over what was proposed: the end of a turn.
    pub fn propose(&mut self) {
        if self.proposed.origins.is_empty() {
            return;
        }
        if std::mem::take(&mut self.answers_first) {
            self.flush(&[]);
        }
        let proposals = std::mem::take(&mut self.proposed);
        // Kept until the next turn it would keep the files open of streams that have ended.
        if let Some(proposer) = self.proposer.take() {
            proposer.propose(proposals);
        }
    }
}
