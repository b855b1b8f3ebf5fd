//! Start pictures and masks by content: what a recipe's hashes refer to.

use std::path::PathBuf;

use super::Library;
use super::files::{create_folder, write_new};
use crate::client::Blob;
use crate::error::{EngineError, Result};
use crate::hash::{is_sha256_hex, sha256_hex};
use crate::raster::read_picture_file;

impl Library {
    /// Where the blob of that hash lies, or would lie.
    ///
    /// # Errors
    /// `InvalidRequest` when it is no SHA-256 in hex.
    pub fn blob_path(&self, sha256: &str) -> Result<PathBuf> {
        if !is_sha256_hex(sha256) {
            return Err(EngineError::invalid(
                "sha256",
                format!("“{sha256}” is no SHA-256 in hex"),
            ));
        }
        Ok(self.root().join("blobs").join(format!("{sha256}.png")))
    }

    /// Keeps a blob. One that is there already is left as it is, unless it was damaged; its time
    /// tells when it was used last.
    ///
    /// # Errors
    /// `InvalidRequest` when the hash is not the content's, `Io` when it cannot be written.
    pub fn put_blob(&self, blob: &Blob) -> Result<PathBuf> {
        if sha256_hex(&blob.png) != blob.sha256 {
            return Err(EngineError::invalid(
                "blobs",
                format!("the content does not have the hash {}", blob.sha256),
            ));
        }
        let path = self.blob_path(&blob.sha256)?;
        create_folder(&self.root().join("blobs"))?;
        if write_new(&path, &blob.png)? {
            return Ok(path);
        }
        if self.get_blob(&blob.sha256).is_err() {
            super::files::write_replacing(&path, &blob.png)?;
        } else if let Ok(file) = std::fs::File::options().append(true).open(&path) {
            // Where the time cannot be set, the blob may be swept a month early: a job that waits
            // so long brings its start picture along all the same.
            let _kept_its_time = file.set_modified(std::time::SystemTime::now()).is_err();
        }
        Ok(path)
    }

    /// Reads a blob and checks that it is what it was.
    ///
    /// # Errors
    /// `Io` when it is not there, `BadFile` when its content does not have its hash.
    pub fn get_blob(&self, sha256: &str) -> Result<Vec<u8>> {
        let path = self.blob_path(sha256)?;
        let png = read_picture_file(&path)?;
        if sha256_hex(&png) != sha256 {
            return Err(EngineError::bad_file(
                path,
                "the file was changed since it was written",
                "open the start picture or mask again",
            ));
        }
        Ok(png)
    }
}
