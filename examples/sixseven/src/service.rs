//! The whole service: the API under the SDK's layer, beside health and metrics.

use axum::Router;
use tripod::health::Health;
use tripod::http::HttpLayer;
use tripod::metrics::{MetricError, Registry};

use crate::api;
use crate::client::ProviderUrls;

/// The service's router.
///
/// # Errors
/// When a metric's name is in use.
pub fn router(
    registry: &Registry,
    health: &Health,
    layer: HttpLayer,
    urls: ProviderUrls,
) -> Result<Router, MetricError> {
    let observed = api::with_health_line(tripod::routes(registry, health));
    Ok(api::router(registry, urls)?.merge(observed).layer(layer))
}
