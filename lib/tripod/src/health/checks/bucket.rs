//! A bucket of an object store: S3 and its like (feature `object-store`).

use std::sync::Arc;

use object_store::path::Path;
use object_store::{Error, ObjectStore, ObjectStoreExt};

use crate::field::Name;
use crate::health::{Check, Outcome};

/// A check that the bucket can be read, by asking for an object of this key. The object need not be there: that the store
/// says so shows that it can be reached, that the bucket exists and that the credentials are good.
pub fn bucket(name: impl Into<Name>, store: Arc<dyn ObjectStore>, key: &str) -> Check {
    let key = Path::from(key);
    Check::new(name, move || {
        let (store, key) = (store.clone(), key.clone());
        async move {
            // Not by its head alone: the answer to that has no body, which is what tells a missing bucket from a missing
            // object. The object's own bytes are not read.
            match store.get(&key).await {
                Ok(_) => Outcome::healthy("The bucket can be read"),
                Err(Error::NotFound { source, .. }) if source.to_string().contains("NoSuchBucket") => {
                    Outcome::unhealthy("There is no such bucket")
                }
                Err(Error::NotFound { .. }) => Outcome::healthy("The bucket can be read"),
                Err(error) => Outcome::unhealthy(format!("The bucket cannot be read: {error}")),
            }
        }
    })
}
