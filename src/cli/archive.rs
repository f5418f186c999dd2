//! The file of a bundle: reproducible, checked when it is opened.
//!
//! Bytes: the magic `SANCTUM-BUNDLE-1\n`, the BLAKE3 digest of all that follows (32 bytes), one canonical
//! MessagePack map from path to content. Paths are relative, with `/` between their parts, and sorted;
//! there are no times, owners or modes, so equal files give equal bundles.
//!
//! Limits: [`BYTES_MAX`] and [`FILES_MAX`], checked before memory is taken; a path stays below the folder
//! that the bundle is unpacked to.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use crate::event::msgpack::{self, Reader, Token};

/// The largest bundle.
pub const BYTES_MAX: u64 = 256 << 20;
/// Most files in a bundle.
pub const FILES_MAX: usize = 10_000;
/// The longest path.
const PATH_BYTES_MAX: usize = 512;
/// Folders within folders.
const DEPTH_MAX: usize = 16;
/// The folder of an app's log, which is not part of it.
const DATA: &str = "sanctum-data";
const MAGIC: &[u8; 17] = b"SANCTUM-BUNDLE-1\n";
const HEAD_BYTES: usize = MAGIC.len() + blake3::OUT_LEN;

/// Contents by path.
pub type Files = BTreeMap<String, Vec<u8>>;

/// Why a bundle cannot be made or read.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The system said no.
    #[error("{path}: {source}")]
    Io {
        /// The file or folder.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// Another kind of file, or a later version.
    #[error("it is not a bundle that this version reads")]
    Magic,
    /// What follows the digest is not what was written.
    #[error("its checksum is wrong: it was damaged or changed")]
    Checksum,
    /// The map cannot be read.
    #[error("its content is malformed")]
    Malformed,
    /// Over [`BYTES_MAX`].
    #[error("it is larger than {} MiB", BYTES_MAX >> 20)]
    TooLarge,
    /// Over [`FILES_MAX`].
    #[error("it has more than {FILES_MAX} files")]
    TooMany,
    /// A path that leads elsewhere, or that another system could not hold.
    #[error("`{0}` cannot be the path of a file in a bundle")]
    Path(String),
    /// A link: what it leads to may not be there elsewhere.
    #[error("`{0}` is a link; a bundle holds files only")]
    Link(String),
}

/// The bytes of a bundle.
#[must_use]
pub fn write(files: &Files) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(files.values().map(|content| content.len() + 64).sum());
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&[0; blake3::OUT_LEN]);
    msgpack::write_map_len(&mut bytes, files.len());
    // A BTreeMap is in canonical order: bytewise.
    for (path, content) in files {
        msgpack::write_str(&mut bytes, path);
        msgpack::write_bytes(&mut bytes, content);
    }
    let digest = blake3::hash(&bytes[HEAD_BYTES..]);
    bytes[MAGIC.len()..HEAD_BYTES].copy_from_slice(digest.as_bytes());
    bytes
}

/// Reads and checks a bundle.
pub fn read(path: &Path) -> Result<Files, ArchiveError> {
    let failed = |source| ArchiveError::Io { path: path.to_string_lossy().into_owned(), source };
    let file = File::open(path).map_err(failed)?;
    if file.metadata().map_err(failed)?.len() > BYTES_MAX {
        return Err(ArchiveError::TooLarge);
    }
    let mut bytes = Vec::new();
    // What grows meanwhile is cut, and then fails its checksum.
    file.take(BYTES_MAX).read_to_end(&mut bytes).map_err(failed)?;
    parse(&bytes)
}

/// Checks the bytes of a bundle and takes them apart.
pub fn parse(bytes: &[u8]) -> Result<Files, ArchiveError> {
    let Some(digest) = bytes.get(MAGIC.len()..HEAD_BYTES).filter(|_| bytes.starts_with(MAGIC)) else {
        return Err(ArchiveError::Magic);
    };
    let body = &bytes[HEAD_BYTES..];
    if blake3::hash(body).as_bytes() != digest {
        return Err(ArchiveError::Checksum);
    }
    let mut reader = Reader::new(body);
    let Ok(Token::Map(count)) = reader.token() else { return Err(ArchiveError::Malformed) };
    if count as usize > FILES_MAX {
        return Err(ArchiveError::TooMany);
    }
    let mut files = Files::new();
    for _ in 0..count {
        let Ok(Token::Str(path)) = reader.token() else { return Err(ArchiveError::Malformed) };
        let path = String::from_utf8_lossy(path).into_owned();
        let Ok(Token::Str(content) | Token::Bin(content)) = reader.token() else {
            return Err(ArchiveError::Malformed);
        };
        if !is_inside(&path) {
            return Err(ArchiveError::Path(path));
        }
        files.insert(path, content.to_vec());
    }
    if !reader.is_end() || files.len() != count as usize {
        return Err(ArchiveError::Malformed);
    }
    Ok(files)
}

/// Whether a path stays below the folder it is relative to, on any system.
fn is_inside(path: &str) -> bool {
    let part = |part: &str| {
        !part.is_empty()
            && part != "."
            && part != ".."
            && !part.contains(['\\', ':', '\0'])
            && !part.ends_with('.')
    };
    path.len() <= PATH_BYTES_MAX && path.split('/').all(part)
}

/// All files of a folder, but those that begin with a dot, its log, and `except`.
pub fn gather(folder: &Path, except: &Path) -> Result<Files, ArchiveError> {
    let mut files = Files::new();
    let mut total = 0;
    gather_into(folder, "", 0, except, &mut files, &mut total)?;
    Ok(files)
}

fn gather_into(
    folder: &Path,
    prefix: &str,
    depth: usize,
    except: &Path,
    files: &mut Files,
    total: &mut u64,
) -> Result<(), ArchiveError> {
    let failed = |path: &Path, source| ArchiveError::Io { path: path.to_string_lossy().into_owned(), source };
    for entry in fs::read_dir(folder).map_err(|error| failed(folder, error))? {
        let entry = entry.map_err(|error| failed(folder, error))?;
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        if name.starts_with('.') || (depth == 0 && name == DATA) || same_file(&path, except) {
            continue;
        }
        let name = format!("{prefix}{name}");
        let about = fs::symlink_metadata(&path).map_err(|error| failed(&path, error))?;
        if about.is_symlink() {
            return Err(ArchiveError::Link(name));
        }
        if about.is_dir() {
            if depth == DEPTH_MAX {
                return Err(ArchiveError::Path(name));
            }
            gather_into(&path, &format!("{name}/"), depth + 1, except, files, total)?;
            continue;
        }
        *total += about.len();
        if *total > BYTES_MAX {
            return Err(ArchiveError::TooLarge);
        }
        if files.len() == FILES_MAX {
            return Err(ArchiveError::TooMany);
        }
        if !is_inside(&name) {
            return Err(ArchiveError::Path(name));
        }
        let content = fs::read(&path).map_err(|error| failed(&path, error))?;
        files.insert(name, content);
    }
    Ok(())
}

fn same_file(path: &Path, other: &Path) -> bool {
    match (path.canonicalize(), other.canonicalize()) {
        (Ok(path), Ok(other)) => path == other,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files() -> Files {
        let files = [("runeset.yaml", &b"spells: []"[..]), ("seeds/a.msgpack", b"\x80\xff"), ("a", b"")];
        files.into_iter().map(|(path, bytes)| (path.to_owned(), bytes.to_vec())).collect()
    }

    #[test]
    fn bundles_read_back() {
        let bytes = write(&files());
        assert_eq!(bytes, write(&files()));
        assert_eq!(parse(&bytes).unwrap(), files());
    }

    #[test]
    fn any_change_is_noticed() {
        let bytes = write(&files());
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert!(parse(&changed).is_err(), "byte {at}");
            assert!(parse(&bytes[..at]).is_err(), "{at} bytes");
        }
        assert!(parse(&[bytes, vec![0]].concat()).is_err());
    }

    #[test]
    fn paths_stay_inside() {
        for path in ["../a", "/a", "a/../b", "a//b", "c:a", "a\\b", "", "a/."] {
            let files = Files::from([(path.to_owned(), Vec::new())]);
            assert!(matches!(parse(&write(&files)), Err(ArchiveError::Path(_))), "{path}");
        }
    }
}
