//! The file of `--db`: at most one laptop uses it, and the laptop never changes a file of another program.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

/// The embedded engine's own tables in every file that it has created.
const ENGINE_TABLES: [&str; 2] = ["_config", "_tables"];

/// A database file that this process may use until the value is dropped.
#[derive(Debug)]
pub struct DatabaseFile {
    /// The operating system releases the lock when the file is closed, also after a crash.
    _lock: File,
}

/// Why the laptop must not use a file.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseFileError {
    /// Another process has locked the file.
    #[error("{} is in use by another laptop: stop that one, or name another file with --db", .0.display())]
    InUse(PathBuf),
    /// Another program created the file.
    #[error("{} is not a database of the laptop: name another file with --db", .0.display())]
    Foreign(PathBuf),
    /// The file cannot be created or opened.
    #[error("{} cannot be opened: {}; name another file with --db", .0.display(), .1)]
    Io(PathBuf, #[source] io::Error),
}

impl DatabaseFile {
    /// Locks `file`, and creates it if it does not exist. Only the user who created the file can read it, because it
    /// contains addresses and keys.
    pub fn open(file: &Path) -> Result<Self, DatabaseFileError> {
        let io_error = |error| DatabaseFileError::Io(file.to_owned(), error);
        // SQLite locks the database file itself in its own way.
        let lock = private_file(&lock_path(file)).map_err(io_error)?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => DatabaseFileError::InUse(file.to_owned()),
            TryLockError::Error(error) => io_error(error),
        })?;
        let is_empty = private_file(file).and_then(|file| file.metadata()).map_err(io_error)?.len() == 0;
        if is_empty || is_created_by_engine(file) {
            Ok(Self { _lock: lock })
        } else {
            Err(DatabaseFileError::Foreign(file.to_owned()))
        }
    }
}

fn lock_path(file: &Path) -> PathBuf {
    let mut path = file.as_os_str().to_owned();
    path.push(".lock");
    path.into()
}

/// Opens a file for reading and writing. A new file is readable by its user only.
fn private_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Returns whether `file` is a database that the embedded engine created.
fn is_created_by_engine(file: &Path) -> bool {
    let tables = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY).and_then(|connection| {
        let mut statement = connection.prepare("SELECT name FROM sqlite_master WHERE type = 'table'")?;
        let names = statement.query_map((), |row| row.get::<_, String>(0))?;
        names.collect::<Result<Vec<_>, _>>()
    });
    tables.is_ok_and(|tables| ENGINE_TABLES.iter().all(|engine| tables.iter().any(|table| table == engine)))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn one_file_has_one_user_at_a_time() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("roster.db");
        let first = DatabaseFile::open(&file).unwrap();
        let error = DatabaseFile::open(&file).unwrap_err();
        assert!(matches!(error, DatabaseFileError::InUse(_)), "{error}");
        drop(first);
        DatabaseFile::open(&file).unwrap();
    }

    #[test]
    fn refuses_files_of_other_programs_and_leaves_them_unchanged() {
        let directory = tempfile::tempdir().unwrap();
        let notes = directory.path().join("notes.db");
        Connection::open(&notes).unwrap().execute_batch("CREATE TABLE notes (body TEXT)").unwrap();
        let text = directory.path().join("text");
        fs::write(&text, "not a database").unwrap();
        for file in [notes, text] {
            let before = fs::read(&file).unwrap();
            let error = DatabaseFile::open(&file).unwrap_err();
            assert!(matches!(error, DatabaseFileError::Foreign(_)), "{error}");
            assert!(error.to_string().contains(file.to_str().unwrap()), "{error}");
            assert_eq!(fs::read(&file).unwrap(), before);
        }
    }

    #[test]
    fn names_a_file_that_cannot_be_created() {
        let error = DatabaseFile::open(Path::new("/no-such-folder/roster.db")).unwrap_err();
        assert!(error.to_string().starts_with("/no-such-folder/roster.db cannot be opened: "), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn other_users_cannot_read_the_file() {
        use std::os::unix::fs::PermissionsExt as _;

        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("roster.db");
        let _open = DatabaseFile::open(&file).unwrap();
        for path in [lock_path(&file), file] {
            assert_eq!(
                fs::metadata(&path).unwrap().permissions().mode() & 0o777,
                0o600,
                "{}",
                path.display()
            );
        }
    }
}
