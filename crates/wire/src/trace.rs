//! interim
pub fn describe(op:&crate::client::Op<'_>)->String { format!("{op:?}") }
