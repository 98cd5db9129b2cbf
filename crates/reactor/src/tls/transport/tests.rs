//! A transport on a socket pair: what the peer does not read, and in what order it comes.

#![allow(clippy::unwrap_used)]

mod client;

use std::os::unix::net::UnixStream;

use rustls::{AlertDescription, Error, SupportedProtocolVersion};

use self::client::{Client, VERSIONS, server};
use super::*;

const MIB: usize = 1 << 20;

/// The poller's side of a socket, which is of no interest here.
struct Nothing;

impl Transport for Nothing {
    fn write(&mut self, _: &[IoSlice<'_>]) -> io::Result<usize> {
        Err(io::ErrorKind::WouldBlock.into())
    }

    fn want_room(&mut self, _: bool) {}

    fn want_input(&mut self, _: bool) {}

    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::ErrorKind::WouldBlock.into())
    }

    fn finish(&mut self) {}
}

/// A client, its end of the socket, and the server's transport; hands are shaken.
fn connect(version: &'static SupportedProtocolVersion) -> (Client, UnixStream, TlsTransport) {
    let (mut near, far) = UnixStream::pair().unwrap();
    near.set_nonblocking(true).unwrap();
    far.set_nonblocking(true).unwrap();
    let fd = Arc::new(OwnedFd::from(far));
    let mut transport = TlsTransport::new(Box::new(Nothing), fd, server(version));
    let mut client = Client::new(version);
    let mut buffer = vec![0; 8 * MIB];
    while client.0.is_handshaking() || transport.session().unwrap().is_handshaking {
        near.write_all(&client.said()).unwrap();
        let blocked = transport.read(&mut buffer).unwrap_err();
        assert_eq!(blocked.kind(), io::ErrorKind::WouldBlock);
        client.hears(&arrived(&mut near, usize::MAX)).unwrap();
    }
    (client, near, transport)
}

/// What stands in the socket, `limit` bytes of it at most.
fn arrived(near: &mut UnixStream, limit: usize) -> Vec<u8> {
    let mut wire = Vec::new();
    match near.take(limit as u64).read_to_end(&mut wire) {
        Err(error) if error.kind() != io::ErrorKind::WouldBlock => panic!("{error}"),
        _ => wire,
    }
}

/// Bytes cut into pieces of all sizes around a record's.
fn pieces(bytes: &[u8]) -> Vec<&[u8]> {
    let sizes = [0, 1, 30, 1024, 16_383, 16_384, 16_385, 3, 40_000, 0, 200_000];
    let mut rest = bytes;
    let mut pieces = Vec::new();
    for size in sizes.into_iter().cycle() {
        let (piece, later) = rest.split_at(size.min(rest.len()));
        pieces.push(piece);
        rest = later;
        if rest.is_empty() {
            break;
        }
    }
    pieces
}

fn bytes(count: usize) -> Vec<u8> {
    (0..count).map(|number| (number % 251) as u8).collect()
}

#[test]
fn a_peer_that_reads_slowly_gets_all_in_order() {
    for version in VERSIONS {
        let (mut client, mut near, mut transport) = connect(version);
        let sent = bytes(3 * MIB);
        let (mut heard, mut done, mut was_full) = (Vec::new(), 0, false);
        while heard.len() < sent.len() {
            let pieces = pieces(&sent[done..]);
            let slices: Vec<_> = pieces.iter().map(|piece| IoSlice::new(piece)).collect();
            match transport.write(&slices) {
                Ok(taken) => done += taken,
                Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
            }
            was_full |= transport.unsent_bytes() > 0;
            assert!(done == sent.len() || transport.unsent_bytes() > 0);
            heard.extend(client.hears(&arrived(&mut near, 10_007)).unwrap());
        }
        assert!(was_full);
        assert_eq!(heard, sent);
        assert_eq!(transport.unsent_bytes(), 0);
    }
}

#[test]
fn what_is_left_goes_by_itself_when_there_is_room() {
    for version in VERSIONS {
        let (mut client, mut near, mut transport) = connect(version);
        let sent = bytes(4 * MIB);
        let taken = transport.write(&[IoSlice::new(&sent)]).unwrap();
        assert!(transport.unsent_bytes() > 0);
        let full = transport.write(&[IoSlice::new(&sent[taken..])]).unwrap_err();
        assert_eq!(full.kind(), io::ErrorKind::WouldBlock);
        let mut heard = Vec::new();
        while transport.unsent_bytes() > 0 {
            heard.extend(client.hears(&arrived(&mut near, usize::MAX)).unwrap());
            // Nothing more to say: the records that wait go alone.
            assert_eq!(transport.write(&[]).unwrap(), 0);
        }
        transport.finish();
        heard.extend(client.hears(&arrived(&mut near, usize::MAX)).unwrap());
        assert_eq!(heard, sent[..taken]);
        assert!(client.0.process_new_packets().unwrap().peer_has_closed());
    }
}

#[test]
fn megabytes_come_in() {
    for version in VERSIONS {
        let (mut client, mut near, mut transport) = connect(version);
        let sent = bytes(2 * MIB);
        let wire = client.says(&sent);
        let (mut heard, mut done) = (Vec::new(), 0);
        let mut buffer = vec![0; TLS_ROOM_BYTES];
        while heard.len() < sent.len() {
            while done < wire.len() {
                match near.write(&wire[done..]) {
                    Ok(count) => done += count,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(error) => panic!("{error}"),
                }
            }
            match transport.read(&mut buffer) {
                Ok(count) => heard.extend_from_slice(&buffer[..count]),
                Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
            }
        }
        assert_eq!(heard, sent);
    }
}

#[test]
fn pieces_share_records() {
    for version in VERSIONS {
        let (mut client, mut near, mut transport) = connect(version);
        let sent = bytes(30_000);
        let slices: Vec<_> = sent.chunks(30).map(IoSlice::new).collect();
        assert_eq!(transport.write(&slices).unwrap(), sent.len());
        let wire = arrived(&mut near, usize::MAX);
        // For each `SLICES_MAX` of the 1,000 pieces one.
        assert_eq!(record_lengths(&wire).len(), 1000_usize.div_ceil(SLICES_MAX));
        assert_eq!(client.hears(&wire).unwrap(), sent);
        assert_eq!(transport.write(&[IoSlice::new(&[]); 3]).unwrap(), 0);
        assert!(arrived(&mut near, usize::MAX).is_empty());
    }
}

/// The payloads' lengths in whole records.
fn record_lengths(mut wire: &[u8]) -> Vec<usize> {
    let mut lengths = Vec::new();
    while let [_, _, _, high, low, rest @ ..] = wire {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        lengths.push(length);
        wire = &rest[length..];
    }
    assert!(wire.is_empty());
    lengths
}

/// Reads what stands in the socket; nothing when that is no plaintext.
fn read(transport: &mut TlsTransport) -> Vec<u8> {
    let mut buffer = vec![0; TLS_ROOM_BYTES];
    match transport.read(&mut buffer) {
        Ok(count) => buffer.truncate(count),
        Err(error) => {
            assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
            buffer.clear();
        }
    }
    buffer
}

#[test]
fn a_record_may_be_split_at_every_byte() {
    for version in VERSIONS {
        let (mut client, mut near, mut transport) = connect(version);
        let sent = bytes(100);
        let mut split = 1;
        loop {
            let wire = client.says(&sent);
            if split == wire.len() {
                break;
            }
            near.write_all(&wire[..split]).unwrap();
            assert!(read(&mut transport).is_empty());
            // What is written meanwhile does not disturb what is kept.
            assert_eq!(transport.write(&[IoSlice::new(b"between")]).unwrap(), 7);
            assert_eq!(client.hears(&arrived(&mut near, usize::MAX)).unwrap(), b"between");
            near.write_all(&wire[split..]).unwrap();
            assert_eq!(read(&mut transport), sent);
            split += 1;
        }
    }
}

#[test]
fn keys_are_updated_when_the_client_asks() {
    for step in [1, 4096] {
        let (mut client, mut near, mut transport) = connect(&rustls::version::TLS13);
        for _ in 0..8 {
            client.0.refresh_traffic_keys().unwrap();
            let mut wire = client.said();
            wire.extend(client.says(b"asked"));
            let mut heard = Vec::new();
            for part in wire.chunks(step) {
                near.write_all(part).unwrap();
                heard.extend(read(&mut transport));
                // Written with a half of the request at hand, under the old keys or the new.
                let sent = bytes(1 + heard.len());
                assert_eq!(transport.write(&[IoSlice::new(&sent)]).unwrap(), sent.len());
                assert_eq!(client.hears(&arrived(&mut near, usize::MAX)).unwrap(), sent);
            }
            assert_eq!(heard, b"asked");
        }
    }
}

#[test]
fn a_record_that_was_tampered_with_is_answered_by_an_alert() {
    for version in VERSIONS {
        let (mut client, mut near, mut transport) = connect(version);
        let mut wire = client.says(b"false");
        *wire.last_mut().unwrap() ^= 1;
        near.write_all(&wire).unwrap();
        let error = transport.read(&mut vec![0; TLS_ROOM_BYTES]).unwrap_err();
        assert_eq!(error.to_string(), "tls: cannot decrypt peer's message");
        let told = client.hears(&arrived(&mut near, usize::MAX)).unwrap_err();
        assert_eq!(told, Error::AlertReceived(AlertDescription::BadRecordMac));
    }
}

#[test]
fn the_peer_closes_in_order() {
    for version in VERSIONS {
        let (mut client, mut near, mut transport) = connect(version);
        let mut wire = client.says(b"last words");
        client.0.send_close_notify();
        wire.extend(client.said());
        near.write_all(&wire).unwrap();
        assert_eq!(read(&mut transport), b"last words");
        assert!(transport.has_ended());
        // The other direction is open still.
        assert_eq!(transport.write(&[IoSlice::new(b"heard")]).unwrap(), 5);
        transport.finish();
        assert_eq!(client.hears(&arrived(&mut near, usize::MAX)).unwrap(), b"heard");
        assert!(client.0.process_new_packets().unwrap().peer_has_closed());
    }
}
