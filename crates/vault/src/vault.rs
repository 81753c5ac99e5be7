//! Writing, giving and removing bytes.

use std::fs::DirEntry;
use std::io;
use std::ops::Range;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use aws_lc_rs::digest::{Context, SHA256};
use bytes::Bytes;
use egress::Egress;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use model::file::FileContent;
use model::id::FileId;
use model::time::Timestamp;
use object_store::local::LocalFileSystem;
use object_store::path::Path as Place;
use object_store::{GetOptions, GetRange, ObjectStore, ObjectStoreExt, WriteMultipart};

use crate::bucket::Bucket;

/// How much is written to a folder at once, in bytes.
const FOLDER_PART_BYTES: usize = 256 * 1024;
/// The same for a bucket: the least that S3 takes for a part. It takes at most 10,000 of them.
const BUCKET_PART_BYTES: usize = 5 * 1024 * 1024;
/// How many parts of one file may be under way.
const PARTS_MAX: usize = 2;

/// Why bytes could not be written, given or removed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is more than a file may have.
    #[error("the file is larger than {0} bytes")]
    TooLarge(u64),
    /// The bytes are not there.
    #[error("the bytes of the file are not where they are kept")]
    Missing,
    /// The folder or the bucket failed; trying again may help.
    #[error("the files cannot be reached: {0}")]
    Unavailable(String),
    /// The settings do not say where.
    #[error("{0}")]
    Config(String),
}

/// Where bytes are. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Vault {
    store: Arc<dyn ObjectStore>,
    /// Where it is, when it is a folder.
    folder: Option<PathBuf>,
    part_bytes: usize,
    bytes_max: u64,
}

/// A file that is being written. Dropped before it is finished it leaves nothing that can be read.
pub struct Writing {
    upload: WriteMultipart,
    digest: Context,
    bytes: u64,
    bytes_max: u64,
}

/// A file, or a part of it, as it is given.
pub struct Given {
    /// Which bytes these are.
    pub range: Range<u64>,
    /// How many the whole file has.
    pub bytes: u64,
    /// The bytes.
    pub body: BoxStream<'static, Result<Bytes, Error>>,
}

impl Vault {
    /// In a folder, which is made if it is not there; nobody else on this machine may look into it. A file may have so many
    /// bytes.
    pub fn in_folder(folder: &Path, bytes_max: u64) -> Result<Vault, Error> {
        let cannot = |error: &dyn std::fmt::Display| {
            Error::Config(format!("cannot keep files in {}: {error}", folder.display()))
        };
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
        made.map_err(|error| cannot(&error))?;
        // A file that is said to be stored must survive a power cut.
        let store =
            LocalFileSystem::new_with_prefix(folder).map_err(|error| cannot(&error))?.with_fsync(true);
        let folder = Some(folder.to_owned());
        Ok(Vault { store: Arc::new(store), folder, part_bytes: FOLDER_PART_BYTES, bytes_max })
    }

    /// In a bucket that is reached through the way out.
    pub fn in_bucket(bucket: &Bucket, egress: Egress, bytes_max: u64) -> Result<Vault, Error> {
        let store = bucket.open(egress)?;
        Ok(Vault { store, folder: None, part_bytes: BUCKET_PART_BYTES, bytes_max })
    }

    /// The most bytes a file may have.
    pub fn bytes_max(&self) -> u64 {
        self.bytes_max
    }

    /// Begins to write a file.
    pub async fn write(&self, id: FileId) -> Result<Writing, Error> {
        let upload = self.store.put_multipart(&place(id)).await.map_err(unavailable)?;
        Ok(Writing {
            upload: WriteMultipart::new_with_chunk_size(upload, self.part_bytes),
            digest: Context::new(&SHA256),
            bytes: 0,
            bytes_max: self.bytes_max,
        })
    }

    /// Gives a file, or as much of it as lies in a range; its end may lie behind the file's.
    pub async fn give(&self, id: FileId, range: Option<Range<u64>>) -> Result<Given, Error> {
        let options = GetOptions { range: range.map(GetRange::Bounded), ..GetOptions::default() };
        let found = self.store.get_opts(&place(id), options).await.map_err(unavailable)?;
        let (range, bytes) = (found.range.clone(), found.meta.size);
        let body = found.into_stream().map(|piece| piece.map_err(unavailable)).boxed();
        Ok(Given { range, bytes, body })
    }

    /// Removes a file; one that is not there is removed already.
    pub async fn remove(&self, id: FileId) -> Result<(), Error> {
        match self.store.delete(&place(id)).await.map_err(unavailable) {
            Ok(()) | Err(Error::Missing) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

impl Vault {
    /// Removes what writing has left in a folder when its process ended in the middle of it, and that nobody has written to since a
    /// time; says how many there were. A bucket has a rule of its own for that.
    pub async fn sweep(&self, before: Timestamp) -> Result<usize, Error> {
        let Some(folder) = self.folder.clone() else { return Ok(0) };
        let swept = tokio::task::spawn_blocking(move || sweep(&folder, before)).await;
        let failed = |error: &dyn std::fmt::Display| Error::Unavailable(error.to_string());
        swept.map_err(|error| failed(&error))?.map_err(|error| failed(&error))
    }
}

fn sweep(folder: &Path, before: Timestamp) -> io::Result<usize> {
    let mut count = 0;
    for day in std::fs::read_dir(folder)? {
        let day = day?;
        if !day.file_type()?.is_dir() {
            continue;
        }
        for entry in std::fs::read_dir(day.path())? {
            let entry = entry?;
            // What is being written has a number after its name.
            if entry.file_name().to_string_lossy().contains('#') && is_older(&entry, before)? {
                std::fs::remove_file(entry.path())?;
                count += 1;
            }
        }
    }
    Ok(count)
}

fn is_older(entry: &DirEntry, before: Timestamp) -> io::Result<bool> {
    let written = entry.metadata()?.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok(Timestamp::from_secs(i64::try_from(written.as_secs()).unwrap_or(i64::MAX)) < before)
}

impl Writing {
    /// Writes a piece. After an error nothing more can be written, and nothing is kept.
    pub async fn write(&mut self, piece: Bytes) -> Result<(), Error> {
        self.bytes += piece.len() as u64;
        if self.bytes > self.bytes_max {
            return Err(Error::TooLarge(self.bytes_max));
        }
        self.digest.update(&piece);
        self.upload.wait_for_capacity(PARTS_MAX).await.map_err(unavailable)?;
        self.upload.put(piece);
        Ok(())
    }

    /// Ends the file: it is durable when this returns.
    pub async fn finish(self, mime_type: String) -> Result<FileContent, Error> {
        self.upload.finish().await.map_err(unavailable)?;
        let sha256 = hex::encode(self.digest.finish());
        Ok(FileContent { bytes: self.bytes, sha256, mime_type })
    }

    /// Gives the file up, and what was written of it.
    pub async fn give_up(self) {
        if let Err(error) = self.upload.abort().await {
            tracing::debug!(%error, "what was written of a file could not be removed");
        }
    }
}

/// Where a file is: those of one day are together.
fn place(id: FileId) -> Place {
    let at = id.made_at().to_string();
    let day = at.split('T').next().unwrap_or_default();
    Place::from_iter([day, &id.to_string()])
}

/// What the folder or bucket says of a failure; never where that is, for it may hold a key.
fn unavailable(error: object_store::Error) -> Error {
    match error {
        object_store::Error::NotFound { .. } => Error::Missing,
        error => {
            tracing::warn!(%error, "the folder or bucket of the files failed");
            Error::Unavailable("the folder or bucket of the files failed".to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(raw: i64) -> FileId {
        FileId::from_raw(raw)
    }

    async fn read(given: Given) -> Vec<u8> {
        let pieces: Vec<_> = given.body.collect().await;
        pieces.into_iter().flat_map(|piece| piece.expect("a piece").to_vec()).collect()
    }

    #[tokio::test]
    async fn a_file_is_given_as_it_was_written_and_in_parts() {
        let folder = tempfile::tempdir().expect("a folder");
        let vault = Vault::in_folder(&folder.path().join("files"), 20_000_000).expect("a vault");
        let mut writing = vault.write(id(1)).await.expect("to write");
        let piece = Bytes::from(vec![7; 1_000_000]);
        for _ in 0..12 {
            writing.write(piece.clone()).await.expect("room");
        }
        assert!(matches!(vault.give(id(1), None).await, Err(Error::Missing)), "not yet");
        let content = writing.finish("image/png".to_owned()).await.expect("to finish");
        assert_eq!((content.bytes, content.sha256.len()), (12_000_000, 64));
        let given = vault.give(id(1), None).await.expect("the file");
        assert_eq!((given.range.clone(), given.bytes), (0..12_000_000, 12_000_000));
        assert_eq!(read(given).await, vec![7; 12_000_000]);
        let part = vault.give(id(1), Some(11_999_998..99_000_000)).await.expect("its end");
        assert_eq!((part.range.clone(), part.bytes), (11_999_998..12_000_000, 12_000_000));
        assert_eq!(read(part).await, [7, 7]);
        vault.remove(id(1)).await.expect("to remove");
        vault.remove(id(1)).await.expect("to remove it again");
        assert!(matches!(vault.give(id(1), None).await, Err(Error::Missing)));
    }

    #[tokio::test]
    async fn more_than_a_file_may_have_is_refused_and_nothing_is_kept() {
        let folder = tempfile::tempdir().expect("a folder");
        let vault = Vault::in_folder(folder.path(), 10).expect("a vault");
        let mut writing = vault.write(id(2)).await.expect("to write");
        writing.write(Bytes::from_static(b"0123456789")).await.expect("room");
        let more = writing.write(Bytes::from_static(b"!")).await;
        assert!(matches!(more, Err(Error::TooLarge(10))));
        writing.give_up().await;
        assert!(matches!(vault.give(id(2), None).await, Err(Error::Missing)));
        let day = std::fs::read_dir(folder.path()).expect("the folder").flatten().next();
        let left = day.map_or(0, |day| std::fs::read_dir(day.path()).expect("a day").count());
        assert_eq!(left, 0, "nothing half-written is left");
    }

    #[tokio::test]
    async fn what_a_process_left_half_written_is_swept_and_nothing_else() {
        let folder = tempfile::tempdir().expect("a folder");
        let vault = Vault::in_folder(folder.path(), 10).expect("a vault");
        vault.write(id(4)).await.expect("to write").finish(String::new()).await.expect("it");
        let mut left = vault.write(id(5)).await.expect("to write");
        left.write(Bytes::from_static(b"half")).await.expect("room");
        std::mem::forget(left);
        let day = std::fs::read_dir(folder.path()).expect("a folder").flatten().next().expect("a day").path();
        let names = || std::fs::read_dir(&day).expect("a day").count();
        assert_eq!(names(), 2);
        let (past, future) = (Timestamp::from_secs(1_000), Timestamp::from_secs(99_000_000_000));
        assert_eq!((vault.sweep(past).await.expect("swept"), names()), (0, 2), "somebody may be writing it");
        assert_eq!((vault.sweep(future).await.expect("swept"), names()), (1, 1));
        assert!(vault.give(id(4), None).await.is_ok());
    }

    #[tokio::test]
    async fn an_empty_file_is_a_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let vault = Vault::in_folder(folder.path(), 10).expect("a vault");
        let content = vault.write(id(3)).await.expect("to write").finish(String::new()).await.expect("it");
        assert_eq!(content.bytes, 0);
        assert_eq!(read(vault.give(id(3), None).await.expect("the file")).await, b"");
    }
}
