//! A machine of its own for the command line, which is called as a function with the real engine and
//! the starter model.

use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use pentimento::cli::{self, Context, EngineFactory, Signal};
use pentimento::window::{WindowError, WindowOptions};
use pentimento_engine::client::EngineClient;
use pentimento_engine::engine::Engine;
use pentimento_engine::raster::{Mask, Picture, encode_png, encode_png_mask};
use tempfile::TempDir;

/// A fresh machine: an empty folder that holds gallery and data.
pub(crate) struct Machine {
    pub(crate) folder: TempDir,
    pub(crate) signal: Arc<Signal>,
}

/// What a run left.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: u8,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// Collects a stream; rings Ctrl+C when a text passes by.
struct Stream {
    text: Vec<u8>,
    interrupt_at: Option<(&'static str, Arc<Signal>)>,
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.text.extend_from_slice(bytes);
        if let Some((word, signal)) = &self.interrupt_at
            && String::from_utf8_lossy(&self.text).contains(word)
        {
            signal.interrupt();
            self.interrupt_at = None;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Machine {
    pub(crate) fn new() -> Self {
        Self {
            folder: tempfile::tempdir().expect("a folder"),
            signal: Signal::new(),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A file in the folder, by its full path as text.
    pub(crate) fn file(&self, name: &str, bytes: &[u8]) -> String {
        std::fs::write(self.path(name), bytes).expect("written");
        self.text(name)
    }

    pub(crate) fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    pub(crate) fn picture(&self, name: &str, width: u32, height: u32) -> String {
        let pixels: Vec<u8> = (0..width * height)
            .flat_map(|at| [at as u8, (at / 3) as u8, 200, 255])
            .collect();
        let picture = Picture::new(width, height, pixels).expect("a picture");
        self.file(name, &encode_png(&picture).expect("a file"))
    }

    /// A mask whose left half is `left`.
    pub(crate) fn mask(&self, name: &str, width: u32, height: u32, left: u8) -> String {
        let values: Vec<u8> = (0..width * height)
            .map(|at| if at % width < width / 2 { left } else { 0 })
            .collect();
        let mask = Mask::new(width, height, values).expect("a mask");
        self.file(name, &encode_png_mask(&mask).expect("a file"))
    }

    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        self.run_until(args, None, &|_| {
            Err(WindowError::NoWindow("no display".to_owned()))
        })
    }

    pub(crate) fn run_until(
        &self,
        args: &[&str],
        interrupt_at: Option<&'static str>,
        open_window: &dyn Fn(WindowOptions) -> Result<(), WindowError>,
    ) -> Ran {
        let start_engine: EngineFactory = Arc::new(|config, waker| {
            let engine = Engine::start(config, waker)?;
            Ok(Box::new(engine) as Box<dyn EngineClient>)
        });
        let mut out = Stream {
            text: Vec::new(),
            interrupt_at: interrupt_at.map(|word| (word, Arc::clone(&self.signal))),
        };
        let mut err = Stream {
            text: Vec::new(),
            interrupt_at: None,
        };
        let variable = |name: &str| match name {
            "PENTIMENTO_LIBRARY" => Some(self.path("gallery").into_os_string()),
            "PENTIMENTO_DATA" => Some(self.path("data").into_os_string()),
            _ => None,
        };
        let code = cli::run(
            args.iter().map(OsString::from),
            &mut Context {
                out: &mut out,
                err: &mut err,
                err_is_terminal: false,
                signal: Arc::clone(&self.signal),
                catch_interrupts: &|_| (),
                start_engine,
                open_window,
                variable: &variable,
            },
        );
        Ran {
            code,
            out: String::from_utf8(out.text).expect("UTF-8"),
            err: String::from_utf8(err.text).expect("UTF-8"),
        }
    }

    /// Runs what must fail with that code and all these words on the error stream.
    pub(crate) fn refuses(&self, code: u8, args: &[&str], words: &[&str]) {
        let ran = self.run(args);
        assert_eq!(ran.code, code, "{args:?}: {ran:?}");
        for word in words {
            assert!(
                ran.err.contains(word),
                "{args:?}: no “{word}” in {}",
                ran.err
            );
        }
        assert!(ran.out.is_empty(), "{args:?}: {}", ran.out);
    }

    /// Runs what must work and returns the files it names.
    pub(crate) fn makes(&self, args: &[&str]) -> Vec<PathBuf> {
        let ran = self.run(args);
        assert_eq!(ran.code, 0, "{args:?}: {ran:?}");
        ran.out.lines().map(PathBuf::from).collect()
    }
}

/// A short job: two steps.
pub(crate) const QUICK: [&str; 7] = [
    "render",
    "--prompt",
    "a red apple, 3d",
    "--steps",
    "2",
    "--seed",
    "5",
];

pub(crate) fn quick<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&QUICK[..], more].concat()
}
