//! Pentimento's window.
//!
//! `app` is the `eframe::App`: its `logic` drains the engine's events and applies commands, its
//! `ui` lays out `panels` and the `canvas`. `studio` is the state, without egui: panels read it and
//! send [`command::Command`]s, and only `Studio::apply` changes it. What a command wants from the
//! outside world comes back as `Effect`s, which `app` hands to `engine_link`, `gallery_link` and
//! `io`, all off the interface thread. `theme` is the only place with colours and sizes, `text` the
//! only door to what the user reads.

pub mod action;
pub mod app;
pub mod canvas;
pub mod cli;
pub mod command;
pub mod command_palette;
pub mod engine_link;
pub mod gallery_link;
pub mod io;
pub mod keeper;
pub mod keys;
pub mod layout;
pub mod panels;
pub mod paths;
pub mod starter;
pub mod studio;
pub mod text;
pub mod textures;
pub mod theme;
pub mod widgets;
pub mod window;

pub use app::{StudioApp, StudioOptions};
pub use window::{WindowError, WindowOptions, run_window};
