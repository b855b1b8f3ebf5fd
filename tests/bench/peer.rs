//! The reference in a process of its own: one of the Python scripts beside this file, which answers each line with the
//! seconds that the work took.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

pub(crate) struct Peer {
    child: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Peer {
    /// Starts `tests/bench/SCRIPT` on a model's folder.
    pub(crate) fn start(python: &str, script: &str, folder: &Path) -> Self {
        let script = support::places::root().join("tests/bench").join(script);
        let mut child = Command::new(python)
            .args([script.as_path(), folder])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{python}: {error}"));
        let orders = child.stdin.take().unwrap();
        let answers = BufReader::new(child.stdout.take().unwrap());
        Self {
            child,
            orders,
            answers,
        }
    }

    /// Its next line; the first one names its versions.
    pub(crate) fn answer(&mut self) -> String {
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        assert!(!line.is_empty(), "the reference process ended");
        line.trim().to_owned()
    }

    /// How long it took for `order`.
    pub(crate) fn secs(&mut self, order: &str) -> f64 {
        writeln!(self.orders, "{order}").unwrap();
        self.answer().parse().unwrap()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ended_already = self.child.kill().is_err();
        let _reaped = self.child.wait().is_ok();
    }
}
