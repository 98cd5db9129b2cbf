//! JSON as Go's `encoding/json` reads it, as far as CONNECT and INFO need it.
//!
//! Two passes, as there: [`Object::read`] checks all of the text first, then its members are
//! walked. Neither recurses, so a stranger's nesting costs no stack. Differences of Go from stricter readers:
//! names match case-insensitively, a byte that is not UTF-8 reads as U+FFFD, the last of several
//! equal names wins, and nesting ends at 10,000. Error texts are those of nats-server's log.

mod syntax;
mod value;

use std::borrow::Cow;
use std::fmt;

pub(crate) use self::value::Value;

/// Why a text was refused. The text is what nats-server logs; it quotes names and numbers of the
/// JSON, never strings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonError(pub(crate) String);

impl fmt::Display for JsonError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for JsonError {}

/// A value that does not fit the field it was given for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Misfit {
    /// What was met: `number`, `number 1.5`, `string`, `bool`, `array`, `object`.
    pub(crate) met: String,
    /// Go's name of the type that was wanted.
    pub(crate) wanted: &'static str,
    /// Path below the field, with its leading dot.
    pub(crate) path: String,
    /// Whether the misfit is an element of a list: Go words that differently.
    pub(crate) element: bool,
}

impl Misfit {
    /// The log's text for field `name` of Go's struct `of`.
    pub(crate) fn in_field(&self, of: &str, name: &str) -> JsonError {
        let Self { met, wanted, path, element } = self;
        let place = if *element { "" } else { "Go struct field " };
        JsonError(format!(
            "json: cannot unmarshal {met} into {place}{of}.{name}{path} of type {wanted}"
        ))
    }
}

/// A checked JSON object.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Object<'a> {
    /// Valid JSON from its `{`; what follows its `}` is not read.
    text: &'a [u8],
}

impl<'a> Object<'a> {
    /// Checks that `text` is JSON and an object; `None` for a top-level `null`.
    ///
    /// `of` is the name of Go's struct, for the error's text.
    pub(crate) fn read(text: &'a [u8], of: &str) -> Result<Option<Self>, JsonError> {
        syntax::check(text)?;
        let start = text.iter().take_while(|&&byte| syntax::is_space(byte)).count();
        match Value::of(&text[start..]) {
            Value::Null => Ok(None),
            Value::Object(object) => Ok(Some(object)),
            other => Err(JsonError(format!(
                "json: cannot unmarshal {} into Go value of type server.{of}",
                other.kind()
            ))),
        }
    }

    /// The members in order, duplicates included.
    pub(crate) fn members(self) -> Members<'a> {
        Members { rest: &self.text[1..] }
    }
}

/// Walks an object. Holds what follows its `{` or a member's value.
pub(crate) struct Members<'a> {
    rest: &'a [u8],
}

/// One member of an object.
pub(crate) struct Member<'a> {
    /// Unescaped.
    pub(crate) name: Cow<'a, str>,
    pub(crate) value: Value<'a>,
    /// Length of the value as written.
    pub(crate) value_bytes: usize,
    /// From the start of the value to the end of the whole text.
    pub(crate) tail_bytes: usize,
}

impl<'a> Iterator for Members<'a> {
    type Item = Member<'a>;

    fn next(&mut self) -> Option<Member<'a>> {
        let name_start = self.rest.iter().position(|&byte| byte == b'"' || byte == b'}')?;
        let text = &self.rest[name_start..];
        if text[0] == b'}' {
            return None;
        }
        let name_bytes = value::length(text);
        // Between name and value stand blanks and one colon only: the text was checked.
        let gap = text[name_bytes..]
            .iter()
            .take_while(|&&byte| byte == b':' || syntax::is_space(byte))
            .count();
        let value_text = &text[name_bytes + gap..];
        let value_bytes = value::length(value_text);
        self.rest = &value_text[value_bytes..];
        Some(Member {
            name: value::unescape(&text[1..name_bytes - 1]),
            value: Value::of(value_text),
            value_bytes,
            tail_bytes: value_text.len(),
        })
    }
}

/// A name in the form in which Go compares it with the names of fields: lower case, and the two
/// characters outside ASCII that Unicode folds to ASCII letters.
pub(crate) fn fold(name: &str) -> String {
    name.chars()
        .map(|character| match character {
            '\u{17f}' => 's',
            '\u{212a}' => 'k',
            other => other.to_ascii_lowercase(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::Object;

    fn refusal(text: impl AsRef<[u8]>) -> String {
        Object::read(text.as_ref(), "Test").unwrap_err().to_string()
    }

    #[test]
    fn wrong_json_is_refused_in_the_servers_words() {
        // Each line was provoked from nats-server 2.15.1.
        for (text, problem) in [
            (&b"{x}"[..], "'x' looking for beginning of object key string"),
            (b"{,}", "',' looking for beginning of object key string"),
            (b"{'a':1}", r"'\'' looking for beginning of object key string"),
            (b"{1:1}", "'1' looking for beginning of object key string"),
            (b"{\"a\":true,}", "'}' looking for beginning of object key string"),
            (b"{\"a\"}", "'}' after object key"),
            (b"{\"a\" true}", "'t' after object key"),
            (b"{\"a\":true x}", "'x' after object key:value pair"),
            (b"{\"a\":01}", "'1' after object key:value pair"),
            (b"{\"a\":1.5.5}", "'.' after object key:value pair"),
            (b"{\"a\":[1,]}", "']' looking for beginning of value"),
            (b"{\"a\":.5}", "'.' looking for beginning of value"),
            (b"{\"a\":\xff}", r"'\xff' looking for beginning of value"),
            (b"{\"a\":\xc3\xa9}", "'é' looking for beginning of value"),
            (b"\xef\xbb\xbf{}", r"'\ufeff' looking for beginning of value"),
            (b"\xc3", r"'\xc3' looking for beginning of value"),
            (b"{\"a\":[1 2]}", "'2' after array element"),
            (b"{\"a\":-}", "'}' in numeric literal"),
            (b"{\"a\":1.}", "'}' in numeric literal"),
            (b"{\"a\":1e}", "'}' in numeric literal"),
            (b"-x", "'x' in numeric literal"),
            (b"{\"a\":tru}", "'}' in literal true (expecting 'e')"),
            (b"{\"a\":tRue}", "'R' in literal true (expecting 'r')"),
            (b"nulx", "'x' in literal null (expecting 'l')"),
            (b"{\"a\":\"\t\"}", r"'\t' in string"),
            (b"{\"a\x01\":1}", r"'\x01' in string"),
            (b"{}x", "'x' after top-level value"),
            (b"{}\x00", r"'\x00' after top-level value"),
            (b"{} {}", "'{' after top-level value"),
            (b"00", "'0' after top-level value"),
        ] {
            assert_eq!(refusal(text), format!("invalid character {problem}"), "{text:?}");
        }
        for (text, escape) in [
            (&b"{\"a\":\"\\q\"}"[..], r"`\q`"),
            (b"{\"a\":\"\\'\"}", r"`\'`"),
            (b"{\"a\":\"\\u12g4\"}", r"`\u12g4`"),
            (b"{\"a\":\"\\u12\"}", r#"`\u12"}`"#),
            (b"{\"a\":\"\\ud800\\u12g4\"}", r"`\u12g4`"),
            (b"{\"a\":\"\\u1x", r"`\u1x`"),
            (b"{\"a\":\"\\`\"}", r#""\\`""#),
            (b"{\"a\":\"\\\xff\"}", r#""\\\xff""#),
        ] {
            let expected = format!("invalid escape sequence {escape} in string");
            assert_eq!(refusal(text), expected, "{text:?}");
        }
    }

    #[test]
    fn what_breaks_off_is_refused() {
        let whole = br#"{"a":[1,-2.5e+3,true,false,null,{"b":"\u00e9\n"}],"c":{}}"#;
        for end in 0..whole.len() {
            assert_eq!(refusal(&whole[..end]), "unexpected end of JSON input", "{end}");
        }
        assert!(Object::read(whole, "Test").unwrap().is_some());
        assert_eq!(refusal("\"a"), "unexpected end of JSON input");
        assert_eq!(refusal("-"), "unexpected end of JSON input");
    }

    #[test]
    fn nesting_ends_at_ten_thousand() {
        let nested = |depth: usize| format!("{}1{}", r#"{"a":"#.repeat(depth), "}".repeat(depth));
        assert!(Object::read(nested(10_000).as_bytes(), "Test").is_ok());
        assert_eq!(refusal(nested(10_001)), "exceeded max depth");
        assert_eq!(refusal("[".repeat(1_000_000)), "exceeded max depth");
    }

    #[test]
    fn members_come_in_order_with_their_text() {
        let text = br#" { "a" : [ "]" , {"b":"}"} ] ,"c":"\"","c":1 , "d" : null } "#;
        let members: Vec<(String, Vec<u8>)> = Object::read(text, "Test")
            .unwrap()
            .unwrap()
            .members()
            .map(|member| {
                let start = text.len() - member.tail_bytes;
                (member.name.into_owned(), text[start..start + member.value_bytes].to_vec())
            })
            .collect();
        let expected: [(&str, &[u8]); 4] =
            [("a", br#"[ "]" , {"b":"}"} ]"#), ("c", br#""\"""#), ("c", b"1"), ("d", b"null")];
        assert_eq!(members, expected.map(|(name, raw)| (name.to_owned(), raw.to_vec())));
    }
}
