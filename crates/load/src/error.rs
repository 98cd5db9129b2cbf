//! What can go wrong in a run; each names what was met.

use std::fmt;
use std::io;

/// Why a run has no result.
#[derive(Debug)]
pub(crate) enum LoadError {
    /// The command line asks for what is not there.
    Usage(String),
    /// A system call failed.
    Io {
        /// What was being done.
        doing: String,
        /// What the system said.
        source: io::Error,
    },
    /// The server sent what it should not have.
    Server(String),
    /// Deliveries stopped coming.
    Missing {
        /// Deliveries that never came, with the connections they were for.
        missing: Vec<(usize, u64)>,
        /// Deliveries that were due in all.
        due: u64,
        /// How long nothing had come (seconds).
        silent_s: f64,
    },
}

impl LoadError {
    /// An I/O error with what was being done.
    pub(crate) fn io(doing: impl Into<String>, source: io::Error) -> Self {
        Self::Io { doing: doing.into(), source }
    }
}

/// Bytes from the server as they may stand in a message.
pub(crate) fn shown(bytes: &[u8]) -> String {
    bytes[..bytes.len().min(200)].escape_ascii().to_string().replace("\\'", "'")
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(problem) | Self::Server(problem) => f.write_str(problem),
            // What the system calls "temporarily unavailable" is a timeout that ran out.
            Self::Io { doing, source } if source.kind() == io::ErrorKind::WouldBlock => {
                write!(f, "{doing}: nothing happened in time")
            }
            Self::Io { doing, source } => write!(f, "{doing}: {source}"),
            Self::Missing { missing, due, silent_s } => {
                let total: u64 = missing.iter().map(|(_, count)| count).sum();
                write!(f, "{total} of {due} deliveries missing after {silent_s:.1} s of silence")?;
                let named = missing.iter().filter(|(_, count)| *count > 0).take(5);
                for (group, count) in named {
                    write!(f, "; subscriber {group}: {count}")?;
                }
                Ok(())
            }
        }
    }
}
