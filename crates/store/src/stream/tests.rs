//! Each rule by its numbers, as nats-server 2.15.1 shows them; then random entries beside a model.

mod model;
mod random;
