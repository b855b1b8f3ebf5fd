//! The index: an SQLite file that answers lists and searches fast, and holds nothing that the
//! picture files and the stars' journal do not hold. It is thrown away and made again when it is
//! broken or of another schema.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::types::Value as Sql;
use rusqlite::{Connection, ErrorCode, OptionalExtension, params_from_iter};

use crate::error::{EngineError, Result};

/// Raised when the tables change.
const SCHEMA: i64 = 1;

/// How long one program waits for another's transaction.
const BUSY: Duration = Duration::from_secs(10);

const TABLES: &str = "
    DROP TABLE IF EXISTS pictures;
    CREATE TABLE pictures (
        path TEXT PRIMARY KEY NOT NULL,
        created_ms INTEGER NOT NULL,
        width_px INTEGER NOT NULL,
        height_px INTEGER NOT NULL,
        prompt TEXT NOT NULL,
        model TEXT NOT NULL,
        seed TEXT NOT NULL,
        search TEXT NOT NULL,
        starred INTEGER NOT NULL,
        has_recipe INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX pictures_by_time ON pictures (created_ms DESC, path DESC);
";

/// One picture as the index knows it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Row {
    /// Path inside the library, `/` between folders.
    pub(super) path: String,
    pub(super) created_ms: u64,
    pub(super) width_px: u32,
    pub(super) height_px: u32,
    pub(super) prompt: String,
    pub(super) model: String,
    pub(super) seed: Option<u64>,
    pub(super) starred: bool,
    pub(super) has_recipe: bool,
}

/// A failure inside SQLite: whether the file is broken, and the words.
#[derive(Debug)]
pub(super) struct IndexError {
    pub(super) broken: bool,
    reason: String,
}

impl From<rusqlite::Error> for IndexError {
    fn from(error: rusqlite::Error) -> Self {
        let broken = matches!(
            error.sqlite_error_code(),
            Some(
                ErrorCode::DatabaseCorrupt
                    | ErrorCode::NotADatabase
                    | ErrorCode::TypeMismatch
                    | ErrorCode::Unknown
            )
        ) || matches!(
            error,
            // Columns of another type than we write: somebody else's tables.
            rusqlite::Error::InvalidColumnType(..)
                | rusqlite::Error::IntegralValueOutOfRange(..)
                | rusqlite::Error::FromSqlConversionFailure(..)
        );
        Self {
            broken,
            reason: error.to_string(),
        }
    }
}

/// An open index.
pub(super) struct Index {
    path: PathBuf,
    connection: Connection,
}

impl Index {
    /// Opens or makes the file; one that is broken, or of another schema, is emptied.
    pub(super) fn open(path: &Path) -> Result<Self> {
        match Self::try_open(path) {
            Ok(opened) => Ok(opened),
            Err(error) if error.broken => {
                Self::remove(path)?;
                Self::try_open(path).map_err(|error| describe(path, &error))
            }
            Err(error) => Err(describe(path, &error)),
        }
    }

    fn try_open(path: &Path) -> Result<Self, IndexError> {
        let mut connection = Connection::open(path)?;
        connection.busy_timeout(BUSY)?;
        // A crash of the program loses nothing in this mode; a power cut may lose the last rows,
        // which `Library::open` finds again among the files.
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        let transaction =
            connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        let schema: i64 = transaction.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        if schema != SCHEMA {
            transaction.execute_batch(TABLES)?;
            transaction.pragma_update(None, "user_version", SCHEMA)?;
        }
        transaction.query_row("SELECT count(*), max(search) FROM pictures", [], |_| Ok(()))?;
        transaction.commit()?;
        Ok(Self {
            path: path.to_owned(),
            connection,
        })
    }

    /// Throws a broken file away and opens an empty one.
    pub(super) fn replace(&mut self) -> Result<()> {
        let in_memory = Connection::open_in_memory()
            .map_err(|error| describe(&self.path, &IndexError::from(error)))?;
        // Closes the broken one: an open file cannot be removed on every system.
        self.connection = in_memory;
        Self::remove(&self.path)?;
        *self = Self::open(&self.path)?;
        Ok(())
    }

    /// Removes a broken index with its side files.
    fn remove(path: &Path) -> Result<()> {
        for suffix in ["", "-wal", "-shm"] {
            let mut name = path.as_os_str().to_owned();
            name.push(suffix);
            match fs::remove_file(&name) {
                Ok(()) => {}
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(EngineError::io(name, "remove", &error)),
            }
        }
        Ok(())
    }

    pub(super) fn describe(&self, error: &IndexError) -> EngineError {
        describe(&self.path, error)
    }

    /// Adds rows, or replaces those of the same path, all or none.
    pub(super) fn put(&mut self, rows: &[Row]) -> Result<(), IndexError> {
        let transaction = self
            .connection
            .transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        {
            let mut insert = transaction.prepare_cached(
                "INSERT OR REPLACE INTO pictures VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10)",
            )?;
            for row in rows {
                let seed = row.seed.map(|seed| seed.to_string()).unwrap_or_default();
                let search = format!("{}\n{}\n{seed}", row.prompt, row.model).to_lowercase();
                insert.execute((
                    &row.path,
                    row.created_ms.min(i64::MAX as u64) as i64,
                    row.width_px,
                    row.height_px,
                    &row.prompt,
                    &row.model,
                    seed,
                    search,
                    row.starred,
                    row.has_recipe,
                ))?;
            }
        }
        transaction.commit()?;
        Ok(())
    }

    /// Takes rows out.
    pub(super) fn remove_rows(&mut self, paths: &[String]) -> Result<(), IndexError> {
        let transaction = self
            .connection
            .transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        for path in paths {
            transaction
                .prepare_cached("DELETE FROM pictures WHERE path = ?1")?
                .execute([path])?;
        }
        transaction.commit()?;
        Ok(())
    }

    /// Takes all rows out.
    pub(super) fn clear(&self) -> Result<(), IndexError> {
        self.connection.execute("DELETE FROM pictures", [])?;
        Ok(())
    }

    /// Makes the rows' stars those of the journal.
    pub(super) fn match_stars(&self, starred: &BTreeSet<String>) -> Result<(), IndexError> {
        let shown: BTreeSet<String> = {
            let mut select = self
                .connection
                .prepare("SELECT path FROM pictures WHERE starred")?;
            let rows = select.query_map([], |row| row.get(0))?;
            rows.collect::<Result<_, _>>()?
        };
        for path in shown.symmetric_difference(starred) {
            self.set_star(path, starred.contains(path))?;
        }
        Ok(())
    }

    pub(super) fn set_star(&self, path: &str, starred: bool) -> Result<(), IndexError> {
        self.connection
            .prepare_cached("UPDATE pictures SET starred = ?2 WHERE path = ?1")?
            .execute((path, starred))?;
        Ok(())
    }

    /// One picture.
    pub(super) fn get(&self, path: &str) -> Result<Option<Row>, IndexError> {
        Ok(self
            .connection
            .prepare_cached("SELECT * FROM pictures WHERE path = ?1")?
            .query_row([path], row)
            .optional()?)
    }

    /// Every path.
    pub(super) fn paths(&self) -> Result<BTreeSet<String>, IndexError> {
        let mut select = self.connection.prepare("SELECT path FROM pictures")?;
        let rows = select.query_map([], |row| row.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Pictures whose prompt, model or seed holds every word, newest first; and how many there are.
    pub(super) fn list(
        &self,
        text: &str,
        starred_only: bool,
        offset: u64,
        limit: u64,
    ) -> Result<(Vec<Row>, u64), IndexError> {
        let mut filter = String::from("1");
        let mut values = Vec::new();
        if starred_only {
            filter.push_str(" AND starred");
        }
        for word in text.split_whitespace() {
            let mut pattern = String::from("%");
            for letter in word.to_lowercase().chars() {
                if matches!(letter, '%' | '_' | '\\') {
                    pattern.push('\\');
                }
                pattern.push(letter);
            }
            pattern.push('%');
            filter.push_str(" AND search LIKE ? ESCAPE '\\'");
            values.push(Sql::Text(pattern));
        }
        let total: i64 = self
            .connection
            .prepare_cached(&format!("SELECT count(*) FROM pictures WHERE {filter}"))?
            .query_row(params_from_iter(&values), |row| row.get(0))?;
        values.push(Sql::Integer(limit.min(i64::MAX as u64) as i64));
        values.push(Sql::Integer(offset.min(i64::MAX as u64) as i64));
        let mut select = self.connection.prepare_cached(&format!(
            "SELECT * FROM pictures WHERE {filter} \
             ORDER BY created_ms DESC, path DESC LIMIT ? OFFSET ?"
        ))?;
        let rows = select.query_map(params_from_iter(&values), row)?;
        Ok((rows.collect::<Result<_, _>>()?, total.unsigned_abs()))
    }
}

fn describe(path: &Path, error: &IndexError) -> EngineError {
    EngineError::Io {
        path: path.to_owned(),
        action: "use the gallery's index".to_owned(),
        reason: error.reason.clone(),
        remedy: "free space on that disk, or delete the file: it is made again from the pictures"
            .to_owned(),
    }
}

fn row(row: &rusqlite::Row<'_>) -> rusqlite::Result<Row> {
    Ok(Row {
        path: row.get("path")?,
        created_ms: row.get::<_, i64>("created_ms")?.unsigned_abs(),
        width_px: row.get("width_px")?,
        height_px: row.get("height_px")?,
        prompt: row.get("prompt")?,
        model: row.get("model")?,
        seed: row.get::<_, String>("seed")?.parse().ok(),
        starred: row.get("starred")?,
        has_recipe: row.get("has_recipe")?,
    })
}
