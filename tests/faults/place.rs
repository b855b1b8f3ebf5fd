//! Where hostile files are tried: each verdict comes at once, in bounded memory, with a message that
//! names the file.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use pentimento_engine::error::EngineError;
use pentimento_engine::families::single;
use pentimento_engine::weights::files::ByteSource;
use pentimento_engine::weights::format;
use tempfile::TempDir;

/// A refusal takes a few milliseconds; other tests run at the same time.
const AT_ONCE: Duration = Duration::from_millis(250);
/// Address space that all refusals of a test may take together.
const MEMORY: u64 = 192 << 20;

/// A folder to put hostile files in, and how large the process was before.
pub(crate) struct Place {
    folder: TempDir,
    began: u64,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self {
            folder: TempDir::new().unwrap(),
            began: peak_bytes(),
        }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("model.ckpt")
    }

    /// The verdict on a file of these bytes.
    pub(crate) fn verdict(&self, what: &str, bytes: &[u8]) -> Result<(), EngineError> {
        std::fs::write(self.path(), bytes).unwrap();
        let mut fastest = Duration::MAX;
        let mut result = Ok(());
        for _ in 0..3 {
            let began = Instant::now();
            result = read(&self.path());
            fastest = fastest.min(began.elapsed());
        }
        assert!(fastest < AT_ONCE, "{what}: took {fastest:?}");
        result
    }

    /// Fails unless the file is refused with a message that names it, gives a remedy, and holds `word`.
    #[track_caller]
    pub(crate) fn refuses(&self, what: &str, bytes: &[u8], word: &str) {
        let Err(error) = self.verdict(what, bytes) else {
            panic!("{what}: accepted")
        };
        let EngineError::BadFile {
            path,
            problem,
            remedy,
        } = &error
        else {
            panic!("{what}: {error:?}")
        };
        assert_eq!(*path, self.path(), "{what}");
        assert!(!remedy.is_empty(), "{what}");
        assert!(
            problem.contains(word),
            "{what}: “{problem}” does not say “{word}”"
        );
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let grown = peak_bytes().saturating_sub(self.began);
            assert!(grown < MEMORY, "{grown} bytes were reserved");
        }
    }
}

fn read(path: &Path) -> Result<(), EngineError> {
    let source = ByteSource::open(path)?;
    (format::identify(&source)?.read_header)(&source)?;
    // What the header allows, the rest must bear too.
    let _any_verdict = single::open(path).is_ok();
    Ok(())
}

/// The process's largest address space so far; 0 where the system does not say.
fn peak_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmPeak:"))
        .unwrap_or("0 kB");
    line.trim()
        .trim_end_matches(" kB")
        .parse::<u64>()
        .unwrap_or(0)
        * 1024
}
