//! Baggage: names and values that travel with a request (W3C Baggage).

use std::fmt::Write;

use crate::redaction::Redactor;

/// Members that are kept at most (W3C Baggage, section 3.3.2).
pub(super) const MAX_MEMBERS: usize = 64;
/// Bytes of the header that are kept at most.
pub(super) const MAX_BYTES: usize = 8192;

/// Names with values, in the order in which they were set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Baggage(Vec<Member>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Member {
    name: String,
    value: String,
    /// Properties, as they came.
    properties: String,
}

impl Baggage {
    /// The value of a name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|member| member.name == name).map(|member| member.value.as_str())
    }

    /// Names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|member| (member.name.as_str(), member.value.as_str()))
    }

    /// Whether there are no members.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Members.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Sets a value. Names that are no token (RFC 9110) and members over [`MAX_MEMBERS`] are ignored.
    pub fn set(&mut self, name: &str, value: &str) {
        self.set_member(name, value.to_owned(), String::new());
    }

    /// Removes a member.
    pub fn remove(&mut self, name: &str) {
        self.0.retain(|member| member.name != name);
    }

    fn set_member(&mut self, name: &str, value: String, properties: String) {
        if !is_token(name) {
            return;
        }
        if let Some(member) = self.0.iter_mut().find(|member| member.name == name) {
            member.value = value;
            member.properties = properties;
        } else if self.0.len() < MAX_MEMBERS {
            self.0.push(Member { name: name.to_owned(), value, properties });
        }
    }

    /// Reads a header into the baggage. Members that break the syntax are left out, the others kept.
    pub fn parse(&mut self, header: &str) {
        let mut bytes = 0;
        for member in header.split(',') {
            bytes += member.len() + 1;
            if bytes > MAX_BYTES + 1 {
                return;
            }
            let (pair, properties) = member.split_once(';').unwrap_or((member, ""));
            let Some((name, value)) = pair.split_once('=') else { continue };
            let (name, value) = (name.trim(), value.trim());
            if value.bytes().any(|byte| !is_value_byte(byte)) {
                continue;
            }
            self.set_member(name, decode_percent(value), properties.trim().to_owned());
        }
    }

    /// The members that may leave the application, redacted.
    pub(super) fn leaving(&self, allow: impl Fn(&str) -> bool, redactor: &Redactor) -> Self {
        let redacted = |member: &Member| Member {
            name: member.name.clone(),
            value: redactor.named_text(&member.name, &member.value).into_owned(),
            properties: redactor.text(&member.properties).into_owned(),
        };
        Self(self.0.iter().filter(|member| allow(&member.name)).map(redacted).collect())
    }

    /// The header's text; `None` when there are no members.
    pub fn header(&self) -> Option<String> {
        let mut text = String::new();
        for member in &self.0 {
            let before = text.len();
            if before > 0 {
                text.push(',');
            }
            text.push_str(&member.name);
            text.push('=');
            encode_percent(&member.value, &mut text);
            if !member.properties.is_empty() {
                text.push(';');
                text.push_str(&member.properties);
            }
            if text.len() > MAX_BYTES {
                text.truncate(before);
                break;
            }
        }
        (!text.is_empty()).then_some(text)
    }
}

fn is_token(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 256
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

/// `baggage-octet`, with `%` for the encoding.
fn is_value_byte(byte: u8) -> bool {
    matches!(byte, 0x21 | 0x23..=0x2B | 0x2D..=0x3A | 0x3C..=0x5B | 0x5D..=0x7E)
}

/// Writes text as percent-encoded `baggage-octet`s.
pub(crate) fn encode_percent(text: &str, out: &mut String) {
    for byte in text.bytes() {
        if is_value_byte(byte) && byte != b'%' {
            out.push(byte.into());
        } else {
            // Writing to a string cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
}

/// Reads percent-encoded text. What is no encoding stays as it is; what is no UTF-8 becomes U+FFFD.
pub(crate) fn decode_percent(text: &str) -> String {
    if !text.contains('%') {
        return text.to_owned();
    }
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let encoded = (bytes[at] == b'%')
            .then(|| bytes.get(at + 1..at + 3))
            .flatten()
            .filter(|digits| digits.iter().all(u8::is_ascii_hexdigit))
            .and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        match encoded {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8(out).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn keeps_properties_and_leaves_out_broken_members() {
        let mut baggage = Baggage::default();
        baggage.parse("user=alice%20b , broken, region = eu;ttl=5;x, =1, quoted=\"a\"");
        assert_eq!(baggage.get("user"), Some("alice b"));
        assert_eq!(baggage.get("region"), Some("eu"));
        assert_eq!(baggage.len(), 2);
        assert_eq!(baggage.header().unwrap(), "user=alice%20b,region=eu;ttl=5;x");
        let leaving = |allow: fn(&str) -> bool| baggage.leaving(allow, &Redactor::default()).header();
        assert_eq!(leaving(|name| name == "region").unwrap(), "region=eu;ttl=5;x");
        assert_eq!(leaving(|_| false), None);
    }

    #[test]
    fn secrets_do_not_leave() {
        let mut baggage = Baggage::default();
        baggage.parse("api_key=hunter2,plan=free,contact=a@example.com;by=b@example.com");
        let header = baggage.leaving(|_| true, &Redactor::default()).header().unwrap();
        assert!(header.contains("plan=free"), "{header}");
        assert!(!header.contains("hunter2") && !header.contains("example.com"), "{header}");
        assert_eq!(header.split(',').count(), 3);
    }

    #[test]
    fn is_bounded() {
        let mut baggage = Baggage::default();
        (0..200).for_each(|n| baggage.set(&format!("n{n}"), &"v".repeat(500)));
        assert_eq!(baggage.len(), MAX_MEMBERS);
        assert!(baggage.header().unwrap().len() <= MAX_BYTES);
    }

    proptest! {
        #[test]
        fn any_value_survives_the_header(value in "\\PC{0,60}") {
            let mut baggage = Baggage::default();
            baggage.set("name", &value);
            let header = baggage.header().unwrap();
            prop_assert!(header.is_ascii());
            let mut back = Baggage::default();
            back.parse(&header);
            prop_assert_eq!(back.get("name"), Some(value.as_str()));
        }

        #[test]
        fn any_header_is_read_without_panic(header in "\\PC{0,200}") {
            let mut baggage = Baggage::default();
            baggage.parse(&header);
            let mut again = Baggage::default();
            again.parse(&baggage.header().unwrap_or_default());
            prop_assert!(again.len() <= baggage.len());
        }
    }
}
