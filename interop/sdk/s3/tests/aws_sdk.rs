//! Calls of `aws-sdk-s3`, followed by `Storage::run`.

use std::error::Error;
use std::time::Duration;

use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::primitives::ByteStream;
use tripod::cloud::Storage;
use tripod::field::Value;
use tripod::metrics::Registry;
use tripod::testing::Capture;
use tripod_interop_s3::{NOWHERE, assert_no_credential, calls, client, endpoint, spans};

#[tokio::test]
async fn calls_are_spans_and_measured() -> Result<(), Box<dyn Error>> {
    let capture = Capture::new();
    let registry = Registry::new();
    let storage = Storage::s3("sdk-images").region("eu-central-1").metrics(&registry)?;
    let run = async {
        let client = client(&endpoint());
        client.create_bucket().bucket("sdk-images").create_bucket_configuration(region()).send().await?;
        let body = ByteStream::from_static(b"meow");
        let put = client.put_object().bucket("sdk-images").key("a/cat.png").body(body);
        storage.run("PutObject", "a/cat.png", put.send()).await?;
        let get = client.get_object().bucket("sdk-images").key("a/cat.png");
        let got = storage.run("GetObject", "a/cat.png", get.send()).await?;
        assert_eq!(&got.body.collect().await?.into_bytes()[..], b"meow");
        let list = client.list_objects_v2().bucket("sdk-images");
        assert_eq!(storage.run("ListObjectsV2", "", list.send()).await?.key_count(), Some(1));
        let missing = client.get_object().bucket("sdk-images").key("dog.png");
        assert!(storage.run("GetObject", "dog.png", missing.send()).await.is_err());
        let delete = client.delete_object().bucket("sdk-images").key("a/cat.png");
        storage.run("DeleteObject", "a/cat.png", delete.send()).await?;
        Ok::<_, Box<dyn Error>>(())
    };
    capture.attach(run).await?;

    let expected = [
        ("S3.PutObject", "a/cat.png", false),
        ("S3.GetObject", "a/cat.png", false),
        ("S3.ListObjectsV2", "", false),
        ("S3.GetObject", "dog.png", true),
        ("S3.DeleteObject", "a/cat.png", false),
    ];
    assert_eq!(calls(&capture), expected.map(|(name, key, failed)| (name.to_owned(), key.to_owned(), failed)));
    let spans = spans(&capture);
    for (name, value) in
        [("rpc.method", "PutObject"), ("aws.s3.bucket", "sdk-images"), ("cloud.region", "eu-central-1")]
    {
        assert_eq!(spans[0].get(name), Some(&Value::from(value)), "{name}");
    }
    // What AWS's error says of itself is `service error`; the code is among its causes.
    let failed = format!("{:?}", spans[3]);
    assert!(failed.contains("GetObjectError") && failed.contains("NoSuchKey"), "{failed}");
    let exposed = registry.prometheus_text();
    for labels in [
        r#"method="PutObject",error_type="""#,
        r#"method="GetObject",error_type="""#,
        r#"method="GetObject",error_type="error""#,
    ] {
        let line = format!("object_storage_call_duration_seconds_count{{service=\"S3\",{labels}}} 1");
        assert!(exposed.contains(&line), "{line}\n{exposed}");
    }
    assert_no_credential(&capture);
    Ok(())
}

fn region() -> aws_sdk_s3::types::CreateBucketConfiguration {
    let region = aws_sdk_s3::types::BucketLocationConstraint::EuCentral1;
    aws_sdk_s3::types::CreateBucketConfiguration::builder().location_constraint(region).build()
}

#[tokio::test]
async fn no_credential_is_in_what_is_told_of_failures() -> Result<(), Box<dyn Error>> {
    let capture = Capture::new();
    let run = async {
        let client = client(NOWHERE);
        let get = client.get_object().bucket("sdk-images").key("cat.png");
        let signed = get.clone().presigned(PresigningConfig::expires_in(Duration::from_secs(60))?).await?;
        assert!(signed.uri().contains("X-Amz-Signature="), "{}", signed.uri());
        let signature = signed.uri().split_once("X-Amz-Signature=").map(|(_, rest)| rest[..64].to_owned());
        tracing::info!(url = signed.uri(), "presigned");
        tracing::info!("presigned {}", signed.uri());
        let storage = Storage::s3("sdk-images");
        let error = storage.run("GetObject", "cat.png", get.send()).await.unwrap_err();
        tracing::error!(error = &error as &dyn Error, "failed");
        tracing::error!("failed {error:?}");
        Ok::<_, Box<dyn Error>>(signature.unwrap_or_default())
    };
    let signature = capture.attach(run).await?;
    assert_no_credential(&capture);
    // In the lines of the application; AWS's own, at debug, have what it signs.
    let shown: Vec<_> = capture.logs().into_iter().filter(|line| line.logger == "aws_sdk").collect();
    assert_eq!(shown.len(), 4);
    assert!(!format!("{shown:?}").contains(&signature), "{shown:?}");
    assert!(format!("{shown:?}").contains("X-Amz-Expires=60"), "what is no secret stays: {shown:?}");
    assert!(spans(&capture)[0].is_error());
    Ok(())
}
