use std::io::Write;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// A program that ends with the test.
pub(crate) struct Process(Child);

impl Process {
    pub(crate) fn start(binary: &PathBuf, arguments: &[String]) -> Self {
        let child = Command::new(binary).args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        Self(child.unwrap_or_else(|error| panic!("{}: {error}", binary.display())))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs a program to its end, with a text as input, and gives what it says on standard error.
pub(crate) fn run(binary: &PathBuf, arguments: &[&str], input: &str) -> String {
    let mut child = Command::new(binary)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    String::from_utf8(child.wait_with_output().unwrap().stderr).unwrap()
}

/// A program in the path; says so when there is none.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    let paths = std::env::var_os("PATH")?;
    let found = std::env::split_paths(&paths).map(|folder| folder.join(name)).find(|path| path.is_file());
    if found.is_none() {
        eprintln!("NOT RUN: {name} is not installed");
    }
    found
}

/// A Python that has the client.
pub(crate) fn python() -> Option<PathBuf> {
    let python = match std::env::var_os("TRIPOD_PYTHON") {
        Some(path) => PathBuf::from(path),
        None => find("python3")?,
    };
    let has_client = Command::new(&python).args(["-c", "import prometheus_client"]).stderr(Stdio::null()).status();
    if has_client.is_ok_and(|status| status.success()) {
        return Some(python);
    }
    eprintln!("NOT RUN: {} has no prometheus-client; TRIPOD_PYTHON names one that has", python.display());
    None
}

pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
