//! Pings, idleness and round-trip time of one connection. Time is an argument.

use std::time::{Duration, Instant};

use keelback_planted::{self as planted, Bug};

/// A client's first ping comes early, so that its round-trip time is known.
const FIRST_PING: Duration = Duration::from_secs(2);

/// A round-trip time older than this is measured anew.
const RTT_AGE_MAX: Duration = Duration::from_secs(3600);

/// Bookkeeping of pings.
pub struct Keepalive {
    /// When the connection was accepted.
    pub started: Instant,
    /// Last message, subscription change or PING from the peer.
    pub last_in: Instant,
    /// When the next look is due.
    pub next_look: Instant,
    /// The last round trip.
    pub rtt: Option<Duration>,
    /// When the last ping was sent. What CONNECT tells is an estimate and counts as none, so the
    /// first look pings a client that was active too, as in nats-server.
    rtt_started: Option<Instant>,
    pings_out: u32,
}

/// What a look came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// Nothing to do until the next look.
    Fine,
    /// Send PING.
    Ping,
    /// Too many pings went unanswered.
    Stale,
}

impl Keepalive {
    /// For a connection accepted now; the first look is one interval away unless CONNECT comes.
    pub fn new(now: Instant) -> Self {
        Self {
            started: now,
            last_in: now,
            next_look: now + Duration::from_secs(120),
            rtt: None,
            rtt_started: None,
            pings_out: 0,
        }
    }

    /// Sets the first look for a server with this interval.
    pub fn begin(&mut self, now: Instant, interval: Duration) {
        self.next_look = now + interval;
    }

    /// CONNECT came: the first ping is due soon. `jitter` is 0 to 255, up to a fifth.
    pub fn connected(&mut self, now: Instant, interval: Duration, jitter: u8) {
        self.rtt = Some(now.duration_since(self.started).max(Duration::from_nanos(1)));
        let first = interval.min(FIRST_PING);
        self.next_look = now + first + first / 5 * u32::from(jitter) / 255;
    }

    /// The peer answered a ping (or says so).
    pub fn pong(&mut self, now: Instant) {
        if !planted::is(Bug::PongIgnored) {
            self.pings_out = 0;
        }
        let started = self.rtt_started.unwrap_or(self.started);
        self.rtt = Some(now.duration_since(started).max(Duration::from_nanos(1)));
    }

    /// Whether a PING is to be sent because somebody wants to know the round-trip time: none is on
    /// its way, and the client is past its first words.
    pub fn measure(&mut self, now: Instant, is_greeted: bool) -> bool {
        let is_ready = is_greeted || now.duration_since(self.started) > FIRST_PING;
        let must_ask = self.rtt.is_none() && self.pings_out == 0 && is_ready;
        if must_ask {
            self.pings_out = 1;
            self.rtt_started = Some(now);
        }
        must_ask
    }

    /// The time for a look came.
    pub fn look(&mut self, now: Instant, interval: Duration, pings_max: u32) -> Look {
        self.next_look = now + interval;
        let is_old = |started| now.duration_since(started) > RTT_AGE_MAX;
        let needs_rtt = self.rtt.is_none() || self.rtt_started.is_none_or(is_old);
        if now.duration_since(self.last_in) < interval && !needs_rtt {
            return Look::Fine;
        }
        if self.pings_out + 1 > pings_max {
            return Look::Stale;
        }
        self.pings_out += 1;
        self.rtt_started = Some(now);
        Look::Ping
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_secs(10);

    #[test]
    fn a_silent_peer_is_pinged_then_stale() {
        let start = Instant::now();
        let mut keepalive = Keepalive::new(start);
        keepalive.begin(start, INTERVAL);
        let looks: Vec<Look> =
            (1..=3).map(|tick| keepalive.look(start + INTERVAL * tick, INTERVAL, 2)).collect();
        assert_eq!(looks, [Look::Ping, Look::Ping, Look::Stale]);
    }

    #[test]
    fn a_pong_resets_the_count() {
        let start = Instant::now();
        let mut keepalive = Keepalive::new(start);
        assert_eq!(keepalive.look(start + INTERVAL, INTERVAL, 1), Look::Ping);
        keepalive.pong(start + INTERVAL);
        assert_eq!(keepalive.look(start + INTERVAL * 2, INTERVAL, 1), Look::Ping);
        assert_eq!(keepalive.look(start + INTERVAL * 3, INTERVAL, 1), Look::Stale);
    }

    #[test]
    fn an_active_peer_is_pinged_once_and_then_left_alone() {
        let start = Instant::now();
        let mut keepalive = Keepalive::new(start);
        keepalive.connected(start, INTERVAL, 0);
        assert_eq!(keepalive.next_look, start + FIRST_PING);
        assert_eq!(keepalive.look(start + FIRST_PING, INTERVAL, 2), Look::Ping);
        keepalive.pong(start + FIRST_PING);
        keepalive.last_in = start + INTERVAL;
        assert_eq!(keepalive.look(start + INTERVAL, INTERVAL, 2), Look::Fine);
    }
}
