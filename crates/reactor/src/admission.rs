//! Who stays: Python's answers, and what changes when the rules do.

use keelback_engine::client::Phase;
use keelback_engine::gate::Admission;
use keelback_engine::ingest::Next;
use keelback_wire::errors::ClosedReason;

use crate::slot::Stage;
use crate::thread::{Thread, index_of, set_input};

impl Thread {
    /// Python's answer about a client that waits for it.
    pub(crate) fn answer(&mut self, id: u64, answer: Result<&Admission, ClosedReason>) {
        let Some(key) = self.key_of(id) else { return };
        let Some(slot) = self.slots.get_mut(index_of(key)) else { return };
        if slot.client.phase != Phase::Asked {
            return;
        }
        // By the rules that are in force now, not by those of the turn's beginning.
        self.worker.take_settings();
        match self.worker.take_answer(&mut slot.client, answer) {
            Ok(Next::Ask) => {}
            Ok(Next::Continue | Next::Admitted) => {
                slot.auth_deadline = None;
                self.resume(key);
            }
            Err(reason) => self.close(key, reason),
        }
    }

    /// Decides again about each connection.
    pub(crate) fn reauthorize(&mut self) {
        self.worker.take_settings();
        for key in self.keys() {
            self.reauthorize_one(key);
        }
    }

    fn reauthorize_one(&mut self, key: u64) {
        let Some(slot) = self.slots.get_mut(index_of(key)) else { return };
        match slot.stage {
            Stage::Lingering => return,
            Stage::Open => {}
            _ => return self.worker.reauthorize_silent(&mut slot.client),
        }
        match self.worker.reauthorize(&mut slot.client) {
            Ok(Next::Ask) => {
                slot.is_paused = true;
                set_input(&slot.client.connection, false);
            }
            Ok(Next::Continue | Next::Admitted) => {
                if slot.client.phase == Phase::Open {
                    slot.auth_deadline = None;
                }
            }
            Err(reason) => self.close(key, reason),
        }
    }

    /// Closes a connection after it was told why.
    pub(crate) fn dismiss(&mut self, id: u64, reason: ClosedReason, error: &str) {
        let Some(key) = self.key_of(id) else { return };
        let Some(slot) = self.slot(key) else { return };
        if slot.stage != Stage::Lingering {
            let client = &self.slots[index_of(key)].client;
            self.worker.say_text(client, error);
            self.close(key, reason);
        }
    }
}
