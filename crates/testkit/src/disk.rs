//! A disk that fails on request, beneath a gateway: `disk.c`, compiled where the tests run and loaded into the process.
//! What a failed sync and a power cut are there is said at the top of that file.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Context;
use tokio::time::Instant;

use crate::place::Place;
use crate::{announce, variable};

const SOURCE: &str = include_str!("disk.c");
/// How long a store that was let go may take to be closed.
const CLOSE_MAX: Duration = Duration::from_secs(30);

/// The numbers of `disk.c`, in its order.
#[derive(Clone, Copy)]
enum Number {
    Loaded,
    Struck,
    Seed,
    SyncParts,
    SyncSkip,
    WriteParts,
    WriteError,
    CutParts,
    CutAfter,
    CutKeep,
    HangParts,
    FreeBytes,
}

/// A part of the disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Part {
    /// The database itself.
    Database = 1,
    /// Its write-ahead log.
    Log = 2,
    /// The names of the files in the folder.
    Names = 4,
    /// The name of the folder, in the one above it.
    Parent = 8,
    /// The log while it begins anew, its first bytes not yet synced.
    LogHead = 32,
    /// All of it.
    Whole = 63,
}

/// Why a write is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// `EIO`: the device says no.
    Broken = 5,
    /// `ENOSPC`: there is no room.
    Full = 28,
}

/// A disk beneath the folder of one store. It outlives the processes that use it.
#[derive(Debug)]
pub struct Disk {
    state: PathBuf,
    data: PathBuf,
    control: File,
}

impl Disk {
    /// Puts a disk beneath an embedded store; `None` where it cannot be made and nobody insists.
    pub fn beneath(place: &Place) -> anyhow::Result<Option<Disk>> {
        let data = place.folder().context("only an embedded store has a disk of its own")?;
        let (above, name) = data.parent().zip(data.file_name()).context("a folder in a folder")?;
        let data = above.canonicalize()?.join(name);
        let state = data.with_extension("disk");
        std::fs::create_dir_all(state.join("images"))?;
        let mut control = File::options();
        let control = control.read(true).write(true).create_new(true).open(state.join("control"))?;
        control.set_len((Number::FreeBytes as u64 + 1) * 8)?;
        let disk = Disk { control, state, data };
        if let Err(error) = disk.compile() {
            anyhow::ensure!(variable("CI").is_none(), "no disk can be made to fail: {error:#}");
            announce(&format!("skipped: no disk can be made to fail here: {error:#}"));
            return Ok(None);
        }
        Ok(Some(disk))
    }

    fn compile(&self) -> anyhow::Result<()> {
        anyhow::ensure!(cfg!(target_os = "linux"), "only Linux loads a library before the C library");
        let source = self.state.join("disk.c");
        std::fs::write(&source, SOURCE)?;
        let compiled = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-o"])
            .args([&self.library(), &source])
            .args(["-ldl", "-lpthread"])
            .output()
            .context("there is no C compiler `cc`")?;
        anyhow::ensure!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
        Ok(())
    }

    fn library(&self) -> PathBuf {
        self.state.join("libdisk.so")
    }

    /// What a process is started with to run on this disk.
    pub fn variables(&self) -> [(&'static str, String); 3] {
        let text = |path: &Path| path.display().to_string();
        [
            ("LD_PRELOAD", text(&self.library())),
            ("TESTKIT_DISK_FOLDER", text(&self.data)),
            ("TESTKIT_DISK_STATE", text(&self.state)),
        ]
    }

    /// Takes everything in the folder to be on the disk, once this process, which set it up, has closed it.
    pub async fn take_over(&self) -> anyhow::Result<()> {
        let deadline = Instant::now() + CLOSE_MAX;
        while self.is_open_here()? {
            anyhow::ensure!(Instant::now() < deadline, "the store was not closed in {CLOSE_MAX:?}");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        for entry in std::fs::read_dir(&self.data)? {
            let entry = entry?;
            std::fs::copy(entry.path(), self.state.join("images").join(entry.file_name()))?;
        }
        Ok(())
    }

    fn is_open_here(&self) -> anyhow::Result<bool> {
        let open =
            std::fs::read_dir("/proc/self/fd")?.filter_map(|entry| entry.ok()?.path().read_link().ok());
        Ok(open.into_iter().any(|path| path.starts_with(&self.data)))
    }

    /// Lets every sync of a part fail from now on, after so many that succeed.
    pub fn fail_syncs(&self, part: Part, after: u32) -> anyhow::Result<()> {
        self.set(Number::SyncSkip, i64::from(after))?;
        self.set(Number::SyncParts, part as i64)
    }

    /// Refuses every write to a part from now on; half of each is made all the same.
    pub fn refuse_writes(&self, part: Part, why: Refusal) -> anyhow::Result<()> {
        self.set(Number::WriteError, why as i64)?;
        self.set(Number::WriteParts, part as i64)
    }

    /// Lets no sync of a part come to an end from now on.
    pub fn hang_syncs(&self, part: Part) -> anyhow::Result<()> {
        self.set(Number::HangParts, part as i64)
    }

    /// Has only so many bytes free from now on, as far as anybody is told.
    pub fn has_free(&self, bytes: u64) -> anyhow::Result<()> {
        self.set(Number::FreeBytes, i64::try_from(bytes)?)
    }

    /// Works again from now on.
    pub fn heal(&self) -> anyhow::Result<()> {
        self.set(Number::FreeBytes, 0)?;
        self.set(Number::HangParts, 0)?;
        self.set(Number::SyncParts, 0)?;
        self.set(Number::WriteParts, 0)
    }

    /// Cuts the power at the n-th write or sync of a part from now on. Of every hundred sectors that were written and not
    /// synced, `keep` are on the disk all the same, by pseudo-random numbers that begin with the seed.
    pub fn cut_after(&self, part: Part, calls: u64, keep: u8, seed: u64) -> anyhow::Result<()> {
        self.set(Number::Seed, seed.cast_signed())?;
        self.set(Number::CutKeep, i64::from(keep))?;
        self.set(Number::CutParts, part as i64)?;
        self.set(Number::CutAfter, i64::try_from(calls)?)
    }

    /// Whether the power was cut since a cut was asked for.
    pub fn is_cut(&self) -> anyhow::Result<bool> {
        Ok(self.get(Number::CutParts)? != 0 && self.get(Number::CutAfter)? == 0)
    }

    /// How many calls were made to fail so far.
    pub fn struck(&self) -> anyhow::Result<i64> {
        self.get(Number::Struck)
    }

    /// How many processes have used it. A story that expects failures looks whether its process did.
    pub fn users(&self) -> anyhow::Result<i64> {
        self.get(Number::Loaded)
    }

    fn set(&self, number: Number, value: i64) -> anyhow::Result<()> {
        Ok(self.control.write_all_at(&value.to_ne_bytes(), number as u64 * 8)?)
    }

    fn get(&self, number: Number) -> anyhow::Result<i64> {
        let mut bytes = [0; 8];
        self.control.read_exact_at(&mut bytes, number as u64 * 8)?;
        Ok(i64::from_ne_bytes(bytes))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Left behind at worst: it is a temporary folder.
        let _ = std::fs::remove_dir_all(&self.state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::place::Engine;

    /// Writes a file's bytes in a process of its own, on the disk.
    fn write(disk: &Disk, bytes: &str, how: &str) -> anyhow::Result<bool> {
        let source = disk.state.join("bytes");
        std::fs::write(&source, bytes)?;
        let options = [("if=", &source), ("of=", &disk.data.join("file"))];
        let options = options.map(|(name, path)| format!("{name}{}", path.display()));
        let written = Command::new("dd").args(options).arg(how).envs(disk.variables()).output()?;
        Ok(written.status.success())
    }

    async fn after_a_cut(keep: u8) -> anyhow::Result<Option<String>> {
        let place = Place::fresh(Engine::Sqlite).await?.context("a folder")?;
        let Some(disk) = Disk::beneath(&place)? else { return Ok(None) };
        std::fs::create_dir(&disk.data)?;
        std::fs::write(disk.data.join("file"), "")?;
        disk.take_over().await?;
        assert!(write(&disk, "synced", "conv=notrunc,fsync")?);
        disk.cut_after(Part::Whole, 1, keep, 0)?;
        assert!(!write(&disk, "later!", "conv=notrunc")? && disk.is_cut()?);
        Ok(Some(std::fs::read_to_string(disk.data.join("file"))?))
    }

    #[tokio::test]
    async fn what_was_synced_is_there_after_a_power_cut_and_the_rest_by_chance() -> anyhow::Result<()> {
        if let Some(left) = after_a_cut(0).await? {
            assert_eq!(left, "synced");
            assert_eq!(after_a_cut(100).await?.as_deref(), Some("later!"));
        }
        Ok(())
    }

    #[tokio::test]
    async fn what_a_failed_sync_was_for_is_not_on_the_disk_by_a_later_one() -> anyhow::Result<()> {
        let place = Place::fresh(Engine::Sqlite).await?.context("a folder")?;
        let Some(disk) = Disk::beneath(&place)? else { return Ok(()) };
        std::fs::create_dir(&disk.data)?;
        std::fs::write(disk.data.join("file"), "before")?;
        disk.take_over().await?;
        disk.fail_syncs(Part::Whole, 0)?;
        assert!(!write(&disk, "failed", "conv=notrunc,fsync")?);
        disk.heal()?;
        assert_eq!(std::fs::read_to_string(disk.data.join("file"))?, "failed", "the kernel shows it");
        assert!(write(&disk, "", "conv=notrunc,fsync")?);
        disk.cut_after(Part::Whole, 1, 0, 0)?;
        assert!(!write(&disk, "x", "conv=notrunc")?);
        assert_eq!(std::fs::read_to_string(disk.data.join("file"))?, "before");
        Ok(())
    }
}
