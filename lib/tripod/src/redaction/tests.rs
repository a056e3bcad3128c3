use proptest::prelude::*;

use super::*;

fn check(text: &str, expected: &str) {
    let redactor = Redactor::default();
    let redacted = redactor.text(text);
    assert_eq!(redacted, expected, "from {text}");
    assert_eq!(redactor.text(&redacted), expected, "a second time, from {text}");
}

fn unchanged(text: &str) {
    assert!(matches!(Redactor::default().text(text), Cow::Borrowed(_)), "{text}: {}", Redactor::default().text(text));
}

#[test]
fn keys_in_names() {
    let redactor = Redactor::default();
    for name in [
        "password",
        "db_password",
        "PASSWORD",
        "X-Api-Key",
        "x_api_key",
        "apiKey",
        "APIKEY",
        "http.request.header.authorization",
        "Set-Cookie",
        "clientSecret",
        "access_token",
        "accessToken",
        "refresh_token",
        "aws_secret_access_key",
        "card_pin",
        "cardPin",
        "user.ssn",
        "db_pass",
        "private-key",
        "OTLP_API_KEY",
        "gh_token",
    ] {
        assert!(redactor.is_secret(name), "{name}");
    }
    for name in [
        "session_id",
        "request_id",
        "user_id",
        "command",
        "mapping",
        "pin_count",
        "spinning",
        "author",
        "path",
        "passed",
        "token_type",
        "gen_ai.token.type",
        "tokenizer",
        "auth.type",
        "key",
        "monkey",
        "bypass_count",
        "duration_seconds",
    ] {
        assert!(!redactor.is_secret(name), "{name}");
    }
}

#[test]
fn values_of_secret_names() {
    let redactor = Redactor::default();
    let after = |name: &str, value: Value| {
        let mut value = value;
        redactor.field(name, &mut value);
        value
    };
    assert_eq!(after("password", Value::from("hunter2")), Value::from("[REDACTED]"));
    assert_eq!(after("pin", Value::Integer(1234)), Value::from("[REDACTED]"));
    assert_eq!(after("has_password", Value::Bool(true)), Value::Bool(true));
    assert_eq!(after("gen_ai.usage.input_tokens", Value::Integer(12)), Value::Integer(12));
    assert_eq!(after("refresh_tokens", Value::from(vec!["abc"])), Value::from("[REDACTED]"));
    assert_eq!(after("number", Value::Integer(4_111_111_111_111_111)), Value::from("[REDACTED:card]"));
    assert_eq!(after("time", Value::Unsigned(1_768_559_445_123_456_000)), Value::Unsigned(1_768_559_445_123_456_000));
    assert_eq!(
        after(
            "request",
            Value::Map(vec![
                ("headers".into(), Value::Map(vec![("cookie".into(), Value::from("a=b"))])),
                ("list".into(), Value::from(vec!["a@example.com", "b"]))
            ])
        ),
        Value::Map(vec![
            ("headers".into(), Value::Map(vec![("cookie".into(), Value::from("[REDACTED]"))])),
            ("list".into(), Value::from(vec!["[REDACTED:email]", "b"]))
        ])
    );
}

#[test]
fn keys_in_text() {
    check("login with password=hunter2 failed", "login with password=[REDACTED] failed");
    check(r#"{"user":"a","password":"hun\"ter2","n":1}"#, r#"{"user":"a","password":"[REDACTED]","n":1}"#);
    check(r#"body: "{\"api_key\":\"abc\",\"n\":1}""#, r#"body: "{\"api_key\":\"[REDACTED]\",\"n\":1}""#);
    check(r#"User { name: "a", password: "hunter2" }"#, r#"User { name: "a", password: "[REDACTED]" }"#);
    check(r#"Config { token: Some("abc"), n: 1 }"#, r#"Config { token: Some([REDACTED]), n: 1 }"#);
    check("Authorization: Bearer abc.def", "Authorization: [REDACTED]");
    check("authorization=Bearer abc.def path=/x", "authorization=[REDACTED] path=/x");
    check("Cookie: a=1; b=2\nHost: x", "Cookie: [REDACTED]\nHost: x");
    check("token=password: hunter2", "token=[REDACTED] [REDACTED]");
    check("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.password=hunter2", "[REDACTED:jwt]=[REDACTED]");
    check("X-Api-Key: abc123\r\n", "X-Api-Key: [REDACTED]\r\n");
    check("/callback?access_token=abc&x=1", "/callback?access_token=[REDACTED]&x=1");
    check(r#"{"secrets": ["a", "b"], "n": 1}"#, r#"{"secrets": [REDACTED], "n": 1}"#);
    check("password%3Dabc", "password%3D[REDACTED]");
    for text in [
        "the password was wrong",
        "token::new",
        "password: None",
        r#"{"has_password":true}"#,
        "output_tokens=12",
        "max_tokens: 4096",
        "secret=",
        "mapping: x",
    ] {
        unchanged(text);
    }
}

#[test]
fn patterns() {
    check("mail to jane.doe+x@mail.example.com.", "mail to [REDACTED:email].");
    check("card 4111 1111 1111 1111 ok", "card [REDACTED:card] ok");
    check("card 4111-1111-1111-1111", "card [REDACTED:card]");
    check("378282246310005", "[REDACTED:card]");
    check("call +49 30 1234567 now", "call [REDACTED:phone] now");
    check("call (555) 123-4567", "call [REDACTED:phone]");
    check("call 555-123-4567", "call [REDACTED:phone]");
    check("sent Bearer abcDEF123456", "sent Bearer [REDACTED:credentials]");
    check("sent Basic dXNlcjpwYXNz", "sent Basic [REDACTED:credentials]");
    check("got eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl.", "got [REDACTED:jwt].");
    check(
        "key:\n-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\nrest",
        "key:\n[REDACTED:private_key]\nrest",
    );
    check("cut -----BEGIN PRIVATE KEY-----\nMIIE", "cut [REDACTED:private_key]");
    check("id AKIAIOSFODNN7EXAMPLE used", "id [REDACTED:aws_key] used");
    check("with ghp_abcdefghijklmnopqrstuvwxyz0123456789", "with [REDACTED:api_key]");
    check("postgresql://user:pa@ss@host:5432/db", "postgresql://[REDACTED:url]@host:5432/db");
    check("postgresql://user:pa/s?s@host.org/db", "postgresql://[REDACTED:url]@host.org/db");
    check("https://h.example/?password=hunter2&sig=abc", "https://h.example/?password=[REDACTED]&sig=[REDACTED]");
    check("https://b.example/o?X-Amz-Signature=abc&n=1", "https://b.example/o?X-Amz-Signature=[REDACTED]&n=1");
}

#[test]
fn what_is_no_secret_stays() {
    for text in [
        "550e8400-e29b-41d4-a716-446655440000",
        "2026-01-16T10:30:45.123456Z",
        "2026-01-16 10:30:45",
        "0af7651916cd43dd8448eb211c80319c",
        "1768559445123456000",
        "192.168.100.200:8000",
        "4111111111111112",
        "http://localhost:8000/health",
        "http://[::1]:8000/health?x=1",
        "research quantum computing",
        "basic functionality works",
        "bearer authentication",
        "package@1.2.3",
        "duration 12345678.901234",
        "took 123-456",
        "task-abcdefghijklmnopqrstuvwxyz",
        "-----BEGIN CERTIFICATE-----\nMIIE\n-----END CERTIFICATE-----",
        "SELECT * FROM jobs WHERE id = $1",
        "größer als 5 €",
    ] {
        unchanged(text);
    }
}

#[test]
fn hashes_bring_lines_together() {
    let redactor = Redactor::builder()
        .hash_key([7; 16])
        .key("customer", Action::Hash)
        .pattern(Pattern::Email, Action::Hash)
        .build();
    let first = redactor.text("from a@example.com").into_owned();
    assert!(first.starts_with("from [HASH:") && first.len() == "from [HASH:0123456789abcdef]".len(), "{first}");
    assert_eq!(first, redactor.text("from a@example.com"));
    assert_ne!(first, redactor.text("from b@example.com"));
    let mut value = Value::from("a@example.com");
    redactor.field("customer", &mut value);
    assert_eq!(value.as_str(), first.strip_prefix("from "));
    let other = Redactor::builder().pattern(Pattern::Email, Action::Hash).build();
    assert_ne!(first, other.text("from a@example.com"), "another key gives another hash");
}

#[test]
fn an_application_has_its_own_rules() {
    struct Orders;
    impl Detector for Orders {
        fn find(&self, text: &str, found: &mut Vec<Range<usize>>) {
            found.extend(text.match_indices("ORD-").map(|(start, _)| start..start + 8));
        }
    }
    let redactor = Redactor::builder()
        .keys(["card_holder"])
        .without_key("cookie")
        .without_pattern(Pattern::Email)
        .detector(Orders, Action::Mask)
        .whole_query()
        .build();
    assert_eq!(
        redactor.text("a@example.com ORD-1234 cookie=1 cardHolder=x"),
        "a@example.com [REDACTED] cookie=1 cardHolder=[REDACTED]"
    );
    assert_eq!(redactor.query("page=2&x="), "page=[REDACTED]&x=");
}

#[test]
fn a_context_that_was_clean_is_looked_at_again_when_it_changes() {
    let redactor = Redactor::default();
    let shown = |redactor: &Redactor, context: &crate::context::Context| {
        let mut event = LogEvent::new(crate::logs::Level::Info, "app", "x");
        event.context = context.clone();
        redactor.event(&mut event);
        event.get("mail").and_then(|value| value.as_str().map(str::to_owned))
    };
    let context = crate::context::Context::new().with("mail", "none");
    assert_eq!(shown(&redactor, &context).as_deref(), Some("none"));
    let stricter = Redactor::builder().key("mail", Action::Mask).build();
    assert_eq!(shown(&stricter, &context).as_deref(), Some("[REDACTED]"), "another redactor looks for itself");
    let context = context.with("mail", "someone@example.com");
    assert_eq!(shown(&redactor, &context).as_deref(), Some("[REDACTED:email]"));
    assert_eq!(shown(&redactor, &context).as_deref(), Some("[REDACTED:email]"));
}

#[test]
fn static_names_are_remembered_by_redactor() {
    let name = Name::Borrowed("region");
    let hidden = |redactor: &Redactor| {
        let mut value = Value::from("eu");
        redactor.named(&name, &mut value);
        value == Value::from("[REDACTED]")
    };
    let strict = Redactor::builder().keys(["region"]).build();
    for _ in 0..2 {
        assert!(hidden(&strict));
        assert!(!hidden(&Redactor::default()));
    }
}

/// Text that would take minutes if any scanner looked at it over and over.
#[test]
fn long_hostile_text_is_read_once() {
    let redactor = Redactor::default();
    for part in [
        "token",
        "password=",
        "password=\"",
        "token: Some(",
        "-eyJ",
        "=eyJ",
        "sk-",
        "-sk-",
        "://",
        "://@",
        "a@",
        "AKIA",
        "+1",
        "-----BEGIN PRIVATE KEY-----",
        "bearer ",
        "secret[",
        "1-",
        "\\\"token\\\":",
        "eyJaaaaaaaaaa.",
    ] {
        let text = part.repeat(100_000 / part.len());
        let _ = redactor.text(&text);
        let _ = redactor.is_secret(&text);
        let _ = redactor.query(&text);
    }
}

fn secret() -> impl Strategy<Value = String> {
    prop_oneof![
        "[A-Za-z0-9]{12,30}".prop_map(|value| format!("password={value}")),
        "[a-z]{3,8}@[a-z]{3,8}\\.(com|org)",
        "[A-Za-z0-9]{20}".prop_map(|value| format!("Authorization: Bearer {value}")),
        "[a-z]{8}".prop_map(|value| format!(r#"{{"api_key":"{value}"}}"#)),
        "[a-z]{8}".prop_map(|value| format!("redis://default:{value}@cache/0")),
    ]
}

proptest! {
    #[test]
    fn any_text_is_taken(text in any::<String>()) {
        let redactor = Redactor::default();
        let once = redactor.text(&text).into_owned();
        let _ = redactor.query(&text);
        let _ = redactor.is_secret(&text);
        drop(once);
    }

    #[test]
    fn text_made_of_the_scanners_own_characters_is_taken(
        text in "(password|token|://|@|eyJ|-----BEGIN |PRIVATE KEY|-----|Bearer |[:=\"'\\\\\\[\\]{}() é%3D.+0-9a-z]){0,40}"
    ) {
        let redactor = Redactor::default();
        let _ = redactor.text(&text);
        let _ = redactor.query(&text);
    }

    #[test]
    fn a_secret_between_words_is_hidden(before in "[a-z ]{0,20}", secret in secret(), after in "[a-z ]{0,20}") {
        let text = format!("{before} {secret} {after}");
        let redacted = Redactor::default().text(&text).into_owned();
        prop_assert!(!redacted.contains(&secret), "{}", redacted);
        prop_assert!(redacted.contains("[REDACTED"), "{}", redacted);
        prop_assert!(redacted.starts_with(before.trim_end()));
        prop_assert!(redacted.ends_with(&after));
    }
}
