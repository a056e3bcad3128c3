//! A port of its own for `/metrics` and `/health*`, answered on the network thread.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use crate::health::Health;
use crate::metrics::Registry;
use crate::network::Network;

/// Connections at a time; more wait in the system's queue.
const MAX_CONNECTIONS: usize = 64;
/// A connection with its one request lasts no longer: whoever reads slowly keeps nobody else away for good.
const PATIENCE: Duration = Duration::from_secs(30);

/// Listens, and answers from now on; gives the address with the port that the system chose for port 0.
///
/// # Errors
/// When the address is in use or not this machine's.
pub(crate) fn start(
    address: SocketAddr,
    registry: &Registry,
    health: &Health,
    network: &Network,
) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let routes = TowerToHyperService::new(crate::routes::<()>(registry, health));
    network.spawn(async move {
        let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
        let connections = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        // Closed never: the semaphore is this task's own.
        while let Ok(connection) = connections.clone().acquire_owned().await {
            let Ok((stream, _)) = listener.accept().await else {
                // Out of descriptors, mostly: not at once again.
                sleep(Duration::from_millis(100)).await;
                continue;
            };
            let routes = routes.clone();
            tokio::spawn(async move {
                // What goes wrong with a connection concerns its client.
                let answered = http1::Builder::new().keep_alive(false).serve_connection(TokioIo::new(stream), routes);
                let _ = timeout(PATIENCE, answered).await;
                drop(connection);
            });
        }
    });
    Ok(address)
}
