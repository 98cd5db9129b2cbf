//! What a CONNECT says, read as nats-server's `json.Unmarshal` reads it into its `ClientOpts`.

use std::fmt;

use crate::json::{Member, Misfit, Object, Value, fold};

pub use crate::json::JsonError as ConnectError;

/// The options of a connection. A second CONNECT is merged into those of the first.
///
/// Secrets do not show in the `Debug` output.
#[derive(Clone, PartialEq, Eq)]
pub struct ConnectOptions {
    /// Answer each accepted operation with +OK.
    pub verbose: bool,
    /// Check subjects of publishes.
    pub pedantic: bool,
    /// Deliver own messages to own subscriptions.
    pub echo: bool,
    /// What the client believes of TLS; informational.
    pub tls_required: bool,
    /// Public user nkey.
    pub nkey: String,
    /// User JWT.
    pub jwt: String,
    /// Signature of the nonce by the nkey.
    pub sig: String,
    /// Token.
    pub auth_token: String,
    /// User name.
    pub user: String,
    /// Password.
    pub pass: String,
    /// The client's name for itself.
    pub name: String,
    /// Language of the client.
    pub lang: String,
    /// Version of the client.
    pub version: String,
    /// 1 when the client understands INFO at any time; the server refuses all but 0 and 1.
    pub protocol: i64,
    /// Legacy; any value is refused.
    pub account: String,
    /// Legacy; true is refused.
    pub new_account: bool,
    /// The client can send and receive headers.
    pub headers: bool,
    /// The client wants a 503 when nobody listens.
    pub no_responders: bool,
    /// For leaf nodes: the account on their side.
    pub remote_account: String,
    /// Signature of the nonce by a trusted proxy.
    pub proxy_sig: String,
}

impl Default for ConnectOptions {
    fn default() -> Self {
        Self {
            verbose: true,
            pedantic: true,
            echo: true,
            tls_required: false,
            nkey: String::new(),
            jwt: String::new(),
            sig: String::new(),
            auth_token: String::new(),
            user: String::new(),
            pass: String::new(),
            name: String::new(),
            lang: String::new(),
            version: String::new(),
            protocol: 0,
            account: String::new(),
            new_account: false,
            headers: false,
            no_responders: false,
            remote_account: String::new(),
            proxy_sig: String::new(),
        }
    }
}

impl ConnectOptions {
    /// Takes over what `json` names; the rest stays. A field given as `null` stays too, as does
    /// everything for a top-level `null`.
    ///
    /// # Errors
    /// Not JSON, not an object, or a value of a wrong type. The text is nats-server's log line.
    /// The options are then as they were.
    pub fn merge(&mut self, json: &[u8]) -> Result<(), ConnectError> {
        const GO_STRUCT: &str = "ClientOpts";
        let Some(object) = Object::read(json, GO_STRUCT)? else { return Ok(()) };
        let mut merged = self.clone();
        for Member { name, value, .. } in object.members() {
            merged.set(&fold(&name), value).map_err(|misfit| misfit.in_field(GO_STRUCT, &name))?;
        }
        *self = merged;
        Ok(())
    }

    /// `name` is folded.
    fn set(&mut self, name: &str, value: Value<'_>) -> Result<(), Misfit> {
        match name {
            "verbose" => set_bool(&mut self.verbose, value),
            "pedantic" => set_bool(&mut self.pedantic, value),
            "echo" => set_bool(&mut self.echo, value),
            "tls_required" => set_bool(&mut self.tls_required, value),
            "new_account" => set_bool(&mut self.new_account, value),
            "headers" => set_bool(&mut self.headers, value),
            "no_responders" => set_bool(&mut self.no_responders, value),
            "nkey" => set_string(&mut self.nkey, value),
            "jwt" => set_string(&mut self.jwt, value),
            "sig" => set_string(&mut self.sig, value),
            "auth_token" => set_string(&mut self.auth_token, value),
            "user" => set_string(&mut self.user, value),
            "pass" => set_string(&mut self.pass, value),
            "name" => set_string(&mut self.name, value),
            "lang" => set_string(&mut self.lang, value),
            "version" => set_string(&mut self.version, value),
            "account" => set_string(&mut self.account, value),
            "remote_account" => set_string(&mut self.remote_account, value),
            "proxy_sig" => set_string(&mut self.proxy_sig, value),
            "protocol" => {
                if let Some(protocol) = value.integer("int")? {
                    self.protocol = protocol;
                }
                Ok(())
            }
            // Routes and leaf nodes say these; from a client only their form counts.
            "import" | "export" => value.permission(),
            _ => Ok(()),
        }
    }
}

fn set_bool(field: &mut bool, value: Value<'_>) -> Result<(), Misfit> {
    if let Some(value) = value.bool()? {
        *field = value;
    }
    Ok(())
}

fn set_string(field: &mut String, value: Value<'_>) -> Result<(), Misfit> {
    if let Some(value) = value.string()? {
        *field = value.into_owned();
    }
    Ok(())
}

impl fmt::Debug for ConnectOptions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hide = |secret: &str| if secret.is_empty() { "" } else { "[REDACTED]" };
        // Every field is named, so that a new one cannot be forgotten here.
        let Self {
            verbose,
            pedantic,
            echo,
            tls_required,
            nkey,
            jwt,
            sig,
            auth_token,
            user,
            pass,
            name,
            lang,
            version,
            protocol,
            account,
            new_account,
            headers,
            no_responders,
            remote_account,
            proxy_sig,
        } = self;
        formatter
            .debug_struct("ConnectOptions")
            .field("verbose", verbose)
            .field("pedantic", pedantic)
            .field("echo", echo)
            .field("tls_required", tls_required)
            .field("nkey", &hide(nkey))
            .field("jwt", &hide(jwt))
            .field("sig", &hide(sig))
            .field("auth_token", &hide(auth_token))
            .field("user", user)
            .field("pass", &hide(pass))
            .field("name", name)
            .field("lang", lang)
            .field("version", version)
            .field("protocol", protocol)
            .field("account", account)
            .field("new_account", new_account)
            .field("headers", headers)
            .field("no_responders", no_responders)
            .field("remote_account", remote_account)
            .field("proxy_sig", &hide(proxy_sig))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::ConnectOptions;

    fn read(json: impl AsRef<[u8]>) -> Result<ConnectOptions, String> {
        let mut options = ConnectOptions::default();
        options.merge(json.as_ref()).map(|()| options).map_err(|error| error.to_string())
    }

    fn refusal(json: impl AsRef<[u8]>) -> String {
        read(json).unwrap_err()
    }

    #[test]
    fn every_field_is_taken() {
        let json = br#" {"verbose":false,"pedantic":false,"echo":false,"tls_required":true,
            "nkey":"nk","jwt":"jw","sig":"sg","auth_token":"at","user":"us","pass":"pw",
            "name":"nm","lang":"ln","version":"vs","protocol":1,"account":"ac","new_account":true,
            "headers":true,"no_responders":true,"remote_account":"ra","proxy_sig":"ps",
            "import":{"allow":["a",null],"deny":null,"other":1},"unknown":[{"a":"}"}]}"#;
        let expected = ConnectOptions {
            verbose: false,
            pedantic: false,
            echo: false,
            tls_required: true,
            nkey: "nk".into(),
            jwt: "jw".into(),
            sig: "sg".into(),
            auth_token: "at".into(),
            user: "us".into(),
            pass: "pw".into(),
            name: "nm".into(),
            lang: "ln".into(),
            version: "vs".into(),
            protocol: 1,
            account: "ac".into(),
            new_account: true,
            headers: true,
            no_responders: true,
            remote_account: "ra".into(),
            proxy_sig: "ps".into(),
        };
        assert_eq!(read(json), Ok(expected));
    }

    #[test]
    fn a_second_connect_keeps_what_it_does_not_name() {
        let mut options = read(r#"{"user":"a","pass":"b","verbose":false}"#).unwrap();
        options.merge(br#"{"pass":"c","user":null}"#).unwrap();
        assert_eq!((options.user.as_str(), options.pass.as_str()), ("a", "c"));
        assert!(!options.verbose);
        options.merge(b" null\t").unwrap();
        assert_eq!(options.pass, "c");
    }

    #[test]
    fn an_error_leaves_the_options_as_they_were() {
        let mut options = ConnectOptions::default();
        assert!(options.merge(br#"{"user":"a","pass":1}"#).is_err());
        assert_eq!(options, ConnectOptions::default());
    }

    #[test]
    fn names_match_without_case_and_the_last_one_wins() {
        assert_eq!(read(r#"{"name":"A","NAME":"B","name":null}"#).unwrap().name, "B");
        assert_eq!(read("{\"u\u{17f}er\":\"x\",\"n\u{212a}ey\":\"y\"}").unwrap().user, "x");
        assert_eq!(read("{\"u\u{17f}er\":\"x\",\"n\u{212a}ey\":\"y\"}").unwrap().nkey, "y");
        assert_eq!(read(r#"{"\u0075ser":"x","authtoken":5,"auth-token":5}"#).unwrap().user, "x");
    }

    #[test]
    fn strings_are_unescaped_and_mended() {
        // Each as the genuine server's log shows it.
        let json = b"{\"name\":\"a\xe2\x82b\xff\xed\xa0\x80\xf0\x9f\x98\",\
            \"lang\":\"\\ud800x\\ud83d\\ude00\\ud83dz\",\"version\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0000\"}";
        let options = read(json).unwrap();
        assert_eq!(options.name, format!("a{0}{0}b{0}{0}{0}{0}{0}{0}{0}", '\u{fffd}'));
        assert_eq!(options.lang, "\u{fffd}x\u{1f600}\u{fffd}z");
        assert_eq!(options.version, "\"\\/\x08\x0c\n\r\t\0");
    }

    #[test]
    fn what_does_not_fit_is_refused_in_the_servers_words() {
        // Each line was provoked from nats-server 2.15.1.
        for (json, expected) in [
            (r#"{"user":5}"#, "number into Go struct field ClientOpts.user of type string"),
            (r#"{"user":true}"#, "bool into Go struct field ClientOpts.user of type string"),
            (r#"{"user":{}}"#, "object into Go struct field ClientOpts.user of type string"),
            (r#"{"USER":[]}"#, "array into Go struct field ClientOpts.USER of type string"),
            (r#"{"verbose":1}"#, "number into Go struct field ClientOpts.verbose of type bool"),
            (r#"{"protocol":"1"}"#, "string into Go struct field ClientOpts.protocol of type int"),
            (
                r#"{"protocol":1.0}"#,
                "number 1.0 into Go struct field ClientOpts.protocol of type int",
            ),
            (
                r#"{"protocol":1e0}"#,
                "number 1e0 into Go struct field ClientOpts.protocol of type int",
            ),
            (
                r#"{"protocol":9223372036854775808}"#,
                "number 9223372036854775808 into Go struct field ClientOpts.protocol of type int",
            ),
            (
                r#"{"import":[]}"#,
                "array into Go struct field ClientOpts.import of type server.SubjectPermission",
            ),
            (
                r#"{"import":{"ALLOW":"x"}}"#,
                "string into Go struct field ClientOpts.import.ALLOW of type []string",
            ),
            (
                r#"{"import":{"allow":["a",[]]}}"#,
                "array into ClientOpts.import.allow.1 of type string",
            ),
            ("true", "bool into Go value of type server.ClientOpts"),
            ("[{}]", "array into Go value of type server.ClientOpts"),
        ] {
            assert_eq!(refusal(json), format!("json: cannot unmarshal {expected}"), "{json}");
        }
        assert_eq!(read(r#"{"protocol":-9223372036854775808}"#).unwrap().protocol, i64::MIN);
        assert_eq!(read(r#"{"protocol":-0}"#).unwrap().protocol, 0);
    }

    #[test]
    fn secrets_do_not_show() {
        let json = r#"{"nkey":"s3cret","jwt":"s3cret","sig":"s3cret","auth_token":"s3cret",
            "pass":"s3cret","proxy_sig":"s3cret","user":"bob"}"#;
        let shown = format!("{:?}", read(json).unwrap());
        assert!(shown.contains("bob") && !shown.contains("s3cret"), "{shown}");
    }
}
