//! The real program: started as a user starts it, spoken to over its public ports only.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use serde_json::Value;

/// Nothing here takes so long unless it hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// The program, with an environment in which nothing of ours is set.
pub(crate) fn tripod() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tripod"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("TRIPOD_")) {
        command.env_remove(name);
    }
    command
}

/// Runs a command to its end: exit code, standard output, standard error.
pub(crate) fn run(command: &mut Command) -> (i32, String, String) {
    let Output { status, stdout, stderr } = command.output().expect("the program starts");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    (status.code().unwrap_or(-1), text(stdout), text(stderr))
}

/// A running server.
pub(crate) struct Server {
    child: Child,
    lines: Receiver<String>,
    /// Every line of its log so far.
    pub(crate) log: Vec<String>,
    /// Listeners by name, each `http://localhost:port` or `https://…`.
    pub(crate) urls: HashMap<String, String>,
}

impl Server {
    /// Starts a server on free ports and waits until it is ready.
    pub(crate) fn start(data_dir: &Path, more: &[&str]) -> Self {
        Self::with_environment(data_dir, more, &[])
    }

    /// The same with environment variables.
    pub(crate) fn with_environment(data_dir: &Path, more: &[&str], environment: &[(&str, &str)]) -> Self {
        let mut server = Self::spawn(data_dir, more, environment);
        server.wait_for("\"ready\"");
        server
    }

    /// Starts a server on free ports; nothing listens yet.
    pub(crate) fn spawn(data_dir: &Path, more: &[&str], environment: &[(&str, &str)]) -> Self {
        let mut command = tripod();
        command.arg("serve").arg("--data-dir").arg(data_dir);
        for flag in ["--listen", "--otlp-grpc-listen", "--otlp-http-listen", "--jaeger-listen", "--prometheus-listen"] {
            if !more.contains(&flag) {
                command.args([flag, "127.0.0.1:0"]);
            }
        }
        // A test that wants a default port says so by "default" in the flag's place.
        let mut more = more.iter();
        while let Some(argument) = more.next() {
            match more.as_slice().first() {
                Some(&"default") => drop(more.next()),
                _ => drop(command.arg(argument)),
            }
        }
        command.envs(environment.iter().copied());
        let mut child = command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().expect("the program starts");
        let stderr = BufReader::new(child.stderr.take().expect("piped"));
        let (sender, lines) = channel();
        thread::spawn(move || stderr.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Self { child, lines, log: Vec::new(), urls: HashMap::new() }
    }

    fn next_line(&mut self) -> Option<String> {
        let line = self.lines.recv_timeout(PATIENCE).ok()?;
        self.log.push(line.clone());
        if let Ok(entry) = serde_json::from_str::<Value>(&line)
            && entry["message"] == "listening"
        {
            let text = |key: &str| entry[key].as_str().expect("a text").to_owned();
            self.urls.insert(text("listener"), text("url"));
        }
        Some(line)
    }

    /// The URL of a path at a listener.
    pub(crate) fn url(&self, listener: &str, path: &str) -> String {
        format!("{}{path}", self.urls[listener])
    }

    /// A command that speaks to this server.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = tripod();
        command.args(arguments).args(["--server", &self.urls["front_door"]]);
        command
    }

    /// Rows of a query, by the command line.
    pub(crate) fn query(&self, sql: &str) -> Value {
        let (code, out, error) = run(&mut self.command(&["query", sql, "--format", "json"]));
        assert_eq!(code, 0, "{sql}: {error}");
        serde_json::from_str::<Value>(&out).expect("JSON")["rows"].take()
    }

    /// Sends a signal by name.
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([format!("-{name}"), self.child.id().to_string()]).status();
        assert!(sent.is_ok_and(|status| status.success()));
    }

    /// Waits until the log says something.
    pub(crate) fn wait_for(&mut self, message: &str) {
        while let Some(line) = self.next_line() {
            if line.contains(message) {
                return;
            }
        }
        panic!("the log never said \"{message}\": {:#?}", self.log);
    }

    /// Waits for the end of the process.
    pub(crate) fn wait(mut self) -> (ExitStatus, Vec<String>) {
        while self.next_line().is_some() {}
        let status = self.child.wait().expect("a child can be waited for");
        (status, std::mem::take(&mut self.log))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Writes a file and gives its path.
pub(crate) fn write(directory: &Path, name: &str, text: &str) -> String {
    let path = directory.join(name);
    let mut file = std::fs::File::create(&path).expect("a file can be made");
    file.write_all(text.as_bytes()).expect("a file can be written");
    path.to_str().expect("UTF-8").to_owned()
}
