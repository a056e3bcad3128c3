//! `GET /api/v1/status`: what this server is, where it listens and how its store is doing. `tripod doctor` reads it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use axum::routing::get;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use tripod_lake::Lake;

/// What the server says about itself.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Status<S> {
    /// Version of the program.
    pub(crate) version: String,
    /// Commit that it was built from, if known.
    pub(crate) revision: Option<String>,
    /// Open ports.
    pub(crate) listeners: Vec<ListenerStatus>,
    /// Where data lies, an absolute path.
    pub(crate) data_dir: PathBuf,
    /// The store's own account.
    pub(crate) store: S,
}

/// One open port.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ListenerStatus {
    /// As in the settings.
    pub(crate) name: String,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// Whether it is encrypted.
    pub(crate) tls: bool,
}

impl ListenerStatus {
    /// `http://…` or `https://…`, with `localhost` where it listens on loopback or everywhere.
    pub(crate) fn url(&self) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        let ip = self.address.ip();
        if ip.is_loopback() || ip.is_unspecified() {
            format!("{scheme}://localhost:{}", self.address.port())
        } else {
            format!("{scheme}://{}", self.address)
        }
    }
}

/// The route, for an open lake.
pub(crate) fn router(lake: Arc<Lake>, data_dir: PathBuf, listeners: Vec<ListenerStatus>) -> Router {
    let report = move || {
        let status = Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            revision: crate::cli::REVISION.map(str::to_owned),
            listeners: listeners.clone(),
            data_dir: data_dir.clone(),
            store: lake.status(),
        };
        async move { Json(status) }
    };
    Router::new().route("/api/v1/status", get(report))
}
