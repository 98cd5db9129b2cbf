//! Answers requests for messages of a stream, on the thread that read them.

use std::sync::Arc;

use keelback_jetstream::direct::{self, Found, Reader};
use keelback_store::disk::Disk;
use keelback_store::stream::Stream;

use super::running::{Kept, Running};
use crate::receiver::{Message, Received, Receiver};
use crate::worker::Worker;

/// Takes requests to `$JS.API.DIRECT.GET.<stream>`, with or without a subject behind it.
pub(super) struct GetReceiver<D: Disk + Clone>(pub(super) Arc<Running<D>>);

impl<D: Disk + Clone> Reader for Kept<D> {
    fn stream(&mut self) -> &mut Stream {
        self.stream_mut()
    }

    fn read(&mut self, seq: u64) -> Option<Found> {
        let found = Self::read(self, seq).ok().flatten()?;
        let super::FoundMessage { subject, headers, payload, time_ns, .. } = found;
        Some(Found { subject, headers, payload, time_ns })
    }
}

impl<D: Disk + Clone> Receiver for GetReceiver<D> {
    fn receive(&self, worker: &mut Worker, received: &Received<'_>) {
        let running = &self.0;
        let key = received.subject.get(direct::PREFIX.len() + running.name.len() + 1..);
        let bytes_max = worker.settings.limits.pending_bytes_max;
        for message in received.iter().filter(|message| !message.reply.is_empty()) {
            let asked = (message.headers, message.payload);
            let mut kept = running.kept();
            let send = &mut |headers: &[u8], payload: &[u8]| {
                let answer = Message { reply: b"", headers, payload };
                worker.answer_later(&running.account, message.reply, &answer);
            };
            let key = key.unwrap_or_default();
            direct::answer(&mut *kept, &running.name, key, asked, bytes_max, send);
            // What could not be read is told by whoever tends the stream.
            let _ = kept.ask(|_| ());
        }
    }
}
