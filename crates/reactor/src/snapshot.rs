//! What monitoring asks of the threads: who is subscribed to what, what their caches hold. Each
//! answers in pieces, one a turn, so that no message waits for long; whoever asks waits for a
//! second at most.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use keelback_engine::page::{Page, Query, SubscriptionInfo};
use keelback_engine::subscription::SubRef;
use keelback_engine::worker::CacheCount;

use crate::command::Command;
use crate::reactor::Reactor;
use crate::slot::Stage;
use crate::thread::{Thread, index_of};

/// Places of subscription tables that a thread looks at in one turn: a few hundred microseconds.
const PLACES_AT_ONCE: usize = 2048;
/// What it costs to find a client, in such places.
const PLACES_PER_CLIENT: usize = 8;
/// Sets of a match cache that a thread looks at in one turn.
const CACHE_SETS_AT_ONCE: usize = 1024;
/// Subscriptions listed in one page of connections.
const LISTED_MAX: usize = 1 << 20;
/// How long whoever asks waits for all threads together.
const PATIENCE: Duration = Duration::from_secs(1);

/// Asks one thread for the subscriptions of some of its clients.
pub struct Listing {
    clients: Vec<u64>,
    /// Where it goes on: a client, and a place in its table.
    client: usize,
    place: usize,
    reply: Sender<Vec<SubRef>>,
}

/// Asks one thread what its match cache holds.
pub struct CacheCounting {
    account: Option<u32>,
    first_set: usize,
    count: CacheCount,
    reply: Sender<CacheCount>,
}

/// What an account's sublist, or all of them, went through.
#[derive(Clone, Copy, Debug, Default)]
pub struct SublistStats {
    /// Subscriptions.
    pub subscriptions: u64,
    /// Subscriptions ever made.
    pub inserts: u64,
    /// Subscriptions ever ended.
    pub removes: u64,
    /// Match results ever asked for.
    pub lookups: u64,
    /// Those that a cache had.
    pub hits: u64,
    /// What caches hold now.
    pub cache: CacheCount,
}

impl Reactor {
    /// A page of connections, at `now_ns` since 1970. Where a thread does not answer in time,
    /// subscriptions are missing.
    pub fn connection_page(&self, query: &Query, now_ns: u64) -> Page {
        let mut page = self.hub().connection_page(query, now_ns);
        if query.subscriptions {
            self.list_subscriptions(&mut page);
        }
        page
    }

    fn list_subscriptions(&self, page: &mut Page) {
        let mut of_thread: Vec<Vec<u64>> = vec![Vec::new(); self.hub().threads];
        // Ascending, so that what a thread tells is found by search.
        let mut places = Vec::new();
        for (place, info) in page.connections.iter().enumerate() {
            if info.stop_ns == 0
                && info.subscriptions > 0
                && let Some(connection) = self.hub().connection(info.cid)
            {
                of_thread[connection.owner.load(Ordering::Acquire)].push(info.cid);
                places.push((info.cid, place));
            }
        }
        places.sort_unstable();
        let (reply, answers) = channel();
        for (thread, clients) in of_thread.into_iter().enumerate() {
            if !clients.is_empty() {
                let listing = Listing { clients, client: 0, place: 0, reply: reply.clone() };
                self.send_to(thread, Command::List(Box::new(listing)));
            }
        }
        drop(reply);
        let mut left = LISTED_MAX;
        for sub in all_answers(&answers).flatten() {
            let found = places.binary_search_by_key(&sub.connection.id, |&(cid, _)| cid);
            let Ok(at) = found else { continue };
            let info = &mut page.connections[places[at].1];
            let account = match info.subscription_list.first() {
                Some(first) => first.account.clone(),
                None => Arc::from(info.account()),
            };
            info.subscription_list.push(SubscriptionInfo::of(&sub, &account));
            left -= 1;
            if left == 0 {
                break;
            }
        }
        for info in &mut page.connections {
            // Sids are numbers, mostly.
            info.subscription_list
                .sort_by(|a, b| (a.sid.len(), &a.sid).cmp(&(b.sid.len(), &b.sid)));
        }
    }

    /// What the sublist of an account went through, or all of them when there is no name.
    pub fn sublist_stats(&self, account: &str) -> SublistStats {
        let mut accounts = self.hub().accounts();
        accounts.retain(|each| account.is_empty() || each.name == account);
        let mut stats = SublistStats::default();
        if accounts.is_empty() {
            return stats;
        }
        for account in &accounts {
            let sublist = account.sublist();
            let (inserts, removes) = sublist.changes();
            stats.subscriptions += sublist.len() as u64;
            drop(sublist);
            let (lookups, hits) = account.lookups();
            stats.inserts += inserts;
            stats.removes += removes;
            stats.lookups += lookups;
            stats.hits += hits;
        }
        let account = (!account.is_empty()).then(|| accounts[0].id);
        let (reply, answers) = channel();
        for thread in 0..self.threads() {
            let (count, reply) = (CacheCount::default(), reply.clone());
            let counting = CacheCounting { account, first_set: 0, count, reply };
            self.send_to(thread, Command::CountCache(Box::new(counting)));
        }
        drop(reply);
        for count in all_answers(&answers) {
            stats.cache.entries += count.entries;
            stats.cache.fanout_sum += count.fanout_sum;
            stats.cache.fanout_max = stats.cache.fanout_max.max(count.fanout_max);
        }
        stats
    }

    /// Sends a PING to each client that said what library it uses and whose round-trip time is not
    /// known.
    pub fn measure(&self) {
        for connection in self.hub().connections() {
            if connection.rtt_ns.load(Ordering::Relaxed) == 0
                && connection.identity().is_some_and(|identity| !identity.lang().is_empty())
            {
                let owner = connection.owner.load(Ordering::Acquire);
                self.send_to(owner, Command::Measure(connection.id));
            }
        }
    }
}

/// What threads tell, until the last has told all, or patience ends.
fn all_answers<T>(answers: &Receiver<T>) -> impl Iterator<Item = T> {
    let until = Instant::now() + PATIENCE;
    std::iter::from_fn(move || {
        answers.recv_timeout(until.saturating_duration_since(Instant::now())).ok()
    })
}

impl Thread {
    /// Tells a piece of what is asked, and leaves the rest to the next turn.
    pub(crate) fn list(&mut self, mut listing: Box<Listing>) {
        let (mut left, mut found) = (PLACES_AT_ONCE, Vec::new());
        while left > PLACES_PER_CLIENT
            && let Some(&id) = listing.clients.get(listing.client)
        {
            left -= PLACES_PER_CLIENT;
            let from = listing.place;
            let key = self.key_of(id);
            let client = key.map(|key| &self.slots[index_of(key)].client);
            let has_more = client.is_some_and(|client| {
                client.scan(&mut listing.place, left, |sub| found.push(sub.clone()))
            });
            left -= (listing.place - from).min(left);
            if !has_more {
                listing.client += 1;
                listing.place = 0;
            }
        }
        let is_wanted = listing.reply.send(found).is_ok();
        if is_wanted && listing.client < listing.clients.len() {
            self.mailbox.send(Command::List(listing));
        }
    }

    /// As [`Self::list`].
    pub(crate) fn count_cache(&mut self, mut counting: Box<CacheCounting>) {
        let CacheCounting { account, first_set, ref mut count, .. } = *counting;
        if self.worker.count_cache(account, first_set, CACHE_SETS_AT_ONCE, count) {
            counting.first_set += CACHE_SETS_AT_ONCE;
            self.mailbox.send(Command::CountCache(counting));
        } else {
            // Whoever asked may have lost patience.
            let _ = counting.reply.send(counting.count);
        }
    }

    pub(crate) fn measure(&mut self, id: u64) {
        let now = self.worker.now;
        let Some(key) = self.key_of(id) else { return };
        let Some(slot) = self.slot(key).filter(|slot| slot.stage == Stage::Open) else { return };
        let is_greeted = slot.client.is_greeted;
        if slot.client.keepalive.measure(now, is_greeted) {
            let connection = slot.client.connection.clone();
            self.worker.reply(&connection, b"PING\r\n");
        }
    }
}
