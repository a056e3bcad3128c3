//! The SDK, as its guide says: `init`, one layer, the routes. What goes where, the environment says.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use axum::Router;
use axum::routing::{get, post};

use super::command;

pub(super) fn app() -> Result<Router> {
    let tripod = Arc::new(tripod::init("bench")?);
    let app = Router::new().route("/command", post(command)).layer(tripod.http_layer()).merge(tripod.routes());
    let flush = get(move || {
        let tripod = tripod.clone();
        async move { tripod.flush_async(Duration::from_secs(10)).await.to_string() }
    });
    Ok(app.route("/flush", flush))
}
