//! The server's ports: binding them, TLS, accepting connections, and stopping.
//!
//! Ports are bound before the store is opened, so that a mistake is told at once and a supervisor finds a process that
//! answers while a long log is replayed: until [`Listener::open`]'s slot is filled, everything but the liveness of the
//! front door is answered with 503, which every protocol here takes as "try again".

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::Router;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use thiserror::Error;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::connection::Connections;
use crate::settings::{self, Loaded, Tls};

/// How long to wait when the operating system has no file descriptor left for a connection.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(100);

/// A port that is bound.
pub(crate) struct Listener {
    /// As in the settings.
    pub(crate) name: &'static str,
    /// The address with the real port.
    pub(crate) address: SocketAddr,
    /// Whether connections are encrypted.
    pub(crate) encrypted: bool,
    socket: TcpListener,
    tls: Option<TlsAcceptor>,
}

/// A default port that another program has.
#[derive(Debug)]
pub(crate) struct Skipped {
    /// As in the settings.
    pub(crate) name: &'static str,
    /// The address that is taken.
    pub(crate) address: String,
}

/// Why a listener cannot be opened.
#[derive(Debug, Error)]
pub(crate) enum ListenError {
    /// The user asked for this very port and another program has it.
    #[error(
        "{name}: {address} is taken by another program; stop that program, or set listeners.{name}.address to \
         another port, or listeners.{name}.enabled to false"
    )]
    Taken {
        /// The listener.
        name: &'static str,
        /// Its address.
        address: String,
    },
    /// The operating system refuses the address for another reason.
    #[error("{name}: cannot listen on {address}: {source}; set listeners.{name}.address to an address of this machine")]
    Refused {
        /// The listener.
        name: &'static str,
        /// Its address.
        address: String,
        /// What the operating system says.
        source: io::Error,
    },
    /// Certificate and key do not make a TLS server.
    #[error("{name}: listeners.{name}.tls: {message}")]
    Tls {
        /// The listener.
        name: &'static str,
        /// What is wrong.
        message: String,
    },
}

/// Binds every listener that is switched on. A default port that is taken is skipped; one that the user named is not.
///
/// # Errors
/// All listeners that cannot be opened.
pub(crate) async fn bind(loaded: &Loaded) -> Result<(Vec<Listener>, Vec<Skipped>), Vec<ListenError>> {
    let (mut listeners, mut skipped, mut errors) = (Vec::new(), Vec::new(), Vec::new());
    for (name, settings) in loaded.settings.listeners.iter().into_iter().filter(|(_, settings)| settings.enabled) {
        let tls = match settings.tls.as_ref().map(acceptor).transpose() {
            Ok(tls) => tls,
            Err(message) => {
                errors.push(ListenError::Tls { name, message });
                continue;
            }
        };
        let address = settings.address.clone();
        match bind_one(&settings.address).await {
            Ok((socket, address)) => {
                listeners.push(Listener { name, address, encrypted: tls.is_some(), socket, tls });
            }
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                if loaded.names_address(name) {
                    errors.push(ListenError::Taken { name, address });
                } else {
                    skipped.push(Skipped { name, address });
                }
            }
            Err(source) => errors.push(ListenError::Refused { name, address, source }),
        }
    }
    if errors.is_empty() { Ok((listeners, skipped)) } else { Err(errors) }
}

async fn bind_one(address: &str) -> io::Result<(TcpListener, SocketAddr)> {
    let socket = TcpListener::bind(address).await?;
    let address = socket.local_addr()?;
    Ok((socket, address))
}

/// A TLS server that offers HTTP/2 and HTTP/1.1.
///
/// # Errors
/// What is wrong with certificate or key, and in which file.
pub(crate) fn acceptor(tls: &Tls) -> Result<TlsAcceptor, String> {
    let at = |path: &std::path::Path, error: &dyn std::fmt::Display| format!("\"{}\": {error}", path.display());
    let certificates = CertificateDer::pem_file_iter(&tls.certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| at(&tls.certificate, &error))?;
    if certificates.is_empty() {
        return Err(at(&tls.certificate, &"holds no certificate in PEM form"));
    }
    let key = PrivateKeyDer::from_pem_file(&tls.key).map_err(|error| at(&tls.key, &error))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(certificates, key))
        .map_err(|error| at(&tls.key, &error))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// The listeners at work.
pub(crate) struct Listening {
    accepting: CancellationToken,
    draining: CancellationToken,
    aborting: CancellationToken,
    tasks: TaskTracker,
    limits: Arc<settings::Server>,
}

impl Listening {
    pub(crate) fn new(limits: settings::Server) -> Self {
        Self {
            accepting: CancellationToken::new(),
            draining: CancellationToken::new(),
            aborting: CancellationToken::new(),
            tasks: TaskTracker::new(),
            limits: Arc::new(limits),
        }
    }

    /// Begins to accept connections. Until the returned slot is filled, `starting` answers.
    pub(crate) fn open(&self, listener: Listener, starting: Router) -> Arc<OnceLock<Router>> {
        let router = Arc::new(OnceLock::new());
        let connections = Arc::new(Connections {
            listener: listener.name,
            limits: Arc::clone(&self.limits),
            router: Arc::clone(&router),
            starting,
            draining: self.draining.clone(),
        });
        let accepting = self.accepting.clone();
        let accept = accept(listener, connections, self.tasks.clone(), self.aborting.clone());
        self.tasks.spawn(async move {
            tokio::select! {
                () = accepting.cancelled() => {}
                () = accept => {}
            }
        });
        router
    }

    /// Closes the ports; open connections go on.
    pub(crate) fn stop_accepting(&self) {
        self.accepting.cancel();
    }

    /// Lets running requests finish and closes idle connections; after the deadline closes the rest. Gives whether
    /// all finished in time.
    pub(crate) async fn drain(&self, deadline: Duration) -> bool {
        self.draining.cancel();
        self.tasks.close();
        let finished = tokio::time::timeout(deadline, self.tasks.wait()).await.is_ok();
        if !finished {
            tracing::warn!(connections = self.tasks.len(), "the deadline has passed; open connections are cut");
            self.aborting.cancel();
            self.tasks.wait().await;
        }
        finished
    }
}

async fn accept(listener: Listener, connections: Arc<Connections>, tasks: TaskTracker, aborting: CancellationToken) {
    let Listener { name, socket, tls, .. } = listener;
    let slots = Arc::new(Semaphore::new(connections.limits.max_connections));
    let mut was_full = false;
    let accepted = metrics::counter!("tripod_connections_total", "listener" => name);
    loop {
        let full = slots.available_permits() == 0;
        if full && !was_full {
            tracing::warn!(
                listener = name,
                max_connections = connections.limits.max_connections,
                "all connections are in use, further clients wait; raise server.max_connections if they are honest"
            );
        }
        was_full = full;
        // The semaphore is never closed.
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
        let (stream, peer) = match socket.accept().await {
            Ok(accepted) => accepted,
            Err(error) if is_of_one_connection(&error) => continue,
            Err(error) => {
                tracing::warn!(listener = name, %error, "cannot accept a connection");
                tokio::time::sleep(PAUSE_AFTER_ERROR).await;
                continue;
            }
        };
        accepted.increment(1);
        let (connections, tls, aborting) = (Arc::clone(&connections), tls.clone(), aborting.clone());
        tasks.spawn(async move {
            let open = metrics::gauge!("tripod_connections", "listener" => name);
            open.increment(1.0);
            tokio::select! {
                () = aborting.cancelled() => {}
                () = serve(stream, peer, tls, connections) => {}
            }
            open.decrement(1.0);
            drop(slot);
        });
    }
}

/// Errors that the client caused between its SYN and our accept.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

async fn serve(stream: TcpStream, peer: SocketAddr, tls: Option<TlsAcceptor>, connections: Arc<Connections>) {
    // Answers are small and leave as a whole; waiting to fill packets would only delay them.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%peer, %error, "TCP_NODELAY was refused");
    }
    let Some(tls) = tls else { return connections.serve(stream, peer).await };
    let patience = Duration::from_secs(connections.limits.header_timeout_seconds);
    match tokio::time::timeout(patience, tls.accept(stream)).await {
        Ok(Ok(stream)) => connections.serve(stream, peer).await,
        Ok(Err(error)) => connections.failed("tls", peer, &error),
        Err(_) => connections.failed("tls_timeout", peer, &"no TLS handshake in time"),
    }
}
