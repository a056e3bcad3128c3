use super::*;
use crate::ast::{At, BinaryOp, Cardinality, ExprKind, RangeExtension};
use crate::printer::pretty;

fn parsed(query: &str) -> Expr {
    parse(query, Options::ALL).unwrap_or_else(|error| panic!("{query}: {error}"))
}

fn refused(query: &str) -> String {
    match parse(query, Options::ALL) {
        Ok(expr) => panic!("{query} was read as {expr}"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn operators_bind_as_in_the_documentation() {
    for (query, grouped) in [
        ("a + b * c", "(a + (b * c))"),
        ("a - b - c", "((a - b) - c)"),
        ("a ^ b ^ c", "(a ^ (b ^ c))"),
        ("a and b or c unless d", "((a and b) or (c unless d))"),
        ("a == b + c > d", "((a == (b + c)) > d)"),
        ("a </ b + c", "(a </ (b + c))"),
        ("a atan2 b * c % d", "(((a atan2 b) * c) % d)"),
        ("-a ^ b", "-(a ^ b)"),
        ("-a * b", "(-a * b)"),
        ("a ^ -b * c", "((a ^ -b) * c)"),
        ("a ^ -b ^ c", "(a ^ -(b ^ c))"),
        ("- - a", "--a"),
    ] {
        fn group(expr: &Expr) -> String {
            match &expr.kind {
                ExprKind::Binary(it) => format!("({} {} {})", group(&it.lhs), it.op.sign(), group(&it.rhs)),
                ExprKind::Unary { minus, operand } => {
                    format!("{}{}", if *minus { "-" } else { "+" }, group(operand))
                }
                _ => expr.to_string(),
            }
        }
        assert_eq!(group(&parsed(query)), grouped, "{query}");
    }
}

#[test]
fn a_sign_before_a_number_belongs_to_it() {
    assert!(matches!(parsed("-5m").kind, ExprKind::Number { value: -300.0, duration: true }));
    assert!(matches!(parsed("--2").kind, ExprKind::Number { value: 2.0, duration: false }));
    assert!(matches!(parsed("-1 ^ 2").kind, ExprKind::Unary { minus: true, .. }));
}

#[test]
fn modifiers_belong_to_the_selector_before_them() {
    let ExprKind::Binary(sum) = parsed("a + b offset 5m @ 10 * 2").kind else { panic!() };
    let ExprKind::Binary(product) = sum.rhs.kind else { panic!() };
    assert_eq!(product.lhs.to_string(), "b @ 10.000 offset 5m");
    let ExprKind::Matrix(matrix) = parsed(r#"foo{a="b"}[5m] smoothed @ -1.5 offset -1h"#).kind else { panic!() };
    assert_eq!(matrix.range, crate::ast::Duration::Millis(300_000));
    assert_eq!(matrix.vector.offset, Some(crate::ast::Duration::Millis(-3_600_000)));
    assert_eq!(matrix.vector.at, Some(At::Timestamp(-1_500)));
    assert_eq!(matrix.vector.extension, Some(RangeExtension::Smoothed));
    let ExprKind::Subquery(subquery) = parsed("rate(foo[1m])[30m:5s] @ end() offset 1d").kind else { panic!() };
    assert_eq!((subquery.at, subquery.step.is_some()), (Some(At::End), true));
}

#[test]
fn keywords_are_names_where_names_stand() {
    for query in [
        "offset",
        "sum",
        "sum by (by) (by)",
        "start + end",
        "fill + fill_left",
        "and and and",
        "sum{on=\"a\",without=\"b\"}",
        "topk(1, bottomk)",
        "count(a) by (atan2, bool)",
        "step{range=\"1\"}",
        "job:http:rate5m",
        ":colon",
    ] {
        parsed(query);
    }
    assert_eq!(refused("count(atan2)"), "1:7: parse error: unexpected <op:atan2> in aggregation");
    assert!(matches!(&parsed("SUM(foo)").kind, ExprKind::Aggregate(_)));
    assert!(matches!(&parsed("Sum").kind, ExprKind::Vector(vector) if vector.name.as_deref() == Some("Sum")));
}

#[test]
fn vectors_are_matched_as_written() {
    let matching = |query| match parsed(query).kind {
        ExprKind::Binary(binary) => binary.matching,
        _ => panic!("{query}"),
    };
    let one = matching("a + on (x, y) group_left (z) fill_left (-1) fill_right (2) b").unwrap();
    assert_eq!((one.cardinality, one.on), (Cardinality::ManyToOne, true));
    assert_eq!((one.labels, one.include), (vec!["x".to_owned(), "y".to_owned()], vec!["z".to_owned()]));
    assert_eq!((one.fill_left, one.fill_right), (Some(-1.0), Some(2.0)));
    assert_eq!(matching("a and b").unwrap().cardinality, Cardinality::ManyToMany);
    assert_eq!(matching("a + on () b").unwrap().cardinality, Cardinality::OneToOne);
    assert_eq!(matching("a + ignoring (x,) group_right b").unwrap().cardinality, Cardinality::OneToMany);
    assert_eq!(matching("a + 1"), None);
}

#[test]
fn strings_may_hold_what_is_no_utf8_and_labels_may_not() {
    let ExprKind::Aggregate(values) = parsed(r#"count_values("a\xc5z", up)"#).kind else { panic!() };
    assert_eq!(values.param.map(|param| param.kind), Some(ExprKind::String(b"a\xc5z".to_vec())));
    assert_eq!(refused(r#"sum by ("\xff") (up)"#), r#"1:9: parse error: invalid label name for grouping: "\xff""#);
    assert_eq!(
        refused(r#"up{a="\377"}"#),
        r#"1:6: parse error: error unquoting string "\"\\377\"": labels hold UTF-8 alone"#
    );
}

#[test]
fn names_may_be_quoted() {
    let ExprKind::Vector(vector) = parsed(r#"{"my.metric", "a.b"='c', d=~`e|f`,}"#).kind else { panic!() };
    assert_eq!(vector.name, None);
    assert_eq!(format!("{:?}", vector.matchers), r#"[__name__="my.metric", a.b="c", d=~"e|f"]"#);
    parsed(r#"sum by ("a.b", c) ({"x y"})"#);
}

#[test]
fn pieces_are_where_they_stand() {
    let query = "  sum(foo{a=\"b\"}[5m:] offset 1m # why\n) by (x)  + 2";
    let error = parse(query, Options::ALL).unwrap_err();
    assert_eq!(error.message, "expected type instant vector in aggregation expression, got range vector");
    assert_eq!(&query[error.span.start..error.span.end], "foo{a=\"b\"}[5m:] offset 1m");
    assert_eq!(error.place, "1:7");
    let query = "\n -rate( foo[5m] )\n  and on(x) bar";
    let ExprKind::Binary(binary) = parsed(query).kind else { panic!() };
    let piece = |span: Span| &query[span.start..span.end];
    assert_eq!(piece(binary.lhs.span), "-rate( foo[5m] )");
    assert_eq!(piece(binary.op_span), "and");
    assert_eq!(binary.op, BinaryOp::And);
    assert_eq!(piece(binary.rhs.span), "bar");
    assert_eq!(binary.rhs.span.line_column(query), (3, 13));
}

#[test]
fn mistakes_are_named_with_their_place() {
    for (query, message) in [
        ("", "unknown position: parse error: no expression found in input"),
        ("# nothing\n ", "1:1: parse error: no expression found in input"),
        ("foo bar", r#"1:5: parse error: unexpected identifier "bar""#),
        ("foo +", "1:6: parse error: unexpected end of input"),
        ("sum(foo bar)", r#"1:9: parse error: unexpected identifier "bar" in aggregation"#),
        ("sum(foo) 5", r#"1:10: parse error: unexpected number "5""#),
        ("foo[5m] \n  and\n )", "3:3: parse error: unexpected right parenthesis ')'"),
        ("(foo", "1:5: parse error: unclosed left parenthesis"),
        ("foo[5m", r#"1:7: parse error: unclosed left bracket"#),
        ("foo[", "1:5: parse error: unexpected end of input in duration expression"),
        ("foo[bar]", "1:5: parse error: unexpected character in duration expression: 'b'"),
        ("foo[5m bar]", "1:8: parse error: unexpected character: 'b', expected ':'"),
        ("foo[5m 3m]", r#"1:8: parse error: unexpected duration "3m" in subquery or range, expected ":" or "]""#),
        (
            "foo[]",
            r#"1:5: parse error: unexpected "]" in subquery or range selector, expected number, duration, step(), or range()"#,
        ),
        ("foo[0s]", "1:5: parse error: duration must be greater than 0"),
        ("foo[5x]", r#"1:5: parse error: bad number or duration syntax: "5""#),
        ("foo[400y]", "1:5: parse error: duration out of range"),
        ("foo{a=}", r#"1:7: parse error: unexpected "}" in label matching, expected string"#),
        ("foo{a}", r#"1:6: parse error: unexpected "}" in label matching, expected label matching operator"#),
        ("foo{,}", r#"1:5: parse error: unexpected "," in label matching, expected identifier or "}""#),
        (
            r#"foo{a="b" c="d"}"#,
            r#"1:11: parse error: unexpected identifier "c" in label matching, expected "," or "}""#,
        ),
        ("foo{", "1:5: parse error: unexpected end of input inside braces"),
        (r#"foo{a=~"("}"#, "1:5: parse error: error parsing regexp: "),
        ("{}", "1:1: parse error: vector selector must contain at least one non-empty matcher"),
        (r#"{a=~".*"}"#, "1:1: parse error: vector selector must contain at least one non-empty matcher"),
        (r#"foo{__name__="bar"}"#, r#"1:1: parse error: metric name must not be set twice: "foo" or "bar""#),
        ("rate(foo)", r#"1:6: parse error: expected type range vector in call to function "rate", got instant vector"#),
        ("rat(foo)", r#"1:1: parse error: unknown function with name "rat""#),
        ("rate()", r#"1:1: parse error: expected 1 argument(s) in call to "rate", got 0"#),
        ("round(a, 1, 2)", r#"1:1: parse error: expected at most 2 argument(s) in call to "round", got 3"#),
        ("label_join(a)", r#"1:1: parse error: expected at least 3 argument(s) in call to "label_join", got 1"#),
        ("rate(foo[5m],)", "1:13: parse error: trailing commas not allowed in function call args"),
        ("sum()", "1:1: parse error: no arguments for aggregate expression provided"),
        (
            "topk(foo)",
            "1:1: parse error: wrong number of arguments for aggregate expression provided, expected 2, got 1",
        ),
        ("topk(foo, bar)", "1:6: parse error: expected type scalar in aggregation parameter, got instant vector"),
        ("sum by a (b)", r#"1:8: parse error: unexpected identifier "a" in grouping opts, expected "(""#),
        ("sum by (1) (b)", r#"1:9: parse error: unexpected number "1" in grouping opts, expected label"#),
        ("sum by (a b) (b)", r#"1:11: parse error: unexpected identifier "b" in grouping opts, expected "," or ")""#),
        (r#"sum by ("") (b)"#, r#"1:9: parse error: invalid label name for grouping: """#),
        ("1 == 1", "1:3: parse error: comparisons between scalars must use BOOL modifier"),
        ("a + bool b", "1:3: parse error: bool modifier can only be used on comparison operators"),
        ("1 and 2", r#"1:1: parse error: set operator "and" not allowed in binary scalar expression"#),
        ("a and on(x) group_left b", r#"1:1: parse error: no grouping allowed for "and" operation"#),
        ("a + on(x) group_left(x) b", r#"1:3: parse error: label "x" must not occur in ON and GROUP clause at once"#),
        ("a + on(x) 1", "1:1: parse error: vector matching only allowed between instant vectors"),
        ("1 + fill(2) a", "1:1: parse error: filling in missing series only allowed between instant vectors"),
        (r#"1 + "a""#, "1:5: parse error: binary expression must contain only scalar and instant vector types"),
        (
            r#"-"a""#,
            r#"1:1: parse error: unary expression only allowed on expressions of type scalar or instant vector, got "string""#,
        ),
        ("1[5m]", "1:2: parse error: ranges only allowed for vector selectors"),
        ("foo offset 1m[5m]", "1:14: parse error: no offset modifiers allowed before range"),
        ("foo @ 1[5m]", "1:8: parse error: no @ modifiers allowed before range"),
        ("1[5m:]", "1:1: parse error: subquery is only allowed on instant vector, got scalar instead"),
        (
            "foo offset",
            "1:11: parse error: unexpected end of input in offset, expected number, duration, step(), or range()",
        ),
        ("foo offset 1m offset 2m", "1:1: parse error: offset may not be set multiple times"),
        (
            "sum(foo) offset 1m",
            "1:1: parse error: offset modifier must be preceded by an instant vector selector or range vector selector or a subquery",
        ),
        ("foo @ bar", r#"1:7: parse error: unexpected identifier "bar" in @, expected timestamp"#),
        ("foo @ Inf", "1:1: parse error: timestamp out of bounds for @ modifier: +Inf"),
        ("foo @ 1 @ 2", "1:1: parse error: @ <timestamp> may not be set multiple times"),
        ("foo[5m:1m] anchored", "1:1: parse error: anchored modifier is not supported for subqueries"),
        ("foo[1m] anchored smoothed", "1:1: parse error: anchored and smoothed modifiers cannot be used together"),
        ("foo[1m/0]", "1:7: parse error: division by zero"),
        ("info(foo, bar)", "1:11: parse error: expected label selectors only, got vector selector instead"),
        ("info(foo, 1)", r#"1:1: parse error: expected type instant vector in call to function "info", got scalar"#),
        ("\"a", "1:1: parse error: unterminated quoted string"),
        ("\"\\q\"", "1:1: parse error: unknown escape sequence U+0071 'q'"),
        ("`a", "1:1: parse error: unterminated raw string"),
        ("1e400", r#"1:1: parse error: error parsing number: strconv.ParseFloat: parsing "1e400": value out of range"#),
        ("foo!bar", "1:4: parse error: unexpected character after '!': 'b'"),
        ("foo =~ bar", "1:5: parse error: unexpected character after '=': '~'"),
        ("ä", "1:1: parse error: unexpected character: 'ä'"),
        // The column counts bytes.
        ("\"ä\" $", "1:6: parse error: unexpected character: '$'"),
    ] {
        let found = refused(query);
        if message.ends_with("regexp: ") {
            assert!(found.starts_with(message), "{query}: {found}");
        } else {
            assert_eq!(found, message, "{query}");
        }
    }
}

#[test]
fn what_is_experimental_needs_its_switch() {
    for (query, message) in [
        ("mad_over_time(foo[5m])", r#"1:1: parse error: function "mad_over_time" is not enabled"#),
        ("start()", r#"1:1: parse error: function "start" is not enabled"#),
        (
            "limitk(2, foo)",
            "1:1: parse error: limitk() is experimental and must be enabled with \
             --enable-feature=promql-experimental-functions",
        ),
        ("foo[5m + 1m]", "1:5: parse error: experimental duration expression is not enabled"),
        ("foo offset step()", "1:12: parse error: experimental duration expression is not enabled"),
        ("foo[5m] anchored", "1:1: parse error: anchored modifier is experimental and not enabled"),
        ("foo + fill(0) bar", "1:1: parse error: binop fill modifiers are experimental and not enabled"),
    ] {
        assert_eq!(parse(query, Options::default()).unwrap_err().to_string(), message);
        parsed(query);
    }
    assert!(parse("fill + foo offset -(5m)", Options::default()).is_ok());
}

#[test]
fn selectors_alone_may_select_everything() {
    assert!(parse_selector("{}").unwrap().matchers.is_empty());
    assert_eq!(parse_selector("sum{a!=\"b\"}").unwrap().to_string(), "sum{a!=\"b\"}");
    assert_eq!(parse_selector("foo[5m]").unwrap_err().to_string(), r#"1:4: parse error: unexpected "[""#);
    assert_eq!(parse_selector("").unwrap_err().to_string(), "unknown position: parse error: unexpected end of input");
}

#[test]
fn depth_and_length_are_bounded() {
    let deep = "the expression is nested too deeply: more than ";
    let nested = |levels: usize| format!("{}foo{}", "(".repeat(levels), ")".repeat(levels));
    let chain = |operands: usize| vec!["foo"; operands].join(" + ");
    for (fits, exceeds) in [
        (nested(90), nested(110)),
        (chain(256), chain(300)),
        ("-".repeat(90) + "foo", "-".repeat(100_000) + "foo"),
        (vec!["a"; 90].join(" ^ "), vec!["a"; 50_000].join(" ^ ")),
        (format!("foo[{}5m{}]", "(".repeat(90), ")".repeat(90)), format!("foo[{}", "(".repeat(100_000))),
        ("foo[5m:]".to_owned(), "foo".to_owned() + &"[5m:]".repeat(1_000)),
        ("sum(".repeat(90) + "foo" + &")".repeat(90), "sum(".repeat(100_000)),
    ] {
        let expr = parsed(&fits);
        assert!(!pretty(&expr).is_empty() && !crate::printer::to_json(&expr).is_empty());
        let error = parse(&exceeds, Options::ALL).unwrap_err();
        assert!(error.message.starts_with(deep), "{}: {error}", &exceeds[..40]);
    }
    let error = parse(&"a".repeat(MAX_LENGTH + 1), Options::ALL).unwrap_err();
    assert_eq!(error.message, "the query has 1048577 bytes; at most 1048576 are read");
}
