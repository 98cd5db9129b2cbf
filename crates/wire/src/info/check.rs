//! An INFO that a client sends: read for its form, then ignored.

use crate::json::{JsonError, Misfit, Object, Value, fold};

/// Checks an INFO's JSON as nats-server does before it ignores a client's.
///
/// # Errors
/// Not JSON, not an object, or a field of a wrong type: the connection is closed without an -ERR,
/// and the error's text is the log line.
pub fn check(json: &[u8]) -> Result<(), JsonError> {
    const GO_STRUCT: &str = "Info";
    let Some(object) = Object::read(json, GO_STRUCT)? else { return Ok(()) };
    for member in object.members() {
        fits(&fold(&member.name), member.value)
            .map_err(|misfit| misfit.in_field(GO_STRUCT, &member.name))?;
    }
    Ok(())
}

/// Whether the value is of the type that Go's `Info` gives the (folded) name.
fn fits(name: &str, value: Value<'_>) -> Result<(), Misfit> {
    match name {
        "server_id"
        | "server_name"
        | "version"
        | "git_commit"
        | "go"
        | "host"
        | "ip"
        | "client_ip"
        | "nonce"
        | "cluster"
        | "domain"
        | "compression"
        | "remote_account"
        | "route_account"
        | "route_acc_add_reqid"
        | "gateway"
        | "gateway_url"
        | "xkey" => value.string().map(drop),
        "headers" | "auth_required" | "tls_required" | "tls_verify" | "tls_available"
        | "jetstream" | "cluster_dynamic" | "ldm" | "connect_info" | "acc_is_sys" | "lnoc"
        | "lnocu" | "info_on_connect" | "gateway_nrp" | "gateway_iom" => value.bool().map(drop),
        "proto" | "port" | "api_lvl" | "route_pool_size" | "route_pool_idx" => {
            value.integer::<i64>("int").map(drop)
        }
        "max_payload" => value.integer::<i32>("int32").map(drop),
        "client_id" => value.integer::<u64>("uint64").map(drop),
        "gossip_mode" | "gateway_cmd" => value.integer::<u8>("uint8").map(drop),
        "connect_urls" | "ws_connect_urls" | "gateway_urls" | "leafnode_urls" => {
            value.strings().map(drop)
        }
        "import" | "export" => value.permission(),
        // Bytes in base64; whether the string is that is not looked at.
        "gateway_cmd_payload" if matches!(value, Value::Null | Value::String(_)) => Ok(()),
        "gateway_cmd_payload" => Err(value.misfit("[]uint8")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::check;

    #[test]
    fn wrong_types_are_refused_in_the_servers_words() {
        // Each line was provoked from nats-server 2.15.1.
        for (json, expected) in [
            ("[]", "array into Go value of type server.Info"),
            (r#"{"server_id":5}"#, "number into Go struct field Info.server_id of type string"),
            (r#"{"proto":"x"}"#, "string into Go struct field Info.proto of type int"),
            (
                r#"{"connect_urls":5}"#,
                "number into Go struct field Info.connect_urls of type []string",
            ),
            (r#"{"connect_urls":[5]}"#, "number into Info.connect_urls.0 of type string"),
            (
                r#"{"gateway_cmd":300}"#,
                "number 300 into Go struct field Info.gateway_cmd of type uint8",
            ),
            (r#"{"client_id":-1}"#, "number -1 into Go struct field Info.client_id of type uint64"),
            (
                r#"{"max_payload":4294967296}"#,
                "number 4294967296 into Go struct field Info.max_payload of type int32",
            ),
            (
                r#"{"gateway_cmd_payload":5}"#,
                "number into Go struct field Info.gateway_cmd_payload of type []uint8",
            ),
        ] {
            let error = check(json.as_bytes()).unwrap_err();
            assert_eq!(error.to_string(), format!("json: cannot unmarshal {expected}"), "{json}");
        }
        assert!(check(b"{").is_err());
    }

    #[test]
    fn what_servers_say_is_taken() {
        assert!(check(br#"{"server_id":"N","ldm":true,"port":1,"connect_urls":["a"]}"#).is_ok());
        assert!(check(b"null").is_ok());
        assert!(check(br#"{"other":5}"#).is_ok());
    }
}
