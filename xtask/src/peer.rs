//! Peers to measure against, built from the Go module proxy into `target/peers`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;
use serde::Deserialize;

/// A system that stores and answers the same telemetry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Peer {
    /// Jaeger's all-in-one binary with its embedded store, Badger.
    Jaeger,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Which peer.
    peer: Peer,
}

struct Package {
    module: &'static str,
    version: &'static str,
    main: &'static str,
    go: &'static str,
}

impl Peer {
    /// The last version 1: later versions are configured as a collector and have the same store.
    fn package(self) -> Package {
        match self {
            Self::Jaeger => Package {
                module: "github.com/jaegertracing/jaeger",
                version: "v1.76.0",
                main: "github.com/jaegertracing/jaeger/cmd/all-in-one",
                go: "1.24.6",
            },
        }
    }

    /// Name and version, for reports.
    pub(crate) fn title(self) -> String {
        match self {
            Self::Jaeger => format!("Jaeger {} (Badger, without fsync)", self.package().version),
        }
    }

    fn file(self) -> &'static str {
        match self {
            Self::Jaeger => "jaeger-all-in-one",
        }
    }

    /// Where [`run`] puts the binary.
    pub(crate) fn binary(self) -> PathBuf {
        target_directory().join("peers").join(self.file())
    }
}

/// Cargo's directory for what is built.
pub(crate) fn target_directory() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"), PathBuf::from)
}

/// Builds the peer; takes some minutes the first time.
///
/// # Errors
/// When there is no Go or the module proxy does not have the peer.
pub(crate) async fn run(args: Args) -> Result<ExitCode> {
    let package = args.peer.package();
    let binary = args.peer.binary();
    let module = binary.with_file_name(format!("{}-build", args.peer.file()));
    fs::create_dir_all(&module).with_context(|| format!("\"{}\" cannot be created", module.display()))?;
    // `go install` refuses modules that replace others; a module of our own that asks for the package does not.
    fs::write(
        module.join("go.mod"),
        format!("module peer\n\ngo {}\n\nrequire {} {}\n", package.go, package.module, package.version),
    )?;
    fs::write(module.join("peer.go"), format!("//go:build tools\n\npackage peer\n\nimport _ \"{}\"\n", package.main))?;
    // The checksums of what the peer depends on come with the peer, whose own is in Go's checksum database.
    let source = download(&module, &package)?;
    fs::copy(source.join("go.sum"), module.join("go.sum")).context("the peer comes without checksums")?;
    let mut permissions = fs::metadata(module.join("go.sum"))?.permissions();
    #[allow(clippy::permissions_set_readonly_false, reason = "a file in a build directory")]
    permissions.set_readonly(false);
    fs::set_permissions(module.join("go.sum"), permissions)?;
    println!("building {} {}; this takes some minutes", package.main, package.version);
    let status = go(&module).args(["build", "-o"]).arg(&binary).arg(package.main).status();
    ensure!(status.context("there is no Go here")?.success(), "the peer does not build");
    println!("{}", binary.display());
    Ok(ExitCode::SUCCESS)
}

fn go(directory: &Path) -> Command {
    let mut command = Command::new("go");
    command.current_dir(directory).env("GOFLAGS", "-mod=mod -buildvcs=false");
    command
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Downloaded {
    dir: PathBuf,
}

fn download(directory: &Path, package: &Package) -> Result<PathBuf> {
    let what = format!("{}@{}", package.module, package.version);
    let output = go(directory).args(["mod", "download", "-json", &what]).output().context("there is no Go here")?;
    ensure!(output.status.success(), "{what} cannot be had: {}", String::from_utf8_lossy(&output.stdout));
    let downloaded: Downloaded = serde_json::from_slice(&output.stdout).context("go speaks in another form")?;
    Ok(downloaded.dir)
}
