//! Pentimento's window and command line.
