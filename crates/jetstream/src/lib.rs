//! What happens to a message that is published to a stream, and to a request for one that is stored.
//!
//! No socket, no connection, no clock: times are arguments.
