//! The generator as a program: what it counts through the relay, and what it says of a server that
//! loses, repeats or changes messages.
#![allow(clippy::unwrap_used)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Output};
use std::thread;

const PROGRAM: &str = env!("CARGO_BIN_EXE_keelback-load");

struct Relay {
    process: Child,
    address: String,
}

impl Relay {
    fn start() -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let process =
            Command::new(PROGRAM).args(["relay", "--port", &port.to_string()]).spawn().unwrap();
        let address = format!("127.0.0.1:{port}");
        // Bounded: a relay that does not come up fails the first run below.
        for _ in 0..1000 {
            if TcpStream::connect(&address).is_ok() {
                break;
            }
            thread::yield_now();
            thread::sleep(std::time::Duration::from_millis(2));
        }
        Self { process, address }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

fn load(address: &str, line: &str) -> Output {
    let words = line.split_whitespace();
    Command::new(PROGRAM)
        .args(words)
        .args(["--server", address, "--messages", "5000", "--timeout", "5"])
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn every_delivery_through_the_relay_is_counted_and_is_right() {
    let relay = Relay::start();
    let runs = [
        ("publish --size 16 --raw", 5000),
        ("one-to-one --size 16 --raw --verify", 5000),
        ("one-to-one --size 5 --raw", 5000),
        ("one-to-one --size 16384 --raw --verify", 5000),
        ("fanout --subs 10 --size 128 --raw --verify", 50_000),
        ("pairs 3 --size 128 --raw --verify", 15_000),
    ];
    for (line, messages) in runs {
        let output = load(&relay.address, line);
        assert!(output.status.success(), "{line}: {}", text(&output.stderr));
        let report = text(&output.stdout);
        assert!(report.contains(&format!("\"messages\": {messages},")), "{line}: {report}");
    }
}

/// What a server does to the first bytes that it delivers.
#[derive(Clone, Copy)]
enum Fault {
    None,
    Lose,
    Repeat,
    Change,
}

/// Serves one subscriber, then one publisher of `b`, with 16-byte payloads, and one fault.
fn faulty_server(fault: Fault) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let subscriber = greeted(&listener);
        let deliveries = subscriber.try_clone().unwrap();
        // The subscriber's fences: behind its SUB, and at the end.
        let fence = thread::spawn(move || answer_pings(subscriber));
        let publisher = greeted(&listener);
        deliver(publisher, deliveries, fault);
        fence.join().unwrap();
    });
    address
}

/// Accepts, greets, and answers up to the PING that ends the client's set-up.
fn greeted(listener: &TcpListener) -> TcpStream {
    let (mut socket, _) = listener.accept().unwrap();
    socket.write_all(b"INFO {}\r\n").unwrap();
    let mut byte = [0];
    let mut line = Vec::new();
    while socket.read(&mut byte).unwrap() == 1 {
        line.push(byte[0]);
        if line.ends_with(b"PING\r\n") {
            socket.write_all(b"PONG\r\n").unwrap();
            return socket;
        }
    }
    socket
}

fn answer_pings(socket: TcpStream) {
    let mut answers = socket.try_clone().unwrap();
    for line in BufReader::new(socket).lines() {
        match line {
            // The client may be gone already: then there is nobody to answer.
            Ok(line) if line == "PING" => drop(answers.write_all(b"PONG\r\n")),
            Ok(_) => {}
            Err(_) => return,
        }
    }
}

fn deliver(publisher: TcpStream, mut subscriber: TcpStream, fault: Fault) {
    let mut answers = publisher.try_clone().unwrap();
    let mut lines = BufReader::new(publisher);
    let mut out = Vec::new();
    let mut messages = 0;
    let mut line = String::new();
    while lines.read_line(&mut line).is_ok_and(|read| read > 0) {
        if line == "PING\r\n" {
            // The run may be over already, failed.
            let _ = subscriber.write_all(&out);
            let _ = answers.write_all(b"PONG\r\n");
        } else if !line.starts_with("PUB") {
            let start = out.len();
            out.extend_from_slice(format!("MSG b 1 16\r\n{line}").as_bytes());
            messages += 1;
            if messages == 100 {
                let frame = out[start..].to_vec();
                match fault {
                    Fault::None => {}
                    Fault::Lose => out.truncate(start),
                    Fault::Repeat => out.extend_from_slice(&frame),
                    Fault::Change => out[start + 25] ^= 1,
                }
            }
        }
        line.clear();
    }
}

fn against(fault: Fault, line: &str) -> (bool, String) {
    let output = load(&faulty_server(fault).to_string(), line);
    (output.status.success(), text(&output.stderr))
}

#[test]
fn a_faultless_server_passes() {
    let (passed, said) = against(Fault::None, "one-to-one --size 16 --verify");
    assert!(passed, "{said}");
}

#[test]
fn a_lost_message_is_named_even_without_verify() {
    let (passed, said) = against(Fault::Lose, "one-to-one --size 16");
    assert!(!passed && said.contains("1 of 5000 deliveries missing"), "{said}");
}

#[test]
fn a_repeated_message_is_found_even_without_verify() {
    let (passed, said) = against(Fault::Repeat, "one-to-one --size 16");
    assert!(!passed && said.contains("received 5001 of 5000"), "{said}");
}

#[test]
fn a_changed_byte_is_found_by_verify() {
    let (passed, said) = against(Fault::Change, "one-to-one --size 16 --verify");
    assert!(!passed && said.contains("after 99 deliveries"), "{said}");
}

#[test]
fn a_server_that_closes_is_an_error_and_not_a_result() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let server = thread::spawn(move || drop(listener.accept().unwrap()));
    let output = load(&address, "publish --size 16");
    server.join().unwrap();
    assert!(!output.status.success());
    assert!(output.stdout.is_empty());
}
