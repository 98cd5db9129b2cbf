//! `relay`: the limit. A server that only copies bytes.
//!
//! It greets, answers PING, notes SUB, and from a connection's first PUB on hands every byte to the
//! subscribers of that subject without looking at it, but for the PING at the end (the fence). What
//! a real server takes longer than this is its own work; what this takes is the kernel's.
//!
//! A thread for each connection, blocking reads of 256 KiB, a blocking write for each subscriber.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

use crate::arguments::Arguments;
use crate::connection::READ_BYTES;
use crate::error::LoadError;

/// Subscribers by subject. The lock is taken once for a SUB and once for a publisher.
type Subscribers = Arc<Mutex<HashMap<Vec<u8>, Vec<Arc<TcpStream>>>>>;

const INFO: &[u8] = concat!(
    r#"INFO {"server_id":"relay","server_name":"relay","version":"0.0.0","proto":1,"#,
    r#""headers":true,"max_payload":1048576}"#,
    " \r\n"
)
.as_bytes();

/// Serves until the process is killed.
pub(crate) fn serve(mut arguments: Arguments) -> Result<(), LoadError> {
    let port: u16 = arguments.option("--port")?.unwrap_or(4222);
    arguments.finish()?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
        .map_err(|error| LoadError::io(format!("listen on port {port}"), error))?;
    let subscribers = Subscribers::default();
    for socket in listener.incoming() {
        let Ok(socket) = socket else { continue };
        let subscribers = Arc::clone(&subscribers);
        // A connection that breaks ends its thread and nothing else.
        std::thread::spawn(move || serve_connection(&Arc::new(socket), &subscribers));
    }
    Ok(())
}

fn serve_connection(socket: &Arc<TcpStream>, subscribers: &Subscribers) {
    let _ = socket.set_nodelay(true);
    // As the server does: without it the kernel's pacing would be the limit (where BBR is on).
    let _ = rustix::net::sockopt::set_tcp_congestion(&**socket, "reno");
    let mut role = Role { socket: Arc::clone(socket), subscribers, targets: None };
    if (&**socket).write_all(INFO).is_err() {
        return;
    }
    let mut buffer = vec![0; READ_BYTES];
    let mut kept = 0;
    while let Ok(read @ 1..) = (&**socket).read(&mut buffer[kept..]) {
        let filled = kept + read;
        let Some(used) = role.take(&buffer[..filled]) else { break };
        buffer.copy_within(used..filled, 0);
        kept = filled - used;
        if kept == buffer.len() {
            break;
        }
    }
    let mut all = subscribers.lock().unwrap_or_else(PoisonError::into_inner);
    for sockets in all.values_mut() {
        sockets.retain(|other| !Arc::ptr_eq(other, socket));
    }
}

struct Role<'a> {
    socket: Arc<TcpStream>,
    subscribers: &'a Subscribers,
    /// Where a publisher's bytes go; `None` while the connection has published nothing.
    targets: Option<Vec<Arc<TcpStream>>>,
}

impl Role<'_> {
    /// Takes what it can of `bytes` and says how many; `None` when the connection is over.
    fn take(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut used = 0;
        while self.targets.is_none() {
            let rest = &bytes[used..];
            let Some(end) = rest.iter().position(|&byte| byte == b'\n') else { return Some(used) };
            let line = &rest[..end];
            let mut words = line.split(|&byte| byte == b' ' || byte == b'\r');
            match words.next()? {
                b"PING" => (&*self.socket).write_all(b"PONG\r\n").ok()?,
                b"SUB" => self.subscribe(words.next()?),
                b"PUB" | b"pub" => {
                    self.targets = Some(self.subscribed(words.next()?));
                    break;
                }
                b"CONNECT" | b"PONG" => {}
                _ => return None,
            }
            used += end + 1;
        }
        self.copy(&bytes[used..]).map(|copied| used + copied)
    }

    fn copy(&mut self, bytes: &[u8]) -> Option<usize> {
        const FENCE: &[u8] = b"PING\r\n";
        let fenced = bytes.ends_with(FENCE);
        // Part of a fence may stand at the end: it is kept until the rest of it is there.
        let kept = if fenced {
            FENCE.len()
        } else {
            (1..FENCE.len()).rev().find(|&part| bytes.ends_with(&FENCE[..part])).unwrap_or(0)
        };
        let copied = &bytes[..bytes.len() - kept];
        if !copied.is_empty() {
            for target in self.targets.iter().flatten() {
                (&**target).write_all(copied).ok()?;
            }
        }
        if fenced {
            (&*self.socket).write_all(b"PONG\r\n").ok()?;
            return Some(bytes.len());
        }
        Some(copied.len())
    }

    fn subscribe(&self, subject: &[u8]) {
        let mut all = self.subscribers.lock().unwrap_or_else(PoisonError::into_inner);
        all.entry(subject.to_vec()).or_default().push(Arc::clone(&self.socket));
    }

    fn subscribed(&self, subject: &[u8]) -> Vec<Arc<TcpStream>> {
        let all = self.subscribers.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(subject).cloned().unwrap_or_default()
    }
}
