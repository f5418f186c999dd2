//! Which segments make up the plane: a small text file, replaced as a whole.
//!
//! ```text
//! sanctum plane, format 1
//! plane 0198c5e7-…
//! durable 1842 90210
//! segment 0 0 50000 67104768
//! segment 50000 0
//! lost 1200 1233
//! crc32c 1a2b3c4d
//! ```
//!
//! `durable` says the commits and the position below which everything was durable when the file was written. A
//! segment has its first position and generation and, but for the last, which is written to, the position after its
//! last and its bytes. `lost` is what `repair` took out: the first position and the one after the last. A file that is missing, or shorter, is damage; one that is not listed is a leftover.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::segment::{self, FORMAT};
use crate::disk::{Disk, Mode};
use crate::event::Uuid;
use crate::log::Error;

/// Its name in the plane's folder.
pub const NAME: &str = "MANIFEST";

/// A plane with more segments than fit here is damaged.
const BYTES_MAX: u64 = 64 << 20;

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// The plane's identity.
    pub plane: Uuid,
    /// Commits that were durable.
    pub durable_sequence: u64,
    /// Positions that were durable.
    pub durable_position: u64,
    /// The segments, in order; at least one.
    pub segments: Vec<Entry>,
    /// Positions that damage took and `repair` gave up: first, and after the last; ascending.
    pub lost: Vec<(u64, u64)>,
}

/// A segment in the manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its first position.
    pub first: u64,
    /// Its generation.
    pub generation: u32,
    /// The position after its last and its bytes, once sealed.
    pub sealed: Option<(u64, u64)>,
}

impl Manifest {
    /// The text of the file.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = format!(
            "sanctum plane, format {FORMAT}\nplane {}\ndurable {} {}\n",
            self.plane, self.durable_sequence, self.durable_position
        );
        for Entry { first, generation, sealed } in &self.segments {
            let _infallible = match sealed {
                Some((end, bytes)) => writeln!(text, "segment {first} {generation} {end} {bytes}"),
                None => writeln!(text, "segment {first} {generation}"),
            };
        }
        for (first, end) in &self.lost {
            let _infallible = writeln!(text, "lost {first} {end}");
        }
        let crc = crc32c::crc32c(text.as_bytes());
        let _infallible = writeln!(text, "crc32c {crc:08x}");
        text
    }

    /// Reads what [`text`](Manifest::text) wrote. `path` is for messages.
    pub fn parse(path: &Path, text: &[u8]) -> Result<Self, Error> {
        let damaged = |offset: usize, reason: &str| Error::Damaged {
            path: path.to_owned(),
            offset: offset as u64,
            reason: reason.to_owned(),
            positions: None,
        };
        if text.iter().all(|byte| *byte == 0) {
            return Err(damaged(0, "it is empty"));
        }
        let text =
            std::str::from_utf8(text).map_err(|error| damaged(error.valid_up_to(), "it is not text"))?;
        let Some(format) = text.strip_prefix("sanctum plane, format ") else {
            return Err(Error::Foreign {
                path: path.to_owned(),
                reason: "the file does not begin as a manifest does".to_owned(),
            });
        };
        let found = format.lines().next().and_then(|number| number.parse().ok());
        let found = found.ok_or_else(|| damaged(0, "the format is not a number"))?;
        if found > FORMAT {
            return Err(Error::Newer { path: path.to_owned(), found, known: FORMAT });
        }
        let (body, crc) =
            text.rsplit_once("crc32c ").ok_or_else(|| damaged(text.len(), "the end is missing"))?;
        let expected = format!("{:08x}\n", crc32c::crc32c(body.as_bytes()));
        if crc != expected {
            return Err(damaged(body.len(), "the checksum does not fit"));
        }
        Self::parse_body(body).ok_or_else(|| damaged(0, "it is no manifest that a writer makes"))
    }

    fn parse_body(body: &str) -> Option<Self> {
        let mut lines = body.lines().skip(1);
        let plane = Uuid::try_parse(lines.next()?.strip_prefix("plane ")?).ok()?;
        let (sequence, position) = lines.next()?.strip_prefix("durable ")?.split_once(' ')?;
        let mut segments: Vec<Entry> = Vec::new();
        let mut lost: Vec<(u64, u64)> = Vec::new();
        for line in lines {
            let (kind, numbers) = line.split_once(' ')?;
            let numbers: Vec<u64> =
                numbers.split(' ').map(|number| number.parse().ok()).collect::<Option<_>>()?;
            match (kind, &numbers[..]) {
                ("segment", _) if lost.is_empty() => {}
                ("lost", [first, end]) => {
                    lost.push((*first, *end));
                    continue;
                }
                _ => return None,
            }
            let (first, generation, sealed) = match numbers[..] {
                [first, generation] => (first, generation, None),
                [first, generation, end, bytes] => (first, generation, Some((end, bytes))),
                _ => return None,
            };
            // Sealed segments follow upon each other; only the last is open.
            let continues = match segments.last() {
                Some(Entry { sealed: Some((end, _)), .. }) => *end == first,
                Some(_) => false,
                None => true,
            };
            if !continues {
                return None;
            }
            segments.push(Entry { first, generation: u32::try_from(generation).ok()?, sealed });
        }
        segments.last().filter(|last| last.sealed.is_none())?;
        Some(Self {
            plane,
            durable_sequence: sequence.parse().ok()?,
            durable_position: position.parse().ok()?,
            segments,
            lost,
        })
    }

    /// Reads the manifest of a plane; `None` when there is none.
    pub fn load(disk: &dyn Disk, folder: &Path) -> Result<Option<(Self, Vec<u8>)>, Error> {
        let path = folder.join(NAME);
        let file = match disk.open(&path, Mode::Read) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::io("open", &path)(error)),
        };
        let len = file.len().map_err(Error::io("read", &path))?;
        if len > BYTES_MAX {
            return Err(Error::TooLarge { what: "the manifest", bytes: len, max: BYTES_MAX });
        }
        let mut bytes = vec![0; len as usize];
        file.read_exact_at(&mut bytes, 0).map_err(Error::io("read", &path))?;
        match Self::parse(&path, &bytes) {
            // Beside segments of ours it was ours.
            Err(Error::Foreign { reason, .. }) if has_segments(disk, folder) => {
                Err(Error::Damaged { path, offset: 0, reason, positions: None })
            }
            parsed => Ok(Some((parsed?, bytes))),
        }
    }

    /// Replaces the manifest, durably.
    pub fn store(&self, disk: &dyn Disk, folder: &Path) -> Result<(), Error> {
        replace(disk, folder, NAME, self.text().as_bytes())
    }
}

fn has_segments(disk: &dyn Disk, folder: &Path) -> bool {
    disk.list(folder).is_ok_and(|names| names.iter().any(|name| segment::is_name(name)))
}

/// Replaces a small file as a whole: after a crash it has the old content or the new.
pub fn replace(disk: &dyn Disk, folder: &Path, name: &str, bytes: &[u8]) -> Result<(), Error> {
    prepare(disk, folder, name, bytes)?;
    put_in_place(disk, folder, name)
}

/// Writes the new content beside the file. After an error, a full disk say, nothing has changed.
pub fn prepare(disk: &dyn Disk, folder: &Path, name: &str, bytes: &[u8]) -> Result<(), Error> {
    let temporary = folder.join(format!("{name}.tmp"));
    remove_if_there(disk, &temporary)?;
    let file = disk.open(&temporary, Mode::Create).map_err(Error::io("create", &temporary))?;
    file.write_all_at(bytes, 0).map_err(Error::io("write", &temporary))?;
    file.sync().map_err(Error::io("sync", &temporary))
}

/// Puts what was prepared in the file's place. After an error it is not known which content the file has.
pub fn put_in_place(disk: &dyn Disk, folder: &Path, name: &str) -> Result<(), Error> {
    let (path, temporary) = (folder.join(name), folder.join(format!("{name}.tmp")));
    disk.rename(&temporary, &path).map_err(Error::io("rename to", &path))?;
    disk.sync_dir(folder).map_err(Error::io("sync the folder", folder))
}

/// Removes a leftover.
pub fn remove_if_there(disk: &dyn Disk, path: &Path) -> Result<(), Error> {
    match disk.remove(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::io("remove", path)(error)),
        _ => Ok(()),
    }
}

/// The plane's folder in a data folder.
#[must_use]
pub fn plane_folder(data: &Path, plane: &str) -> PathBuf {
    data.join("planes").join(plane)
}
