//! `keelback-load`: drives a NATS server as hard as two cores allow, and measures it.
//!
//! One subcommand per workload; each prints one line of JSON. The generator is cheap on purpose:
//! publishers write large prebuilt buffers, subscribers step from frame to frame by known lengths,
//! so that what is measured is the server. `--verify` reads every byte instead.

mod arguments;
mod connection;
mod crowd;
mod deliveries;
mod error;
mod frames;
mod meter;
mod options;
mod publisher;
mod receiver;
mod relay;
mod report;
mod request;
mod stage;
mod stored;
mod streams;
mod subscriptions;
#[cfg(feature = "tls")]
mod tls;
mod turnover;
mod walker;

use std::io::Write;
use std::process::ExitCode;

use arguments::Arguments;
use error::LoadError;
use report::Report;

const USAGE: &str = "\
usage: keelback-load WORKLOAD [--server HOST:PORT] [options]

workloads (each prints one JSON line):
  publish --size N                     no subscriber; ends with PING/PONG
  one-to-one --size N [--tls]          one publisher, one subscriber
  fanout --subs N --size N [--own-sids]
  pairs N --size N                     N publishers to N subscribers, a subject each
  queue --members N --size N           one queue group
  mixed-subjects                       1,000 subjects, 16 B to 1 KiB, replies and headers on half
  churn [--rate N]                     one-to-one 128 B beside N SUB and N UNSUB a second
  request-reply --size N               one request at a time
  random-subjects --wildcards N        publish without match beside N wildcard subscriptions
  subscriptions N                      N distinct subscriptions: insert rate, match rate, memory
  idle --connections N                 the server's memory for each idle connection
  connect [--connections N]            open, PONG, close; --at-once of them in flight
  logins N --user U --pass P           N connections greet, then all send CONNECT at once
  stream-publish --size N              into streams, --in-flight messages not acknowledged yet;
                                       --publishers, --streams, --subjects, --storage, --config
  stream-get --stored N                direct gets of random messages of so many in a stream,
                                       --by sequence or subject; --in-flight of them
  relay [--port N]                     serve: copy bytes from publishers to subscribers

options of all: --user U --pass P --timeout SECONDS --server-pid PID (adds its processor time and
memory). Of those that publish: --seconds S or --messages N. Of deliveries: --verify, --raw (the
server is `relay`: deliveries are copies of what was published), --window BYTES.
";

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    let Some(workload) = words.next().filter(|word| word != "--help" && word != "-h") else {
        // Nothing useful can be done when stderr is closed.
        let _ = std::io::stderr().write_all(USAGE.as_bytes());
        return ExitCode::from(2);
    };
    match run(&workload, Arguments::new(words.collect())) {
        Ok(Some(report)) => {
            let line = format!("{}\n", report.to_json());
            match std::io::stdout().write_all(line.as_bytes()) {
                Ok(()) => ExitCode::SUCCESS,
                Err(_) => ExitCode::FAILURE,
            }
        }
        Ok(None) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "keelback-load {workload}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(workload: &str, arguments: Arguments) -> Result<Option<Report>, LoadError> {
    let measured = match workload {
        "publish" => deliveries::publish(arguments),
        "one-to-one" => deliveries::one_to_one(arguments),
        "fanout" => deliveries::fanout(arguments),
        "pairs" => deliveries::pairs(arguments),
        "queue" => deliveries::queue(arguments),
        "mixed-subjects" => deliveries::mixed_subjects(arguments),
        "churn" => deliveries::churn(arguments),
        "request-reply" => request::request_reply(arguments),
        "random-subjects" => subscriptions::random_subjects(arguments),
        "subscriptions" => subscriptions::subscriptions(arguments),
        "idle" => crowd::idle(arguments),
        "connect" => turnover::connect(arguments),
        "logins" => crowd::logins(arguments),
        "stream-publish" => streams::publish(arguments),
        "stream-get" => stored::get(arguments),
        "relay" => return relay::serve(arguments).map(|()| None),
        other => Err(LoadError::Usage(format!("unknown workload `{other}`; see --help"))),
    };
    measured.map(Some)
}
