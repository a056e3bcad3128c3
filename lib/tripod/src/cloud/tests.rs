use std::io;

use super::*;
use crate::testing::Capture;
use crate::traces::SpanKind;

#[tokio::test]
async fn calls_of_any_client_are_followed() {
    let capture = Capture::new();
    let registry = Registry::new();
    let run = async {
        let storage = Storage::s3("images").region("eu-central-1").metrics(&registry).unwrap();
        let put = async {
            tracing::info_span!("http").in_scope(|| ());
            Ok::<_, io::Error>(7)
        };
        assert_eq!(storage.run("PutObject", "cat.png", put).await.unwrap(), 7);
        let get = async { Err::<(), _>(io::Error::other("no such key")) };
        assert!(storage.run("GetObject", "dog.png", get).await.is_err());
        drop(storage.run("HeadObject", "bird.png", std::future::pending::<Result<(), io::Error>>()));
        drop(storage.call("DeleteObject", "fish.png"));
    };
    capture.attach(run).await;
    assert_eq!(capture.tree(), "S3.PutObject\n  http\nS3.GetObject\nS3.DeleteObject\n");
    let span = capture.span("S3.PutObject");
    assert_eq!(span.kind, SpanKind::Client);
    for (name, value) in [
        ("rpc.system", "aws-api"),
        ("rpc.service", "S3"),
        ("rpc.method", "PutObject"),
        ("aws.s3.bucket", "images"),
        ("aws.s3.key", "cat.png"),
        ("cloud.region", "eu-central-1"),
    ] {
        assert_eq!(span.get(name), Some(&Value::from(value)), "{name}");
    }
    assert!(capture.span("S3.GetObject").is_error());
    assert_eq!(capture.span("S3.DeleteObject").get("error.type"), Some(&Value::from("cancelled")));
    let line = r#"object_storage_call_duration_seconds_count{service="S3",method="PutObject",error_type=""} 1"#;
    assert!(registry.prometheus_text().contains(line), "{}", registry.prometheus_text());
}

#[cfg(feature = "object-store")]
#[tokio::test]
async fn a_store_is_followed_as_a_whole() {
    use std::pin::pin;
    use std::task::Poll;

    use object_store::memory::InMemory;
    use object_store::path::Path;
    use object_store::{ObjectStore, ObjectStoreExt as _, PutMultipartOptions};

    let capture = Capture::new();
    let run = async {
        let store = Storage::s3("images").wrap(InMemory::new());
        let path = Path::from("a/cat.png");
        store.put(&path, "meow".into()).await.unwrap();
        assert_eq!(store.get(&path).await.unwrap().bytes().await.unwrap(), "meow");
        store.copy(&path, &Path::from("b/cat.png")).await.unwrap();
        let mut list = pin!(store.list(None));
        let mut found = 0;
        while let Some(entry) = std::future::poll_fn(|context| {
            use futures_core::Stream as _;
            match list.as_mut().poll_next(context) {
                Poll::Ready(entry) => Poll::Ready(entry),
                Poll::Pending => Poll::Pending,
            }
        })
        .await
        {
            entry.unwrap();
            found += 1;
        }
        assert_eq!(found, 2);
        store.delete(&path).await.unwrap();
        assert!(store.head(&path).await.is_err());
        let mut upload = store.put_multipart_opts(&path, PutMultipartOptions::default()).await.unwrap();
        upload.put_part("part".into()).await.unwrap();
        upload.complete().await.unwrap();
    };
    capture.attach(run).await;
    let names: Vec<String> = capture.spans().iter().map(|span| span.name.to_string()).collect();
    assert_eq!(
        names,
        [
            "S3.PutObject",
            "S3.GetObject",
            "S3.CopyObject",
            "S3.ListObjectsV2",
            "S3.DeleteObjects",
            "S3.HeadObject",
            "S3.CreateMultipartUpload",
            "S3.UploadPart",
            "S3.CompleteMultipartUpload"
        ]
    );
    assert_eq!(capture.span("S3.PutObject").get("http.request.body.size"), Some(&Value::Unsigned(4)));
    assert_eq!(capture.span("S3.GetObject").get("http.response.body.size"), Some(&Value::Unsigned(4)));
    assert_eq!(capture.span("S3.ListObjectsV2").get("entry_count"), Some(&Value::Unsigned(2)));
    assert!(capture.span("S3.HeadObject").is_error());
}
