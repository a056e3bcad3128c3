//! The paths of Prometheus' contract, and its own client.

use super::*;

/// Paths of Prometheus' contract that are not served here, each with the reason.
const NOT_SERVED: [(&str, &str); 3] = [
    ("/otlp/v1/metrics", "a receiver's"),
    ("/status/self_metrics", "not yet: /metrics of the front door has them, as text"),
    ("/write", "a receiver's"),
];

#[tokio::test]
async fn the_contract_is_served() {
    let contract = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared/conformance/exposition/http_api/openapi_3.1_golden.yaml");
    let Ok(text) = std::fs::read_to_string(&contract) else {
        eprintln!("NOT RUN: the contract is not at {}", contract.display());
        return;
    };
    let router = router_of_defaults().await;
    let mut paths: Vec<(String, Vec<String>)> = Vec::new();
    for line in text.lines().skip_while(|line| *line != "paths:").skip(1).take_while(|line| line.starts_with(' ')) {
        if let Some(path) = line.strip_prefix("    /").and_then(|path| path.strip_suffix(':')) {
            paths.push((format!("/{path}"), Vec::new()));
        } else if let (Some(method), Some((_, methods))) =
            (line.strip_prefix("        ").and_then(|line| line.strip_suffix(':')), paths.last_mut())
            && ["get", "post", "put", "delete"].contains(&method)
        {
            methods.push(method.to_uppercase());
        }
    }
    assert_eq!(paths.len(), 36);
    let mut missing = Vec::new();
    for (path, methods) in &paths {
        for method in methods {
            let uri = format!("/api/v1{}", path.replace("{name}", "job"));
            let request = Request::builder().method(method.as_str()).uri(uri).body(Body::empty()).unwrap();
            let status = send(&router, request).await.0;
            if (status == 404 || status == 405) && !missing.contains(path) {
                missing.push(path.clone());
            }
        }
    }
    missing.sort();
    for path in &missing {
        let reason = NOT_SERVED.iter().find(|(each, _)| each == path).map(|(_, reason)| *reason);
        println!("not served: {path}: {}", reason.unwrap_or("NO REASON"));
        assert!(reason.is_some(), "{path} is not served");
    }
    assert_eq!(missing.len(), NOT_SERVED.len(), "{missing:?}");
}

/// Prometheus' own command line client, where it is installed.
#[tokio::test]
async fn promtool_gets_its_answers() {
    let program = "promtool";
    if tokio::process::Command::new(program).arg("--version").output().await.is_err() {
        eprintln!("NOT RUN: there is no promtool");
        return;
    }
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().nest("/prometheus", router_of_defaults().await);
    let server = tokio::spawn(async move { axum::serve(listener, router).await });
    let url = format!("http://{address}/prometheus");
    for (arguments, output) in [
        (
            vec!["query", "instant", "--time=60", &url, "requests * 2"],
            "{code=\"200\", job=\"api\"} => 30 @[60]\n{code=\"500\", job=\"api\"} => 60 @[60]\n",
        ),
        (
            vec!["query", "range", "--start=60", "--end=120", "--step=1m", &url, "sum(requests)"],
            "{} =>\n45 @[60]\n90 @[120]\n",
        ),
        (vec!["query", "labels", "--start=0", "--end=600", &url, "code"], "200\n500\n"),
        (
            vec!["query", "series", "--start=0", "--end=600", "--match=requests{code=\"200\"}", &url],
            "{__name__=\"requests\", code=\"200\", job=\"api\"}\n",
        ),
    ] {
        let ran = tokio::process::Command::new(program).args(&arguments).output().await.unwrap();
        let (out, error) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
        assert!(ran.status.success(), "{arguments:?}: {out}{error}");
        assert_eq!(out, output, "{arguments:?}: {error}");
    }
    let wrong = tokio::process::Command::new(program).args(["query", "instant", &url, "foo("]).output().await.unwrap();
    assert!(!wrong.status.success());
    let error = String::from_utf8_lossy(&wrong.stderr);
    assert!(error.contains("1:5: parse error: unclosed left parenthesis"), "{error}");
    server.abort();
}
