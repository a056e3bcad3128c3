use proptest::prelude::*;

use super::*;
use crate::ast::Span;
use crate::parser::{Options, parse};

#[test]
fn one_line_is_as_prometheus_writes_it() {
    for (query, text) in [
        ("sum(a)by(x,y)", "sum by (x, y) (a)"),
        (r#"count_values("\xc5\303\251", a)"#, r#"count_values("\xc5é", a)"#),
        ("sum by () (a)", "sum(a)"),
        ("sum without () (a)", "sum without () (a)"),
        (r#"sum by ("a b") (x)"#, r#"sum by ("a b") (x)"#),
        ("topk(2,a)", "topk(2, a)"),
        ("a==bool on()b", "a == bool on () b"),
        ("a+ignoring()b", "a + b"),
        ("a*ignoring()group_left b", "a * ignoring () group_left () b"),
        ("a+fill_left(1)fill_right(1)b", "a + fill (1) b"),
        ("a+fill(1000000)b", "a + fill (1e+06) b"),
        (r#"{b="c",a="d",__name__="x"}"#, r#"{__name__="x",a="d",b="c"}"#),
        (r#"{"x.y",'a b'=~`\d`}"#, r#"{"a b"=~"\\d",__name__="x.y"}"#),
        (r#"x{a="1"}"#, r#"x{a="1"}"#),
        ("x[90s]offset 5m@10", "x[1m30s] @ 10.000 offset 5m"),
        ("x offset -5m smoothed@start()", "x @ start() smoothed offset -5m"),
        ("x[5m:]", "x[5m:]"),
        ("x[300:60]offset-1", "x[5m:1m] offset -1s"),
        ("x offset 0s", "x"),
        ("x offset (5m) @ 3 * y", "x offset (5m) @ 3.000 * y"),
        ("x @ 3 offset -+5 * 2s", "x offset ++-5 * 2s @ 3.000"),
        ("x[5m*2]offset(step()+1)", "x[5m * 2] offset (step() + 1)"),
        ("x[((5))]", "x[(5)]"),
        ("x[max_of(1s,-step())]", "x[max_of(1s, -step())]"),
        ("-5m", "-5m"),
        ("1e3", "1000"),
        ("+inf", "+Inf"),
        ("0x10", "16"),
        ("'a\"'", r#""a\"""#),
        ("label_join(a,'b','c')", r#"label_join(a, "b", "c")"#),
        ("a atan2(b)", "a atan2 (b)"),
    ] {
        assert_eq!(parse(query, Options::ALL).unwrap().to_string(), text, "{query}");
    }
}

#[test]
fn long_expressions_are_split_over_lines() {
    let long = "a_metric_with_a_name_that_takes_a_whole_lot_of_room";
    for (query, lines) in [
        (format!("sum({long})"), vec![format!("sum({long})")]),
        (
            format!("topk(3, rate({long}{{x=\"y\"}}[5m])) / on(x) group_left() (-{long}{long})"),
            vec![
                format!("  topk(3, rate({long}{{x=\"y\"}}[5m]))"),
                "/ on (x) group_left ()".to_owned(),
                "  (".to_owned(),
                format!("    -{long}{long}"),
                "  )".to_owned(),
            ],
        ),
        (
            format!("quantile by (x) (0.5, max_over_time(({long} + {long})[1h:5m]))"),
            vec![
                "quantile by (x) (".to_owned(),
                "  0.5,".to_owned(),
                "  max_over_time(".to_owned(),
                "    (".to_owned(),
                format!("        {long}"),
                "      +".to_owned(),
                format!("        {long}"),
                "    )[1h:5m]".to_owned(),
                "  )".to_owned(),
                ")".to_owned(),
            ],
        ),
    ] {
        let expr = parse(&query, Options::ALL).unwrap();
        let text = pretty(&expr);
        assert_eq!(text.lines().collect::<Vec<_>>(), lines, "{query}");
        assert_eq!(parse(&text, Options::ALL).unwrap().to_string(), expr.to_string());
    }
}

#[test]
fn json_is_as_the_http_api_gives_it() {
    for (query, json) in [
        (
            "sum by (x) (foo)",
            r#"{"type":"aggregation","op":"sum","expr":{"type":"vectorSelector","name":"foo","offset":0,"offsetExpr":null,
            "matchers":[{"name":"__name__","value":"foo","type":"="}],"timestamp":null,"startOrEnd":null,"anchored":false,
            "smoothed":false},"param":null,"grouping":["x"],"without":false}"#,
        ),
        (
            "pi() > bool -1",
            r#"{"type":"binaryExpr","op":">","lhs":{"type":"call","func":{"name":"pi","argTypes":[],"variadic":0,
            "returnType":"scalar"},"args":[]},"rhs":{"type":"numberLiteral","val":"-1"},"matching":null,"bool":true}"#,
        ),
        (
            "a / on (x) group_left (y) fill_left (2) b",
            r#"{"type":"binaryExpr","op":"/","bool":false,"matching":{"card":"many-to-one","labels":["x"],"on":true,
            "include":["y"],"fillValues":{"lhs":2,"rhs":null}},"lhs":{"type":"vectorSelector","name":"a","offset":0,
            "offsetExpr":null,"matchers":[{"name":"__name__","value":"a","type":"="}],"timestamp":null,"startOrEnd":null,
            "anchored":false,"smoothed":false},"rhs":{"type":"vectorSelector","name":"b","offset":0,"offsetExpr":null,
            "matchers":[{"name":"__name__","value":"b","type":"="}],"timestamp":null,"startOrEnd":null,"anchored":false,
            "smoothed":false}}"#,
        ),
        (
            r#"rate({a=~"\""}[5m] @ 2 smoothed offset -step())"#,
            r#"{"type":"call","func":{"name":"rate","argTypes":["matrix"],"variadic":0,"returnType":"vector"},"args":[{
            "type":"matrixSelector","name":"","range":300000,"rangeExpr":null,"offset":0,"offsetExpr":{"type":"durationExpr",
            "op":"-","lhs":null,"rhs":{"type":"durationExpr","op":"step","lhs":null,"rhs":null,"wrapped":false},
            "wrapped":false},"matchers":[{"name":"a","value":"\"","type":"=~"}],"timestamp":2000,"startOrEnd":null,
            "anchored":false,"smoothed":true}]}"#,
        ),
        (
            "foo[5m:(1s)] @ end() offset -1m",
            r#"{"type":"subquery","expr":{"type":"vectorSelector","name":"foo","offset":0,"offsetExpr":null,"matchers":[{
            "name":"__name__","value":"foo","type":"="}],"timestamp":null,"startOrEnd":null,"anchored":false,
            "smoothed":false},"range":300000,"rangeExpr":null,"offset":-60000,"offsetExpr":null,"step":0,"stepExpr":{
            "type":"durationExpr","op":"+","lhs":null,"rhs":{"type":"numberLiteral","val":"1","duration":true},
            "wrapped":true},"timestamp":null,"startOrEnd":"end"}"#,
        ),
    ] {
        let found: serde_json::Value = serde_json::from_str(&to_json(&parse(query, Options::ALL).unwrap())).unwrap();
        let expected: serde_json::Value = serde_json::from_str(json).unwrap();
        assert_eq!(found, expected, "{query}");
    }
}

/// Queries of every construct, with numbers and names in their many forms.
fn query() -> impl Strategy<Value = String> {
    let duration = prop_oneof![
        (1u32..10_000, "ms|s|m|h|d|w").prop_map(|(number, unit)| format!("{number}{unit}")),
        (1u32..1_000).prop_map(|seconds| seconds.to_string()),
        Just("1h30m".to_owned()),
        Just("step()".to_owned()),
        Just("(range() + 5m * 2)".to_owned()),
        Just("max_of(step(), -3 ^ 2)".to_owned()),
        Just("-(step() % 7s)".to_owned()),
    ]
    .boxed();
    let matcher = ("[a-z_][a-z0-9_]{0,5}|\"\\PC{1,5}\"", "=|!=|=~|!~", "[ -~&&[^\"\\\\]]{0,5}").prop_filter_map(
        "a regular expression",
        |(name, op, value)| {
            let name = if name.starts_with('"') { crate::literal::quote(&name[1..name.len() - 1]) } else { name };
            let text = format!("{name}{op}\"{value}\"");
            crate::parser::parse_selector(&format!("{{{text}}}")).is_ok().then_some(text)
        },
    );
    let series = ("[a-z_:][a-z0-9_:]{1,6}|sum|offset|start|fill", proptest::collection::vec(matcher, 0..3))
        .prop_map(|(name, matchers)| format!("{name}{{{}}}", matchers.join(",")));
    let modifiers = prop_oneof![
        4 => Just(String::new()),
        1 => Just(" @ start()".to_owned()),
        1 => (-10_000i32..10_000).prop_map(|seconds| format!(" @ {seconds}.125")),
        1 => duration.clone().prop_map(|duration| format!(" offset {duration}")),
        1 => duration.clone().prop_map(|duration| format!(" @ end() offset -{duration}")),
    ]
    .boxed();
    let extension = prop_oneof![3 => Just(""), 1 => Just(" smoothed"), 1 => Just(" anchored")];
    let matrix = (series.clone(), duration.clone(), extension, modifiers.clone())
        .prop_map(|(series, range, extension, modifiers)| format!("{series}[{range}]{extension}{modifiers}"));
    let scalar = prop_oneof![
        any::<f64>().prop_map(|number| format!("({number:?})").replace("NaN", "nan")),
        (0u32..100_000).prop_map(|number| number.to_string()),
        Just("-5m".to_owned()),
        Just("scalar(a)".to_owned()),
        Just("time()".to_owned()),
    ];
    let leaf = prop_oneof![
        3 => (series, modifiers.clone()).prop_map(|(series, modifiers)| series + &modifiers),
        2 => matrix.prop_map(|matrix| format!("rate({matrix})")),
        1 => scalar.clone().prop_map(|scalar| format!("vector({scalar})")),
    ];
    let labels = proptest::collection::vec("[a-z_]{1,4}|\"\\PC{1,3}\"", 0..3).prop_map(|labels| {
        let quoted = |label: String| match label.strip_prefix('"').and_then(|label| label.strip_suffix('"')) {
            Some(inner) => crate::literal::quote(inner),
            None => label,
        };
        format!("({})", labels.into_iter().map(quoted).collect::<Vec<_>>().join(", "))
    });
    leaf.prop_recursive(6, 40, 3, move |inner| {
        let arithmetic = prop::sample::select(vec!["+", "-", "*", "/", "%", "^", "atan2", "</", ">/"]);
        let comparison = prop::sample::select(vec!["==", "!=", ">", "<", ">=", "<=", "== bool", "> bool"]);
        let matching = (prop::sample::select(vec!["", " ignoring", " on"]), labels.clone(), 0..5u8).prop_map(
            |(kind, labels, more)| match (kind, more) {
                ("", 0..3) => String::new(),
                ("", _) => " fill (-2.5)".to_owned(),
                (kind, 0) => format!("{kind} {labels} group_left (zz)"),
                (kind, 1) => format!("{kind} {labels} group_right fill_left (1e9)"),
                (kind, _) => format!("{kind} {labels}"),
            },
        );
        let aggregate = prop::sample::select(vec!["sum", "avg", "count", "min", "max", "group", "stddev", "stdvar"]);
        prop_oneof![
            (inner.clone(), prop_oneof![arithmetic, comparison], matching, inner.clone())
                .prop_map(|(lhs, op, matching, rhs)| format!("{lhs} {op}{matching} {rhs}")),
            (inner.clone(), "and|or|unless", inner.clone()).prop_map(|(lhs, op, rhs)| format!("{lhs} {op} {rhs}")),
            (inner.clone(), scalar.clone()).prop_map(|(lhs, rhs)| format!("({lhs} * {rhs})")),
            (aggregate, prop_oneof![Just(""), Just(" by "), Just(" without ")], labels.clone(), inner.clone())
                .prop_map(|(op, kind, labels, inner)| if kind.is_empty() {
                    format!("{op}({inner})")
                } else {
                    format!("{op}({inner}){kind}{labels}")
                }),
            (scalar.clone(), inner.clone()).prop_map(|(scalar, inner)| format!("limitk({scalar}, {inner})")),
            (proptest::collection::vec(any::<u8>(), 0..5), inner.clone())
                .prop_map(|(label, inner)| format!("count_values({}, {inner})", crate::literal::quote(label))),
            inner.clone().prop_map(|inner| format!("({inner})")),
            inner.clone().prop_map(|inner| format!("-{inner}")),
            inner.clone().prop_map(|inner| format!("round({inner}, 5)")),
            (inner, duration.clone(), prop::option::of(duration.clone()), modifiers.clone()).prop_map(
                |(inner, range, step, modifiers)| {
                    // As in Prometheus, a colon stands after a number only.
                    let range = range.replace("step()", "step() * 1");
                    format!("max_over_time(({inner})[{range}:{}]{modifiers})", step.unwrap_or_default())
                }
            ),
        ]
    })
}

/// The tree without the places, which differ between two texts, and with matchers in the order of printing.
fn shape(mut expr: Expr) -> Expr {
    fn duration(each: &mut Duration) {
        if let Duration::Expr(expr) = each {
            duration_expr(expr);
        }
    }
    fn duration_expr(expr: &mut DurationExpr) {
        expr.span = Span::default();
        match &mut expr.kind {
            DurationKind::Number { .. } | DurationKind::Step | DurationKind::Range => {}
            DurationKind::Minus(inner) | DurationKind::Paren(inner) => duration_expr(inner),
            DurationKind::MinMax { lhs, rhs, .. } | DurationKind::Binary { lhs, rhs, .. } => {
                duration_expr(lhs);
                duration_expr(rhs);
            }
        }
    }
    fn selector(vector: &mut VectorSelector) {
        let named = usize::from(vector.name.is_some());
        let end = vector.matchers.len() - named;
        vector.matchers[..end].sort_by_key(matcher_text);
        vector.offset.iter_mut().for_each(duration);
    }
    fn walk(expr: &mut Expr) {
        expr.span = Span::default();
        match &mut expr.kind {
            ExprKind::Number { .. } | ExprKind::String(_) => {}
            ExprKind::Vector(vector) => selector(vector),
            ExprKind::Matrix(matrix) => {
                selector(&mut matrix.vector);
                matrix.vector_span = Span::default();
                duration(&mut matrix.range);
            }
            ExprKind::Subquery(subquery) => {
                walk(&mut subquery.expr);
                duration(&mut subquery.range);
                subquery.step.iter_mut().chain(&mut subquery.offset).for_each(duration);
            }
            ExprKind::Unary { operand, .. } => walk(operand),
            ExprKind::Binary(binary) => {
                binary.op_span = Span::default();
                walk(&mut binary.lhs);
                walk(&mut binary.rhs);
            }
            ExprKind::Aggregate(aggregate) => {
                aggregate.param.iter_mut().for_each(walk);
                walk(&mut aggregate.expr);
            }
            ExprKind::Call(call) => call.args.iter_mut().for_each(walk),
            ExprKind::Paren(inner) => walk(inner),
        }
    }
    walk(&mut expr);
    expr
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn what_is_written_reads_back_as_the_same_tree(query in query()) {
        let expr = match parse(&query, Options::ALL) {
            Ok(expr) => expr,
            // Labels of `on` may meet those of `group_left`, and an offset may take what is none of its own.
            Err(error) if error.message.contains("must not occur in ON and GROUP") => return Ok(()),
            Err(error) if error.message.contains("in offset, expected") => return Ok(()),
            Err(error) if error.message == "duration out of range" => return Ok(()),
            Err(error) => return Err(TestCaseError::fail(format!("{query}: {error}"))),
        };
        let (texts, json) = ([expr.to_string(), pretty(&expr)], to_json(&expr));
        let expr = shape(expr);
        for text in texts {
            let again = parse(&text, Options::ALL).map_err(|error| TestCaseError::fail(format!("{text}: {error}")))?;
            prop_assert_eq!(&shape(again), &expr, "{} from {}", text, query);
        }
        let json: Result<serde_json::Value, _> = serde_json::from_str(&json);
        prop_assert!(json.is_ok(), "{}", query);
    }

    #[test]
    fn anything_is_read_or_refused_with_its_place(text in "\\PC{0,60}|[a-z0-9 (){}\\[\\]:,=~!<>/+*^%@\"'`#.\\\\-]{0,60}") {
        match parse(&text, Options::ALL) {
            Ok(expr) => {
                let again = parse(&expr.to_string(), Options::ALL);
                prop_assert!(again.is_ok(), "{} gave {}", text, expr);
            }
            Err(error) => {
                prop_assert!(error.span.start <= error.span.end && error.span.end <= text.len(), "{:?}", error);
                prop_assert!(!error.message.is_empty());
            }
        }
    }
}
