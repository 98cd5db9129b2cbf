//! Pages of connections, and accounts: what monitoring reads. Everything here runs on the thread
//! that asks; of locks that message threads take, each is held for a moment only.

use std::cmp::Reverse;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use foldhash::{HashMap, HashSet};
use keelback_interest::{Cursor, Matched};

use crate::account::Account;
use crate::closed::ClosedConnection;
use crate::connection::{Connection, Kind};
use crate::hub::{GLOBAL_ACCOUNT, Hub};
use crate::identity::{Encryption, Identity};
use crate::lock;
use crate::subscription::SubRef;

/// Subscriptions read under one hold of a sublist's lock.
const SCANNED_AT_ONCE: usize = 1024;

/// Which connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Those that are there.
    Open,
    /// The last ones that are gone.
    Closed,
    /// Both.
    All,
}

/// By what a page is ordered; all but `Cid`, `Uptime` and `Reason` from the largest down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names of `/connz`")]
pub enum Sort {
    Cid,
    Subs,
    Pending,
    MsgsTo,
    MsgsFrom,
    BytesTo,
    BytesFrom,
    Last,
    Idle,
    Uptime,
    Rtt,
    Stop,
    Reason,
}

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Query {
    /// Which connections.
    pub state: State,
    /// In which order; equal ones by number, of those that are gone in the order of their end.
    pub sort: Sort,
    /// Where in that order the page begins.
    pub offset: usize,
    /// How many it has at most.
    pub limit: usize,
    /// This one only; 0 is any.
    pub cid: u64,
    /// Of this user only; empty is any.
    pub user: String,
    /// Of this account only; empty is any.
    pub account: String,
    /// Open ones with a subscription that meets this subject, which `account` must come with.
    pub filter_subject: String,
    /// With what they are subscribed to.
    pub subscriptions: bool,
}

/// A page, and how many connections there were before those of other users or subjects were left
/// out, as nats-server counts.
#[derive(Default)]
pub struct Page {
    /// How many.
    pub total: usize,
    /// The page.
    pub connections: Vec<ConnectionInfo>,
}

/// A connection at one moment.
pub struct ConnectionInfo {
    /// Its number.
    pub cid: u64,
    /// Its transport's kind.
    pub kind: Kind,
    /// Peer's address; empty for a pipe.
    pub ip: String,
    /// Peer's port.
    pub port: u16,
    /// Accepted (ns since 1970).
    pub start_ns: u64,
    /// Last message or change of interest.
    pub last_activity_ns: u64,
    /// Closed; 0 while it is open.
    pub stop_ns: u64,
    /// Why; empty while it is open.
    pub reason: &'static str,
    /// Round trip, 0 when unknown.
    pub rtt_ns: u64,
    /// Bytes that wait for it.
    pub pending_bytes: u64,
    /// As [`crate::connection::Counters::figures`].
    pub figures: [u64; 4],
    /// Times that a publisher waited for it.
    pub stalls: u32,
    /// Its subscriptions.
    pub subscriptions: u32,
    /// Who is behind it.
    pub identity: Option<Arc<Identity>>,
    /// How it is encrypted.
    pub encryption: Option<Encryption>,
    /// When asked for.
    pub subscription_list: Vec<SubscriptionInfo>,
}

/// A subscription at one moment.
#[derive(Clone, Debug)]
pub struct SubscriptionInfo {
    /// Its account.
    pub account: Arc<str>,
    /// What is subscribed to.
    pub subject: String,
    /// The queue group, or empty.
    pub queue: String,
    /// The client's name for it.
    pub sid: String,
    /// Messages delivered.
    pub msgs: u64,
    /// Its limit, 0 without.
    pub max: u64,
    /// Whose it is.
    pub connection: u64,
}

/// An account at one moment.
#[derive(Debug)]
pub struct AccountInfo {
    /// Its name.
    pub name: String,
    /// It is the system account.
    pub is_system: bool,
    /// Its connections.
    pub connections: u64,
    /// Its subscriptions.
    pub subscriptions: u64,
    /// As [`crate::connection::Counters::figures`], since start.
    pub figures: [u64; 4],
    /// Its connections that were cut off because they lagged.
    pub slow_consumers: u64,
}

/// A connection that may come on the page.
enum Candidate {
    Open(Arc<Connection>),
    Closed(Arc<ClosedConnection>),
}

impl Hub {
    /// A page of connections; `now_ns` since 1970.
    pub fn connection_page(&self, query: &Query, now_ns: u64) -> Page {
        if !query.account.is_empty() && self.account(&query.account).is_none() {
            return Page::default();
        }
        let (total, candidates) = self.candidates(query);
        let order = order(&candidates, query.sort, now_ns);
        let limit = if query.cid > 0 { 1 } else { query.limit };
        let page = order.into_iter().skip(query.offset).take(limit);
        let connections = page
            .map(|at| match &candidates[at] {
                Candidate::Open(connection) => ConnectionInfo::of(connection),
                Candidate::Closed(record) => ConnectionInfo::of_closed(record, query.subscriptions),
            })
            .collect();
        Page { total, connections }
    }

    fn candidates(&self, query: &Query) -> (usize, Vec<Candidate>) {
        let is_wanted = |identity: Option<&Arc<Identity>>| {
            query.account.is_empty() || account_name(identity) == query.account
        };
        let is_user = |identity: Option<&Arc<Identity>>| {
            query.user.is_empty() || identity.is_some_and(|it| it.raw_user() == query.user)
        };
        let (mut open, mut closed) = (Vec::new(), Vec::new());
        if query.state != State::Closed {
            open = self.connections();
            open.sort_unstable_by_key(|connection| connection.id);
        }
        if query.state != State::Open {
            closed = self.closed_connections();
        }
        if !query.account.is_empty() {
            open.retain(|connection| is_wanted(connection.identity().as_ref()));
            closed.retain(|record| is_wanted(record.identity.as_ref()));
        }
        let total = open.len() + closed.len();
        if query.cid > 0 {
            open = self.connection(query.cid).into_iter().collect();
            open.retain(|_| query.state != State::Closed);
            closed.retain(|record| open.is_empty() && record.id == query.cid);
        } else {
            open.retain(|connection| {
                query.user.is_empty() || is_user(connection.identity().as_ref())
            });
        }
        closed.retain(|record| is_user(record.identity.as_ref()));
        if let Some(account) = self.account(&query.account)
            && !matches!(query.filter_subject.as_str(), "" | ">")
        {
            let interested = account.interested(query.filter_subject.as_bytes());
            open.retain(|connection| interested.contains(&connection.id));
        }
        let open = open.into_iter().map(Candidate::Open);
        (total, open.chain(closed.into_iter().map(Candidate::Closed)).collect())
    }

    /// All accounts, by name, with what their connections did.
    pub fn account_page(&self) -> Vec<AccountInfo> {
        let mut live: HashMap<u32, (u64, [u64; 4])> = HashMap::default();
        let global = self.add_account(GLOBAL_ACCOUNT).id;
        for connection in self.connections() {
            let identity = connection.identity();
            let id = identity.as_ref().map_or(global, |identity| identity.account.id);
            let (count, sum) = live.entry(id).or_default();
            *count += 1;
            for (sum, figure) in sum.iter_mut().zip(connection.account_figures()) {
                *sum += figure;
            }
        }
        let mut accounts = self.accounts();
        accounts.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        let info = |account: Arc<Account>| {
            let (connections, mut figures) = live.get(&account.id).copied().unwrap_or_default();
            for (sum, figure) in figures.iter_mut().zip(account.gone.figures()) {
                *sum += figure;
            }
            AccountInfo {
                name: account.name.clone(),
                is_system: account.is_system(),
                connections,
                subscriptions: account.sublist().len() as u64,
                figures,
                slow_consumers: account.slow_consumers.load(Ordering::Relaxed),
            }
        };
        accounts.into_iter().map(info).collect()
    }

    /// A page of subscriptions of one account, or of all, and how many there are; with `test`,
    /// those whom a message on that subject reaches.
    pub fn subscription_page(
        &self,
        account: &str,
        test: &str,
        offset: usize,
        limit: usize,
    ) -> (usize, Vec<SubscriptionInfo>) {
        let mut accounts = self.accounts();
        accounts.retain(|each| account.is_empty() || each.name == account);
        accounts.sort_unstable_by_key(|account| account.id);
        let (mut total, mut page) = (0, Vec::new());
        for account in accounts {
            let skipped = offset.saturating_sub(total);
            let wanted = limit - page.len();
            let (count, found) = if test.is_empty() {
                account.some_subscriptions(skipped, wanted)
            } else {
                let found = account.matching(test.as_bytes());
                (found.len(), found.into_iter().skip(skipped).take(wanted).collect())
            };
            total += count;
            let name = Arc::<str>::from(account.name.as_str());
            page.extend(found.iter().map(|sub| SubscriptionInfo::of(sub, &name)));
        }
        (total, page)
    }
}

impl Account {
    /// Whom a message on `subject` reaches.
    fn matching(&self, subject: &[u8]) -> Vec<SubRef> {
        let mut matched = Matched::default();
        self.sublist().matches(subject, &mut matched);
        matched.plain.into_iter().chain(matched.queues.into_iter().flatten()).collect()
    }

    /// How many subscriptions there are, and `count` of them behind the first `skipped`.
    fn some_subscriptions(&self, mut skipped: usize, count: usize) -> (usize, Vec<SubRef>) {
        let total = self.sublist().len();
        let (mut cursor, mut found) = (Cursor::default(), Vec::new());
        if skipped >= total {
            return (total, found);
        }
        while found.len() < count {
            let mut visit = |sub: &SubRef| {
                if skipped > 0 {
                    skipped -= 1;
                } else if found.len() < count {
                    found.push(sub.clone());
                }
            };
            if !self.sublist().scan(&mut cursor, SCANNED_AT_ONCE, &mut visit) {
                break;
            }
        }
        (total, found)
    }

    /// The connections with a subscription that meets `filter`, which may have wildcards.
    fn interested(&self, filter: &[u8]) -> HashSet<u64> {
        if keelback_subject::is_literal(filter) {
            return self.matching(filter).iter().map(|sub| sub.connection.id).collect();
        }
        let (mut cursor, mut interested) = (Cursor::default(), HashSet::default());
        let mut piece = Vec::new();
        loop {
            let mut visit = |sub: &SubRef| piece.push(sub.clone());
            let more = self.sublist().scan(&mut cursor, SCANNED_AT_ONCE, &mut visit);
            let meets = |sub: &SubRef| keelback_subject::overlaps(sub.subject(), filter);
            interested.extend(piece.drain(..).filter(meets).map(|sub: SubRef| sub.connection.id));
            if !more {
                return interested;
            }
        }
    }
}

/// The candidates in the order asked for; equal ones stay as they stand.
fn order(candidates: &[Candidate], sort: Sort, now_ns: u64) -> Vec<usize> {
    let keys: Vec<u64> = candidates.iter().map(|it| it.key(sort, now_ns)).collect();
    let mut order: Vec<usize> = (0..candidates.len()).collect();
    match sort {
        Sort::Cid | Sort::Uptime => order.sort_by_key(|&at| keys[at]),
        Sort::Reason => order.sort_by_key(|&at| candidates[at].reason()),
        _ => order.sort_by_key(|&at| Reverse(keys[at])),
    }
    order
}

impl Candidate {
    fn key(&self, sort: Sort, now_ns: u64) -> u64 {
        match self {
            Self::Open(it) => {
                let [in_msgs, in_bytes, out_msgs, out_bytes] = it.counters.figures();
                match sort {
                    Sort::Cid => it.id,
                    Sort::Subs => it.subscriptions.load(Ordering::Relaxed).into(),
                    Sort::Pending => lock(&it.outbound).pending_bytes() as u64,
                    Sort::MsgsTo => out_msgs,
                    Sort::MsgsFrom => in_msgs,
                    Sort::BytesTo => out_bytes,
                    Sort::BytesFrom => in_bytes,
                    Sort::Last => it.last_activity_ns(),
                    Sort::Idle => now_ns.saturating_sub(it.last_activity_ns()),
                    Sort::Uptime => now_ns.saturating_sub(it.start_ns),
                    Sort::Rtt => it.rtt_ns.load(Ordering::Relaxed),
                    Sort::Stop | Sort::Reason => 0,
                }
            }
            Self::Closed(it) => {
                let [in_msgs, in_bytes, out_msgs, out_bytes] = it.figures;
                match sort {
                    Sort::Cid => it.id,
                    Sort::Subs => it.subscriptions.count.into(),
                    Sort::Pending => it.pending_bytes,
                    Sort::MsgsTo => out_msgs,
                    Sort::MsgsFrom => in_msgs,
                    Sort::BytesTo => out_bytes,
                    Sort::BytesFrom => in_bytes,
                    Sort::Last => it.last_activity_ns,
                    Sort::Idle => now_ns.saturating_sub(it.last_activity_ns),
                    Sort::Uptime => it.stop_ns.saturating_sub(it.start_ns),
                    Sort::Rtt => it.rtt_ns,
                    Sort::Stop => it.stop_ns,
                    Sort::Reason => 0,
                }
            }
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::Open(_) => "",
            Self::Closed(record) => record.reason.as_str(),
        }
    }
}

impl ConnectionInfo {
    fn of(it: &Connection) -> Self {
        let (ip, port) = address(it.kind, &it.peer);
        Self {
            cid: it.id,
            kind: it.kind,
            ip,
            port,
            start_ns: it.start_ns,
            last_activity_ns: it.last_activity_ns(),
            stop_ns: 0,
            reason: "",
            rtt_ns: it.rtt_ns.load(Ordering::Relaxed),
            pending_bytes: lock(&it.outbound).pending_bytes() as u64,
            figures: it.counters.figures(),
            stalls: it.stalls.load(Ordering::Relaxed),
            subscriptions: it.subscriptions.load(Ordering::Relaxed),
            identity: it.identity(),
            encryption: it.encryption().cloned(),
            subscription_list: Vec::new(),
        }
    }

    fn of_closed(it: &ClosedConnection, with_subscriptions: bool) -> Self {
        let (ip, port) = address(it.kind, &it.peer);
        let mut subscription_list = Vec::new();
        if with_subscriptions {
            let account = Arc::<str>::from(account_name(it.identity.as_ref()));
            subscription_list.extend(it.subscriptions.listed.iter().map(|sub| {
                let (account, count, max) = (account.clone(), sub.delivered, sub.max);
                SubscriptionInfo::new(account, sub.texts(), (count, max), it.id)
            }));
        }
        Self {
            cid: it.id,
            kind: it.kind,
            ip,
            port,
            start_ns: it.start_ns,
            last_activity_ns: it.last_activity_ns,
            stop_ns: it.stop_ns,
            reason: it.reason.as_str(),
            rtt_ns: it.rtt_ns,
            pending_bytes: it.pending_bytes,
            figures: it.figures,
            stalls: it.stalls,
            subscriptions: it.subscriptions.count,
            identity: it.identity.clone(),
            encryption: it.encryption.as_deref().cloned(),
            subscription_list,
        }
    }

    /// The name of its account.
    pub fn account(&self) -> &str {
        account_name(self.identity.as_ref())
    }
}

impl SubscriptionInfo {
    /// Of a live subscription.
    pub fn of(sub: &SubRef, account: &Arc<str>) -> Self {
        let texts = [sub.subject(), sub.queue(), sub.sid()];
        Self::new(account.clone(), texts, (sub.delivered(), sub.max()), sub.connection.id)
    }

    fn new(account: Arc<str>, texts: [&[u8]; 3], (msgs, max): (u64, u64), connection: u64) -> Self {
        let [subject, queue, sid] = texts.map(|text| String::from_utf8_lossy(text).into_owned());
        Self { account, subject, queue, sid, msgs, max, connection }
    }
}

/// Before CONNECT a client belongs to the global account, also where it will have to say more.
fn account_name(identity: Option<&Arc<Identity>>) -> &str {
    identity.map_or(GLOBAL_ACCOUNT, |identity| &identity.account.name)
}

/// `127.0.0.1:1234` or `[::1]:1234` in its parts; a pipe has none.
pub(crate) fn address(kind: Kind, peer: &str) -> (String, u16) {
    let Some((ip, port)) = peer.rsplit_once(':').filter(|_| kind == Kind::Tcp) else {
        return (String::new(), 0);
    };
    let ip = ip.trim_start_matches('[').trim_end_matches(']');
    (ip.to_owned(), port.parse().unwrap_or_default())
}
