//! Checks of async-nats against a running server.
//!
//! `async-nats-checks NAME` runs one check against the server at `NATS_URL` and exits 0 when it
//! held. Credentials, where a check needs some, come from `NATS_USER`, `NATS_PASSWORD`,
//! `NATS_TOKEN`, `NATS_SEED` and `NATS_CA`.

use std::collections::BTreeMap;
use std::env;
use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use async_nats::{Client, ConnectErrorKind, ConnectOptions, HeaderMap, RequestErrorKind};
use bytes::Bytes;
use futures_util::StreamExt;

type Outcome = Result<(), Box<dyn Error + Send + Sync>>;

/// Longest that one check may take; a healthy one takes milliseconds.
const CHECK_TIME_MAX: Duration = Duration::from_secs(20);

#[tokio::main]
async fn main() -> ExitCode {
    let name = env::args().nth(1).unwrap_or_default();
    match tokio::time::timeout(CHECK_TIME_MAX, run(&name)).await {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(error)) => {
            eprintln!("{name}: {error}");
            ExitCode::FAILURE
        }
        Err(_) => {
            eprintln!("{name}: not finished within {CHECK_TIME_MAX:?}");
            ExitCode::FAILURE
        }
    }
}

async fn run(name: &str) -> Outcome {
    match name {
        "publish-subscribe" => publish_subscribe().await,
        "wildcards" => wildcards().await,
        "request-reply" => request_reply().await,
        "no-responders" => no_responders().await,
        "queue-group" => queue_group().await,
        "headers" => headers().await,
        "unsubscribe-after" => unsubscribe_after().await,
        "drain" => drain().await,
        "large-payload" => large_payload().await,
        "user-password" => user_password().await,
        "token" => token().await,
        "nkey" => nkey().await,
        "tls" => tls().await,
        _ => Err(format!("no check of that name: {name:?}").into()),
    }
}

fn setting(name: &str) -> Result<String, String> {
    env::var(name).map_err(|_| format!("{name} is not set"))
}

async fn connect() -> Result<Client, Box<dyn Error + Send + Sync>> {
    Ok(async_nats::connect(setting("NATS_URL")?).await?)
}

fn ensure(held: bool, what: &str) -> Outcome {
    if held { Ok(()) } else { Err(what.into()) }
}

/// Waits until the server has taken up all that this client has sent: `flush` only writes it.
async fn fence(client: &Client) -> Outcome {
    let inbox = client.new_inbox();
    let mut subscription = client.subscribe(inbox.clone()).await?;
    client.publish(inbox, Bytes::new()).await?;
    subscription.next().await.ok_or("the subscription ended")?;
    Ok(())
}

async fn publish_subscribe() -> Outcome {
    let (publisher, listener) = (connect().await?, connect().await?);
    let mut subscription = listener.subscribe("orders.new").await?;
    fence(&listener).await?;
    for number in 0..1000_u32 {
        publisher.publish("orders.new", number.to_string().into()).await?;
    }
    publisher.flush().await?;
    for number in 0..1000_u32 {
        let message = subscription.next().await.ok_or("the subscription ended")?;
        ensure(message.payload == number.to_string(), "messages came out of order")?;
    }
    Ok(())
}

async fn wildcards() -> Outcome {
    let client = connect().await?;
    let mut one = client.subscribe("a.*.c").await?;
    let mut rest = client.subscribe("a.>").await?;
    for subject in ["a.b.c", "a.b", "b.b.c", "a.x.c"] {
        client.publish(subject, Bytes::new()).await?;
    }
    client.flush().await?;
    for expected in ["a.b.c", "a.x.c"] {
        let message = one.next().await.ok_or("the subscription ended")?;
        ensure(message.subject.as_str() == expected, "`a.*.c` heard another subject")?;
    }
    for expected in ["a.b.c", "a.b", "a.x.c"] {
        let message = rest.next().await.ok_or("the subscription ended")?;
        ensure(message.subject.as_str() == expected, "`a.>` heard another subject")?;
    }
    Ok(())
}

async fn request_reply() -> Outcome {
    let (requester, responder) = (connect().await?, connect().await?);
    let mut requests = responder.subscribe("double").await?;
    fence(&responder).await?;
    let serving = tokio::spawn(async move {
        while let Some(request) = requests.next().await {
            let Some(reply) = request.reply else { continue };
            let doubled = [request.payload.as_ref(), request.payload.as_ref()].concat();
            responder.publish(reply, doubled.into()).await?;
        }
        Ok::<(), async_nats::PublishError>(())
    });
    for number in 0..100_u32 {
        let answer = requester.request("double", number.to_string().into()).await?;
        ensure(answer.payload == format!("{number}{number}"), "a reply to another request")?;
    }
    serving.abort();
    Ok(())
}

async fn no_responders() -> Outcome {
    let client = connect().await?;
    match client.request("nobody.listens", Bytes::new()).await {
        Err(error) if error.kind() == RequestErrorKind::NoResponders => Ok(()),
        Err(error) => Err(format!("another error: {error}").into()),
        Ok(_) => Err("an answer from nobody".into()),
    }
}

async fn queue_group() -> Outcome {
    let (publisher, worker) = (connect().await?, connect().await?);
    let mut members = Vec::new();
    for _ in 0..3 {
        members.push(worker.queue_subscribe("work", "workers".into()).await?);
    }
    let mut end = worker.subscribe("end").await?;
    fence(&worker).await?;
    for number in 0..300_u32 {
        publisher.publish("work", number.to_string().into()).await?;
    }
    publisher.publish("end", Bytes::new()).await?;
    // One connection delivers in order: when `end` is here, so is all the work before it.
    end.next().await.ok_or("the subscription ended")?;
    let mut taken = BTreeMap::new();
    for (index, member) in members.iter_mut().enumerate() {
        let mut count = 0;
        while let Ok(Some(message)) =
            tokio::time::timeout(Duration::from_millis(50), member.next()).await
        {
            count += 1;
            taken.insert(String::from_utf8(message.payload.to_vec())?, index);
        }
        ensure(count > 0, "one member of the group heard nothing")?;
    }
    ensure(taken.len() == 300, "not each message went to exactly one member")
}

async fn headers() -> Outcome {
    let client = connect().await?;
    let mut subscription = client.subscribe("with.headers").await?;
    let mut sent = HeaderMap::new();
    sent.insert("Kind", "first");
    sent.append("Kind", "second");
    sent.insert("Empty", "");
    client.publish_with_headers("with.headers", sent, "body".into()).await?;
    let message = subscription.next().await.ok_or("the subscription ended")?;
    let received = message.headers.ok_or("the headers are gone")?;
    let kinds: Vec<_> = received.get_all("Kind").map(ToString::to_string).collect();
    ensure(kinds == ["first", "second"], "the values of a header changed")?;
    ensure(received.get("Empty").is_some(), "an empty header is gone")?;
    ensure(message.payload == "body", "the payload changed")
}

async fn unsubscribe_after() -> Outcome {
    let client = connect().await?;
    let mut subscription = client.subscribe("limited").await?;
    subscription.unsubscribe_after(3).await?;
    for _ in 0..10 {
        client.publish("limited", Bytes::new()).await?;
    }
    client.flush().await?;
    let mut count = 0;
    while subscription.next().await.is_some() {
        count += 1;
    }
    ensure(count == 3, "not as many messages as asked for")
}

async fn drain() -> Outcome {
    let (publisher, listener) = (connect().await?, connect().await?);
    let mut subscription = listener.subscribe("drained").await?;
    fence(&listener).await?;
    for _ in 0..100 {
        publisher.publish("drained", Bytes::new()).await?;
    }
    fence(&publisher).await?;
    listener.drain().await?;
    let mut count = 0;
    while subscription.next().await.is_some() {
        count += 1;
    }
    ensure(count == 100, "messages were lost while draining")
}

async fn large_payload() -> Outcome {
    let client = connect().await?;
    let payload_bytes_max = client.server_info().max_payload;
    let mut subscription = client.subscribe("large").await?;
    let payload = Bytes::from(vec![b'x'; payload_bytes_max]);
    client.publish("large", payload.clone()).await?;
    let message = subscription.next().await.ok_or("the subscription ended")?;
    ensure(message.payload == payload, "the payload changed")
}

/// One round trip proves that the server let the client in.
async fn admitted(options: ConnectOptions) -> Outcome {
    let client = options.connect(setting("NATS_URL")?).await?;
    let mut subscription = client.subscribe("in").await?;
    client.publish("in", Bytes::new()).await?;
    subscription.next().await.ok_or("the subscription ended")?;
    Ok(())
}

async fn refused(options: ConnectOptions) -> Outcome {
    match options.connect(setting("NATS_URL")?).await {
        Err(error) if error.kind() == ConnectErrorKind::AuthorizationViolation => Ok(()),
        Err(error) => Err(format!("another error: {error}").into()),
        Ok(_) => Err("let in with wrong credentials".into()),
    }
}

async fn user_password() -> Outcome {
    let (user, password) = (setting("NATS_USER")?, setting("NATS_PASSWORD")?);
    admitted(ConnectOptions::with_user_and_password(user.clone(), password)).await?;
    refused(ConnectOptions::with_user_and_password(user, "wrong".into())).await?;
    refused(ConnectOptions::new()).await
}

async fn token() -> Outcome {
    admitted(ConnectOptions::with_token(setting("NATS_TOKEN")?)).await?;
    refused(ConnectOptions::with_token("wrong".into())).await
}

async fn nkey() -> Outcome {
    admitted(ConnectOptions::with_nkey(setting("NATS_SEED")?)).await?;
    refused(ConnectOptions::with_nkey(setting("NATS_OTHER_SEED")?)).await
}

async fn tls() -> Outcome {
    let authority = setting("NATS_CA")?;
    let options = ConnectOptions::new().require_tls(true);
    admitted(options.add_root_certificates(authority.into())).await?;
    match ConnectOptions::new().require_tls(true).connect(setting("NATS_URL")?).await {
        Err(_) => Ok(()),
        Ok(_) => Err("trusted a certificate of an unknown authority".into()),
    }
}
