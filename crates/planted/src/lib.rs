//! Known bugs that can be switched on, so that the tests can be tested: `make planted`.
//!
//! Without the feature `planted` the question [`is`] is a constant `false`, and the optimizer
//! leaves nothing of a bug. With it, the environment variable `KEELBACK_PLANTED` names the one
//! bug of this process.
#![forbid(unsafe_code)]

/// Declares the bugs once: as an enum, and as a list to look names up in.
macro_rules! bugs {
    ($($(#[doc = $doc:literal])+ $name:ident,)+) => {
        /// The bugs. `tools/planted.py` reads their names and sentences from here.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Bug {
            $($(#[doc = $doc])+ $name,)+
        }

        #[cfg(feature = "planted")]
        const ALL: &[Bug] = &[$(Bug::$name,)+];
    };
}

bugs! {
    /// Every 64th flush of a connection is dropped.
    FlushLost,
    /// `a.>` matches `a`.
    TailMatchesNothing,
    /// `a.*` matches `a.b.c`.
    StarMatchesMore,
    /// Bytes that the transport took stay counted as pending.
    PendingKept,
    /// A SUB with a wildcard leaves cached match results current.
    BumpMissedBySubscribe,
    /// An UNSUB leaves cached match results current.
    BumpMissedByUnsubscribe,
    /// The match cache takes one account's result for another's.
    CacheIgnoresAccount,
    /// A message whose last byte comes with the next read is taken as whole.
    SplitReadOffByOne,
    /// A payload one byte over the limit is taken.
    PayloadLimitOffByOne,
    /// A control line one byte over the limit is taken.
    ControlLineLimitOffByOne,
    /// Always the first member of a queue group gets the message.
    QueueUnfair,
    /// Every member of a queue group gets the message.
    QueueDeliversToAll,
    /// A subscription ends one message after its maximum.
    MaxOffByOne,
    /// Own messages come back although CONNECT said that they must not.
    EchoIgnored,
    /// Deny rules with wildcards do not hold for publishing.
    WildcardDenyIgnored,
    /// A permission to answer never expires.
    ResponseNeverExpires,
    /// Clients without headers read the size that the message had with them.
    StrippedSizeWrong,
    /// A request that was delivered is answered with 503 too.
    FalseNoResponders,
    /// A PONG does not take back the pings that were counted.
    PongIgnored,
    /// A closed connection's subscriptions stay in its account.
    CloseKeepsSubscriptions,
    /// A commit answers before its bytes are on stable storage.
    AcknowledgedBeforeSync,
    /// Bodies in the log are not checked when they are read.
    BodyUnchecked,
    /// A log file is written to again after a write to it has failed.
    FailedFileTrusted,
    /// Of a torn last batch the entries that are whole are taken.
    TornBatchKept,
    /// The new name of a log file is not put on stable storage.
    NameNotSynced,
    /// A log file's successor does not say where it ends.
    EndForgotten,
    /// A log file that still holds what is needed is given up.
    TrimmedTooFar,
    /// Submissions that come while a commit runs are answered with it.
    AnsweredWithEarlierCommit,
    /// Bodies in a segment are not checked when they are read.
    RecordUnchecked,
    /// The index of a segment is not checked when it is read.
    IndexUnchecked,
    /// What was never synced in a segment is taken as well.
    ExtentIgnored,
    /// A checkpoint promises segments that it did not sync.
    SegmentNotSynced,
    /// A stream goes on with a segment whose sync failed.
    FailedSegmentTrusted,
    /// What was removed from the midst of a segment is there again when it is opened.
    RemovedComesBack,
    /// Message ids that records carry are forgotten when a stream is opened.
    IdsForgotten,
    /// A subject whose last message is removed still names it as the last.
    SubjectKeepsRemovedLast,
    /// A purge below a sequence takes the message with that sequence too.
    PurgeTakesOneMore,
    /// A message that never expires goes by its age.
    NeverExpiresIgnored,
    /// A message whose chunk of memory is given up is looked for where it was.
    MovedMessageLost,
}

/// Whether this process has this bug: never, without the feature.
#[cfg(not(feature = "planted"))]
#[inline]
pub const fn is(_: Bug) -> bool {
    false
}

/// Whether it is this process's bug.
///
/// # Panics
/// `KEELBACK_PLANTED` names no bug.
#[cfg(feature = "planted")]
pub fn is(bug: Bug) -> bool {
    use std::sync::OnceLock;

    static CHOSEN: OnceLock<Option<Bug>> = OnceLock::new();
    let chosen = CHOSEN.get_or_init(|| {
        let name = std::env::var("KEELBACK_PLANTED").unwrap_or_default();
        let found = ALL.iter().copied().find(|bug| format!("{bug:?}") == name);
        assert!(found.is_some() || name.is_empty(), "KEELBACK_PLANTED: there is no bug {name}");
        found
    });
    *chosen == Some(bug)
}

/// Whether it is this process's bug and this is one of every `count` times that it could show.
#[cfg(not(feature = "planted"))]
#[inline]
pub const fn is_every(_: Bug, _: u64) -> bool {
    false
}

/// Whether it is this process's bug and this is one of every `count` times that it could show.
#[cfg(feature = "planted")]
pub fn is_every(bug: Bug, count: u64) -> bool {
    use std::sync::atomic::{AtomicU64, Ordering};

    static TIMES: AtomicU64 = AtomicU64::new(0);
    is(bug) && TIMES.fetch_add(1, Ordering::Relaxed) % count == count - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_the_feature_there_is_no_bug() {
        // Evaluated by the compiler: nothing is left to ask at run time.
        #[cfg(not(feature = "planted"))]
        const {
            assert!(!is(Bug::FlushLost) && !is_every(Bug::FlushLost, 1));
        }
    }

    #[cfg(feature = "planted")]
    #[test]
    fn every_bug_has_a_name_of_its_own() {
        let mut names: Vec<_> = ALL.iter().map(|bug| format!("{bug:?}")).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), ALL.len());
    }
}
