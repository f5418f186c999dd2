//! What verifying a log finds.

use std::fmt;
use std::path::PathBuf;

use crate::log::Error;

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The manifest.
    Manifest,
    /// A file is missing.
    Missing,
    /// A segment's header, or the file is another's.
    Segment,
    /// Bytes that are no frame where one was.
    Frame,
    /// Commits or positions do not follow upon each other.
    Order,
    /// An energy, or what came before it, is not what it was.
    Chain,
    /// Versions of a stream do not follow upon each other.
    Version,
    /// An index does not say what its segment does.
    Index,
    /// Bytes after the end, where there should be zeros.
    Rest,
    /// The end of the last append before a crash.
    Torn,
    /// A file that the plane does not know.
    Orphan,
}

impl Kind {
    /// Whether energies may be lost or changed.
    #[must_use]
    pub fn is_damage(self) -> bool {
        !matches!(self, Self::Index | Self::Rest | Self::Torn | Self::Orphan)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Manifest => "manifest",
            Self::Missing => "missing",
            Self::Segment => "segment",
            Self::Frame => "frame",
            Self::Order => "order",
            Self::Chain => "chain",
            Self::Version => "version",
            Self::Index => "index",
            Self::Rest => "rest",
            Self::Torn => "torn",
            Self::Orphan => "orphan",
        })
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What kind of thing.
    pub kind: Kind,
    /// In which file.
    pub file: PathBuf,
    /// Where in it.
    pub offset: u64,
    /// The first position that is affected, and the one after the last.
    pub positions: Option<(u64, u64)>,
    /// What it is.
    pub what: String,
    /// What it means, and what to do.
    pub advice: &'static str,
}

/// What to do about damage.
pub(super) const REPAIR: &str = "restore the file from a backup, or see what `sanctum repair` can save (it changes nothing without --apply)";
/// About what only looks bad.
pub(super) const HARMLESS: &str =
    "nothing is lost: opening the log, or `sanctum repair --apply`, puts it right";
/// About what is no accident.
pub(super) const TAMPERED: &str =
    "checksums fit, so this is no accident of the disk: somebody changed the file; compare it with a backup";

impl Finding {
    /// An error of opening a file as a finding; errors of another kind stay what they are.
    pub(super) fn of(kind: Kind, error: Error) -> Result<Self, Error> {
        let finding =
            |file, offset, positions, what, advice| Self { kind, file, offset, positions, what, advice };
        match error {
            Error::Damaged { path, offset, reason, positions } => {
                Ok(finding(path, offset, positions, reason, REPAIR))
            }
            Error::Foreign { path, reason } => Ok(finding(path, 0, None, reason, REPAIR)),
            Error::Newer { path, found, known } => {
                let what = format!("it has format {found}; this version reads up to {known}");
                let advice = "use a newer sanctum; where it never was there, restore the file from a backup";
                Ok(finding(path, 0, None, what, advice))
            }
            error => Err(error),
        }
    }
}
