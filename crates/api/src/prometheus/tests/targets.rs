//! What is scraped, as it is told.

use std::collections::HashMap;

use tripod_model::series::{
    DroppedTarget, Labels, MetricType, RelabelStep, SeriesMetadata, TargetHealth, TargetStatus, Targets,
};

use super::*;

#[derive(Debug)]
struct TwoTargets;

impl Targets for TwoTargets {
    fn pools(&self) -> Vec<String> {
        vec!["web".to_owned(), "api".to_owned()]
    }

    fn active(&self) -> Vec<TargetStatus> {
        let metadata = SeriesMetadata { metric_type: MetricType::Gauge, unit: "s".into(), help: "h".into() };
        let other = SeriesMetadata { help: "other".into(), ..metadata.clone() };
        let target = TargetStatus {
            pool: "api".to_owned(),
            discovered_labels: Labels::from_pairs([("__address__", "a:1")]),
            labels: Labels::from_pairs([("job", "api")]),
            url: "http://a:1/metrics".to_owned(),
            health: TargetHealth::Down,
            last_error: "refused".to_owned(),
            last_scrape: Some(1_500),
            last_duration: Duration::from_millis(250),
            interval: Duration::from_secs(15),
            timeout: Duration::from_secs(10),
            metadata: Arc::new(HashMap::from([("up".to_owned(), metadata)])),
        };
        let second = TargetStatus {
            pool: "web".to_owned(),
            labels: Labels::from_pairs([("job", "web")]),
            metadata: Arc::new(HashMap::from([("up".to_owned(), other.clone()), ("requests".to_owned(), other)])),
            ..target.clone()
        };
        vec![target.clone(), second, target]
    }

    fn dropped(&self) -> Vec<DroppedTarget> {
        let discovered_labels = Labels::from_pairs([("__address__", "b:1")]);
        vec![DroppedTarget { pool: "web".to_owned(), discovered_labels }]
    }

    fn config(&self, pool: &str) -> Option<String> {
        (pool == "web").then(|| "job_name: web\n".to_owned())
    }

    fn relabel_steps(&self, pool: &str, labels: &Labels) -> Option<Vec<RelabelStep>> {
        let step = RelabelStep { rule: r#"{"action":"keep"}"#.to_owned(), output: labels.clone(), keep: true };
        (pool == "web").then(|| vec![step])
    }
}

#[tokio::test]
async fn targets_are_shown() {
    let settings = PrometheusSettings::default();
    let engine = Engine::new(store().await, settings.engine());
    let router = router(Prometheus::new(engine, settings, about()).with_targets(Arc::new(TwoTargets)));
    let config = data(&router, "/api/v1/scrape_pools/config?scrapePool=web").await;
    assert_eq!(config, json!({"yaml": "job_name: web\n"}));
    assert_eq!(data(&router, "/api/v1/scrape_pools").await, json!({"scrapePools": ["api", "web"]}));
    let target = json!({"discoveredLabels": {"__address__": "a:1"}, "labels": {"job": "api"}, "scrapePool": "api",
        "scrapeUrl": "http://a:1/metrics", "globalUrl": "http://a:1/metrics", "lastError": "refused",
        "lastScrape": "1970-01-01T00:00:01.500Z", "lastScrapeDuration": 0.25, "health": "down",
        "scrapeInterval": "15s", "scrapeTimeout": "10s"});
    let dropped = json!([{"discoveredLabels": {"__address__": "b:1"}, "scrapePool": "web"}]);
    assert_eq!(
        data(&router, "/api/v1/targets?scrapePool=api").await,
        json!({"activeTargets": [target, target], "droppedTargets": [], "droppedTargetCounts": {"web": 1}})
    );
    assert_eq!(data(&router, "/api/v1/targets").await["droppedTargets"], dropped);
    let only = data(&router, "/api/v1/targets?state=active&scrapePool=none").await;
    assert_eq!(only, json!({"activeTargets": [], "droppedTargets": [], "droppedTargetCounts": null}));
    let said_of_up = json!({"target": {"job": "api"}, "metric": "up", "type": "gauge", "help": "h", "unit": "s"});
    assert_eq!(
        data(&router, "/api/v1/targets/metadata?match_target=%7Bjob%3D%22api%22%7D").await,
        json!([said_of_up, said_of_up])
    );
    assert_eq!(data(&router, "/api/v1/targets/metadata?metric=down").await, json!([]));
    assert_eq!(
        data(&router, "/api/v1/targets/relabel_steps?scrapePool=web&labels=%7B%22a%22:%22b%22%7D").await,
        json!({"steps": [{"rule": {"action": "keep"}, "output": {"a": "b"}, "keep": true}]})
    );
    // What targets say of one name is all shown, each once, and goes before what was stored.
    let said = |help: &str| json!({"type": "gauge", "help": help, "unit": "s"});
    let up = json!({"up": [said("h"), said("other")]});
    assert_eq!(data(&router, "/api/v1/metadata?metric=up").await, up);
    let all = json!({"requests": [said("other")], "up": [said("h"), said("other")]});
    assert_eq!(data(&router, "/api/v1/metadata").await, all);
    let fewer = json!({"requests": [said("other")], "up": [said("h")]});
    assert_eq!(data(&router, "/api/v1/metadata?limit_per_metric=1").await, fewer);
    assert_eq!(data(&router, "/api/v1/metadata?limit=1").await, json!({"requests": [said("other")]}));
}
