//! A store of `object_store` with its feature `aws`, followed as a whole.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt as _;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _, PutMultipartOptions, RetryConfig};
use tripod::cloud::Storage;
use tripod::field::Value;
use tripod::health::{Health, Service, Status, checks};
use tripod::metrics::Registry;
use tripod::testing::Capture;
use tripod_interop_s3::{ACCESS_KEY, NOWHERE, SECRET_KEY, SESSION_TOKEN};
use tripod_interop_s3::{assert_no_credential, calls, client, endpoint, spans};

fn store(endpoint: &str, bucket: &str) -> object_store::Result<AmazonS3> {
    let retry = RetryConfig { max_retries: 0, retry_timeout: Duration::from_secs(5), ..RetryConfig::default() };
    AmazonS3Builder::new()
        .with_endpoint(endpoint)
        .with_allow_http(true)
        .with_bucket_name(bucket)
        .with_region("us-east-1")
        .with_access_key_id(ACCESS_KEY)
        .with_secret_access_key(SECRET_KEY)
        .with_token(SESSION_TOKEN)
        .with_retry(retry)
        .build()
}

#[tokio::test]
async fn every_call_is_a_span_and_measured() -> Result<(), Box<dyn Error>> {
    let capture = Capture::new();
    let registry = Registry::new();
    let storage = Storage::s3("sdk-store").region("us-east-1").metrics(&registry)?;
    let run = async {
        // moto lets a bucket lie in another region than the one that signs.
        let region = aws_sdk_s3::types::BucketLocationConstraint::EuCentral1;
        let region = aws_sdk_s3::types::CreateBucketConfiguration::builder().location_constraint(region).build();
        client(&endpoint()).create_bucket().bucket("sdk-store").create_bucket_configuration(region).send().await?;
        let store = storage.wrap(store(&endpoint(), "sdk-store")?);
        let (cat, copy) = (Path::from("a/cat.png"), Path::from("b/cat.png"));
        store.put(&cat, "meow".into()).await?;
        assert_eq!(store.get(&cat).await?.bytes().await?, "meow");
        assert_eq!(store.get_range(&cat, 1..3).await?, "eo");
        store.copy(&cat, &copy).await?;
        assert_eq!(store.list(None).try_collect::<Vec<_>>().await?.len(), 2);
        let mut upload = store.put_multipart_opts(&Path::from("large"), PutMultipartOptions::default()).await?;
        upload.put_part(vec![7; 5 << 20].into()).await?;
        upload.put_part("end".into()).await?;
        upload.complete().await?;
        assert_eq!(store.head(&Path::from("large")).await?.size, (5 << 20) + 3);
        assert!(matches!(store.get(&Path::from("dog.png")).await, Err(object_store::Error::NotFound { .. })));
        store.delete(&cat).await?;
        Ok::<_, Box<dyn Error>>(())
    };
    capture.attach(run).await?;

    let expected = [
        ("S3.PutObject", "a/cat.png", false),
        ("S3.GetObject", "a/cat.png", false),
        ("S3.GetObject", "a/cat.png", false),
        ("S3.CopyObject", "b/cat.png", false),
        ("S3.ListObjectsV2", "", false),
        ("S3.CreateMultipartUpload", "large", false),
        ("S3.UploadPart", "large", false),
        ("S3.UploadPart", "large", false),
        ("S3.CompleteMultipartUpload", "large", false),
        ("S3.HeadObject", "large", false),
        ("S3.GetObject", "dog.png", true),
        ("S3.DeleteObjects", "", false),
    ];
    assert_eq!(calls(&capture), expected.map(|(name, key, failed)| (name.to_owned(), key.to_owned(), failed)));
    let spans = spans(&capture);
    assert_eq!(spans[0].get("http.request.body.size"), Some(&Value::Unsigned(4)));
    assert_eq!(spans[2].get("http.response.body.size"), Some(&Value::Unsigned(2)));
    assert_eq!(spans[4].get("entry_count"), Some(&Value::Unsigned(2)));
    assert!(format!("{:?}", spans[10]).contains("NoSuchKey"), "{:?}", spans[10]);
    let exposed = registry.prometheus_text();
    let failed = r#"object_storage_call_duration_seconds_count{service="S3",method="GetObject",error_type="error"} 1"#;
    assert!(exposed.contains(failed), "{exposed}");
    assert_no_credential(&capture);

    let health = Health::new(Service::new("1", "test"));
    health.add(checks::bucket("images", Arc::new(store(&endpoint(), "sdk-store")?), "probe"));
    assert_eq!(health.report().await.status, Status::Healthy);
    health.add(checks::bucket("other", Arc::new(store(&endpoint(), "sdk-no-such-bucket")?), "probe"));
    let report = health.report().await.to_json();
    assert!(report.contains("There is no such bucket"), "{report}");
    Ok(())
}

#[tokio::test]
async fn no_credential_is_in_what_is_told_of_failures() -> Result<(), Box<dyn Error>> {
    let capture = Capture::new();
    let run = async {
        let store = Storage::s3("sdk-store").wrap(store(NOWHERE, "sdk-store")?);
        let error = store.get(&Path::from("cat.png")).await.unwrap_err();
        tracing::error!(error = &error as &dyn Error, "failed");
        tracing::error!("failed {error:?}");
        assert!(store.list(None).try_collect::<Vec<_>>().await.is_err());
        Ok::<_, Box<dyn Error>>(())
    };
    capture.attach(run).await?;
    let expected = [("S3.GetObject", "cat.png", true), ("S3.ListObjectsV2", "", true)];
    assert_eq!(calls(&capture), expected.map(|(name, key, failed)| (name.to_owned(), key.to_owned(), failed)));
    assert_no_credential(&capture);
    Ok(())
}
