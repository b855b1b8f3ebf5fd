//! Start pictures and masks by content: what a recipe's hashes refer to.

use std::path::{Path, PathBuf};

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
        path_below(self.root(), sha256)
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
        read_below(self.root(), sha256)
    }

    /// Sees to it that a blob is here: copies it from one of other libraries where it is not.
    ///
    /// # Errors
    /// Those of [`Self::get_blob`] where none has it, `Io` when it cannot be written.
    pub fn bring_blob(&self, sha256: &str, others: &[PathBuf]) -> Result<()> {
        let Err(missing) = self.get_blob(sha256) else {
            return Ok(());
        };
        let mut elsewhere = others.iter().map(|root| read_below(root, sha256));
        let png = elsewhere.find_map(Result::ok).ok_or(missing)?;
        let png = png.into();
        self.put_blob(&Blob {
            sha256: sha256.to_owned(),
            png,
        })?;
        Ok(())
    }
}

fn path_below(root: &Path, sha256: &str) -> Result<PathBuf> {
    if !is_sha256_hex(sha256) {
        return Err(EngineError::invalid(
            "sha256",
            format!("“{sha256}” is no SHA-256 in hex"),
        ));
    }
    Ok(root.join("blobs").join(format!("{sha256}.png")))
}

fn read_below(root: &Path, sha256: &str) -> Result<Vec<u8>> {
    let path = path_below(root, sha256)?;
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
