//! Rules of reading CONNECT.

use serde::de::IgnoredAny;

use crate::connect::ConnectOptions;
use crate::json::Object;
use crate::trace::redact;

/// Deepest nesting, of which the other reader knows nothing.
const DEPTH_ERROR: &str = "exceeded max depth";

/// All rules for one text.
pub fn all(json: &[u8]) {
    agrees_on_what_json_is(json);
    merging_is_all_or_nothing(json);
    // Only that it takes any bytes.
    redact(json);
}

/// What is JSON here is JSON for `serde_json`, which skips values as we do: without recursion and
/// without looking at what strings decode to.
pub fn agrees_on_what_json_is(json: &[u8]) {
    let theirs = serde_json::from_slice::<IgnoredAny>(json).is_ok();
    let ours = match Object::read(json, "Test") {
        Ok(_) => true,
        Err(error) if error.to_string() == DEPTH_ERROR => return,
        // Well-formed, but neither object nor null.
        Err(error) => error.to_string().starts_with("json: cannot unmarshal"),
    };
    assert_eq!(ours, theirs, "is it JSON: {}", json.escape_ascii());
}

/// An error changes nothing; merging twice changes nothing further.
pub fn merging_is_all_or_nothing(json: &[u8]) {
    let mut options = ConnectOptions::default();
    if options.merge(json).is_err() {
        assert_eq!(options, ConnectOptions::default());
        return;
    }
    let once = options.clone();
    assert_eq!(options.merge(json), Ok(()));
    assert_eq!(options, once);
}
