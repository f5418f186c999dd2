//! What can be saved of a segment that is damaged.

use std::path::Path;
use std::sync::Arc;

use super::frame;
use super::index::{ActiveIndex, SealedIndex, SegmentIndex};
use super::record::Raw;
use super::segment::{self, Header};
use super::varint;
use crate::disk::{Disk, File, Mode};

/// Reads the index of a segment, if it is whole.
pub fn index_of(folder: &Path, disk: &dyn Disk, header: &Header) -> Option<SealedIndex> {
    let path = segment::index_path(folder, header.first, header.generation);
    let file = disk.open(&path, Mode::Read).ok()?;
    let mut bytes = vec![0; usize::try_from(file.len().ok()?).ok()?];
    file.read_exact_at(&mut bytes, 0).ok()?;
    SealedIndex::open(bytes).ok().filter(|index| index.first_position() == header.first)
}

/// Adds to an index the names that a damaged frame at `offset` may have brought: as the segment's index file has
/// them, else as they stand in the frame, where its checksum vouches for them. False when they cannot be told: then
/// nothing after the frame can, for names are numbered.
pub fn learn_names(
    folder: &Path,
    disk: &dyn Disk,
    header: &Header,
    file: &Arc<dyn File>,
    offset: u64,
    index: &mut ActiveIndex,
) -> bool {
    if let Some(sealed) = index_of(folder, disk, header) {
        for id in index.names_len()..sealed.names_len() {
            index.add_name(sealed.name_of(id).unwrap_or_default());
        }
        return true;
    }
    match names_of(file, offset) {
        Some(names) => {
            for name in &names {
                index.add_name(name);
            }
            true
        }
        None => false,
    }
}

/// The names in a frame of which a record is damaged: the frame's checksum vouches for them, for it is over the records'
/// checksums, not over their bytes.
fn names_of(file: &Arc<dyn File>, offset: u64) -> Option<Vec<Vec<u8>>> {
    let mut bytes = [0; frame::HEADER_BYTES];
    file.read_exact_at(&mut bytes, offset).ok()?;
    let header = frame::Header::read(&bytes)?;
    if offset + header.frame_bytes() > file.len().ok()? {
        return None;
    }
    let mut bytes = vec![0; usize::try_from(header.frame_bytes()).ok()?];
    file.read_exact_at(&mut bytes, offset).ok()?;
    let names_end = frame::HEADER_BYTES + header.names_bytes as usize;
    let records = &bytes[names_end..names_end + header.records_bytes as usize];
    let (mut at, mut crcs) = (0, Vec::new());
    while at < records.len() {
        crcs.extend_from_slice(&Raw::next(records, &mut at)?.crc.to_le_bytes());
    }
    if frame::checksum(&header, &bytes, &crcs) != header.crc {
        return None;
    }
    let (mut at, mut names) = (frame::HEADER_BYTES, Vec::new());
    while at < names_end {
        names.push(varint::read_bytes(&bytes[..names_end], &mut at)?.to_vec());
    }
    Some(names)
}
