//! Batches by what their publishers are told.

use keelback_store::stream::{Limits, Storage};

use super::*;

struct Session {
    batches: FastBatches,
    policy: Policy,
    told: Vec<String>,
}

impl Session {
    fn new() -> Self {
        let mut policy = Policy::new("S", Storage::File, Limits::default());
        policy.allows_batched = true;
        Self { batches: FastBatches::default(), policy, told: Vec::new() }
    }

    /// What is told of the message `<flow>.<gap>.<sequence>.<operation>`, and whether it goes on.
    fn send(&mut self, control: &str) -> bool {
        let limits = FastLimits { of_stream: 2, of_all: 3, timeout_ns: 10 };
        let (reply, mut answers) = (format!("i.b.{control}.$FI"), Vec::new());
        let Ok(head) = parse(reply.as_bytes()) else { panic!("{reply}") };
        let next = self.batches.receive(&self.policy, &head, false, (&limits, 0, 0), &mut answers);
        self.tell(&answers);
        match next {
            Ok(Next::Propose) => {
                self.batches.propose(&head, false);
                true
            }
            Ok(Next::Done) => false,
            Err(refused) => {
                let mut text = Vec::new();
                refused.write(&mut text, "S");
                self.tell(&vec![text]);
                false
            }
        }
    }

    fn stored(&mut self, control: &str, seq: u64) {
        let (reply, mut answers) = (format!("i.b.{control}.$FI"), Vec::new());
        if let Ok(head) = parse(reply.as_bytes()) {
            self.batches.stored(&self.policy, &head, seq, &mut answers);
        }
        self.tell(&answers);
    }

    fn failed(&mut self, control: &str, failure: &Failure) {
        let (reply, mut answers) = (format!("i.b.{control}.$FI"), Vec::new());
        if let Ok(head) = parse(reply.as_bytes()) {
            self.batches.failed(&self.policy, &head, failure, &mut answers);
        }
        self.tell(&answers);
    }

    fn tell(&mut self, answers: &Answers) {
        self.told.extend(answers.iter().map(|text| String::from_utf8_lossy(text).into_owned()));
    }

    fn told(&mut self) -> Vec<String> {
        std::mem::take(&mut self.told)
    }
}

#[test]
fn messages_are_acknowledged_now_and_then() {
    let mut session = Session::new();
    assert!(session.send("2.fail.1.0"));
    assert_eq!(session.told(), [r#"{"type":"ack","seq":0,"msgs":2}"#]);
    for control in ["2.fail.2.1", "2.fail.3.1", "2.fail.4.2"] {
        assert!(session.send(control));
    }
    session.stored("2.fail.1.0", 11);
    assert!(session.told().is_empty());
    session.stored("2.fail.2.1", 12);
    assert_eq!(session.told(), [r#"{"type":"ack","seq":2,"msgs":2}"#]);
    session.stored("2.fail.3.1", 13);
    assert!(session.told().is_empty());
    session.stored("2.fail.4.2", 14);
    assert_eq!(session.told(), [r#"{"stream":"S","seq":14,"batch":"b","count":4}"#]);
    assert_eq!(session.batches.count(), 0);
}

#[test]
fn a_gap_ends_a_batch_that_may_have_none() {
    let mut session = Session::new();
    assert!(session.send("9.fail.1.0"));
    session.told();
    assert!(!session.send("9.fail.3.1"));
    assert_eq!(session.told(), [r#"{"type":"gap","last_seq":2,"seq":3}"#]);
    session.stored("9.fail.1.0", 5);
    assert_eq!(session.told(), [r#"{"stream":"S","seq":5,"batch":"b","count":1}"#]);
    assert!(!session.send("9.fail.2.1"));
    assert!(session.told()[0].contains("batch publish ID unknown"));
}

#[test]
fn a_gap_is_told_where_it_may_be() {
    let mut session = Session::new();
    assert!(session.send("9.ok.1.0"));
    session.told();
    assert!(session.send("9.ok.3.1"));
    assert_eq!(session.told(), [r#"{"type":"gap","last_seq":2,"seq":3}"#]);
    assert!(!session.send("9.ok.4.3"));
    session.stored("9.ok.1.0", 5);
    assert!(session.told().is_empty());
    session.stored("9.ok.3.1", 6);
    assert_eq!(session.told(), [r#"{"stream":"S","seq":6,"batch":"b","count":3}"#]);
}

#[test]
fn a_duplicate_is_passed_over() {
    let mut session = Session::new();
    assert!(session.send("1.fail.1.0") && session.send("1.fail.2.1"));
    session.told();
    session.stored("1.fail.1.0", 5);
    assert_eq!(session.told(), [r#"{"type":"ack","seq":1,"msgs":1}"#]);
    session.failed("1.fail.2.1", &Failure::Duplicate(3));
    assert_eq!(session.told(), [r#"{"type":"ack","seq":2,"msgs":1}"#]);
    assert!(!session.send("1.fail.3.3"));
    assert_eq!(session.told(), [r#"{"stream":"S","seq":5,"batch":"b","count":2}"#]);
}

#[test]
fn a_refusal_ends_a_batch_that_may_have_no_gap() {
    let mut session = Session::new();
    assert!(session.send("9.fail.1.0") && session.send("9.fail.2.1"));
    session.told();
    session.stored("9.fail.1.0", 5);
    session.failed("9.fail.2.1", &Failure::Refused(errors::sealed()));
    let told = session.told();
    assert!(told[0].starts_with(r#"{"type":"err","seq":2,"error":{"code":400,"err_code":10109,"#));
    assert_eq!(told[1], r#"{"stream":"S","seq":5,"batch":"b","count":1}"#);
}

#[test]
fn the_first_message_is_refused_as_if_it_were_alone() {
    let mut session = Session::new();
    assert!(session.send("9.fail.1.0"));
    session.told();
    session.failed("9.fail.1.0", &Failure::Refused(errors::sealed()));
    assert!(session.told()[0].starts_with(r#"{"error":{"code":400,"err_code":10109,"#));
    assert!(session.send("9.fail.1.0"));
    session.told();
    session.failed("9.fail.1.0", &Failure::Duplicate(8));
    assert!(session.told().is_empty());
    assert!(session.send("9.fail.2.2"));
    session.stored("9.fail.2.2", 9);
    assert_eq!(session.told(), [r#"{"stream":"S","seq":9,"batch":"b","count":2}"#]);
}

#[test]
fn a_ping_tells_what_was_told() {
    let mut session = Session::new();
    assert!(session.send("1.ok.1.0"));
    session.stored("1.ok.1.0", 5);
    session.told();
    assert!(!session.send("1.ok.1.4"));
    assert_eq!(session.told(), [r#"{"type":"ack","seq":1,"msgs":1}"#]);
    assert!(!session.send("1.ok.3.4"));
    let told = session.told();
    assert_eq!(told[0], r#"{"type":"gap","last_seq":2,"seq":4}"#);
    assert_eq!(told[1], r#"{"type":"ack","seq":3,"msgs":1}"#);
}

#[test]
fn what_depends_on_a_message_waits_for_it() {
    let mut session = Session::new();
    let Ok(head) = parse(b"i.b.9.fail.1.0.$FI") else { panic!("it is no reply") };
    assert!(session.send("9.fail.1.0"));
    session.batches.propose(&head, true);
    assert!(session.batches.is_holding(&head));
    let (reply, subject) = (b"i.b.9.fail.2.1.$FI".to_vec(), b"s".to_vec());
    let message = Held { reply, subject, headers: Vec::new(), payload: Vec::new() };
    assert!(session.batches.hold(&head, message).is_ok());
    session.stored("9.fail.1.0", 5);
    session.stored("9.fail.1.0", 6);
    assert_eq!(session.batches.release(&head).len(), 1);
    assert!(!session.batches.is_holding(&head));
}
