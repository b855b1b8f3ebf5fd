//! Files, dialogs and the clipboard, off the interface thread.
