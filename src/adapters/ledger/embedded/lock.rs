//! The lock on a data folder: one process owns it. Knows nothing of what lies in it.

use std::fs::File;
use std::path::Path;

use super::OpenError;

/// A data folder is one process's, as long as this lives. Taken first: nothing in the folder is read or changed without it.
pub struct FolderLock(#[expect(dead_code, reason = "it is held, not read")] File);

impl FolderLock {
    /// # Errors
    /// Another process has it, or the folder cannot be used.
    pub fn take(folder: &Path) -> Result<Self, OpenError> {
        let name = folder.display().to_string();
        let failed = |e: std::io::Error| OpenError::Folder(name.clone(), e.to_string());
        std::fs::create_dir_all(folder).map_err(failed)?;
        let file =
            File::options().create(true).truncate(false).write(true).open(folder.join("lock")).map_err(failed)?;
        match fs4::FileExt::try_lock(&file) {
            Ok(()) => Ok(Self(file)),
            Err(_) => Err(OpenError::Taken(name)),
        }
    }
}
