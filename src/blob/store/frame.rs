//! Bytes of a pack: its header, and the header of each frame. All numbers are little endian.
//!
//! ```text
//! pack    0 "SANCPACK" · 8 version u32 · 12 crc32c u32 (of 0..12 and 16..32) · 16 number u32
//!         20 number of the pack before, 0 for none, u32 · 24 synced length of the pack before u64 · then frames
//! frame   0 "SBF\n" · 4 crc32c u32 (of 8..48, the pack's number u32, the frame's offset u32) · 8 length u32
//!         12 durable u32 · 16 digest, 32 bytes · 48 the content, `length` bytes
//! ```
//!
//! Two fields tell damage from a write that a crash cut: `durable` is how much of the pack was synced when
//! the frame was written, and a pack says how much of the one before was. What lies below either was whole
//! once. The content itself is checked by its digest. A frame's checksum covers where it is, so a pack that
//! was put as content is not taken for frames.

use crate::blob::Hash;

/// Version of the format that this program writes, and the only one it reads.
pub(super) const VERSION: u32 = 1;

/// Bytes of a pack's header.
pub(super) const PACK_HEADER_BYTES: u64 = 32;

/// Bytes of a frame's header.
pub(super) const FRAME_HEADER_BYTES: u64 = 48;

const PACK_MAGIC: &[u8; 8] = b"SANCPACK";

/// How a frame begins.
pub(super) const FRAME_MAGIC: &[u8; 4] = b"SBF\n";

/// What a pack says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PackHeader {
    pub number: u32,
    /// The pack that was written before, 0 for none.
    pub previous: u32,
    /// How long that one was, all of it synced, when this one was made.
    pub previous_bytes: u64,
}

/// Why bytes are no header of a pack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PackHeaderError {
    /// A header that a later version wrote.
    Newer(u32),
    /// Not a header.
    Invalid,
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut word = [0; 4];
    word.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(word)
}

impl PackHeader {
    pub fn encode(&self) -> [u8; PACK_HEADER_BYTES as usize] {
        let mut bytes = [0; PACK_HEADER_BYTES as usize];
        bytes[..8].copy_from_slice(PACK_MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.number.to_le_bytes());
        bytes[20..24].copy_from_slice(&self.previous.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.previous_bytes.to_le_bytes());
        let crc = Self::crc(&bytes);
        bytes[12..16].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Every version keeps the magic, the version and the checksum where they are.
    pub fn decode(bytes: &[u8; PACK_HEADER_BYTES as usize]) -> Result<Self, PackHeaderError> {
        if &bytes[..8] != PACK_MAGIC || u32_at(bytes, 12) != Self::crc(bytes) {
            return Err(PackHeaderError::Invalid);
        }
        match u32_at(bytes, 8) {
            VERSION => Ok(Self {
                number: u32_at(bytes, 16),
                previous: u32_at(bytes, 20),
                previous_bytes: u64::from(u32_at(bytes, 24)) | u64::from(u32_at(bytes, 28)) << 32,
            }),
            version => Err(PackHeaderError::Newer(version)),
        }
    }

    fn crc(bytes: &[u8; PACK_HEADER_BYTES as usize]) -> u32 {
        crc32c::crc32c_append(crc32c::crc32c(&bytes[..12]), &bytes[16..])
    }
}

/// What a frame says about its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FrameHeader {
    /// Bytes of the content.
    pub len: u32,
    /// How much of the pack was synced when the frame was written.
    pub durable: u32,
    pub hash: Hash,
}

impl FrameHeader {
    /// The header as it stands at `offset` of pack `number`.
    pub fn encode(&self, number: u32, offset: u32) -> [u8; FRAME_HEADER_BYTES as usize] {
        let mut bytes = [0; FRAME_HEADER_BYTES as usize];
        bytes[..4].copy_from_slice(FRAME_MAGIC);
        bytes[8..12].copy_from_slice(&self.len.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.durable.to_le_bytes());
        bytes[16..].copy_from_slice(self.hash.as_bytes());
        let crc = Self::crc(&bytes, number, offset);
        bytes[4..8].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// `None` where no frame of that pack starts at `offset`. `bytes` is at least a header long.
    pub fn decode(bytes: &[u8], number: u32, offset: u32) -> Option<Self> {
        let bytes = bytes.get(..FRAME_HEADER_BYTES as usize)?;
        if &bytes[..4] != FRAME_MAGIC || u32_at(bytes, 4) != Self::crc(bytes, number, offset) {
            return None;
        }
        let mut digest = [0; 32];
        digest.copy_from_slice(&bytes[16..]);
        let header =
            Self { len: u32_at(bytes, 8), durable: u32_at(bytes, 12), hash: Hash::from_bytes(digest) };
        (header.durable <= offset).then_some(header)
    }

    fn crc(bytes: &[u8], number: u32, offset: u32) -> u32 {
        let crc = crc32c::crc32c_append(crc32c::crc32c(&bytes[8..]), &number.to_le_bytes());
        crc32c::crc32c_append(crc, &offset.to_le_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_read_back_and_notice_every_flip() {
        let pack = PackHeader { number: 7, previous: 6, previous_bytes: 1 << 33 };
        let mut bytes = pack.encode();
        assert_eq!(PackHeader::decode(&bytes), Ok(pack));
        for at in 0..bytes.len() * 8 {
            bytes[at / 8] ^= 1 << (at % 8);
            assert_eq!(PackHeader::decode(&bytes), Err(PackHeaderError::Invalid), "bit {at}");
            bytes[at / 8] ^= 1 << (at % 8);
        }

        let frame = FrameHeader { len: 9, durable: 32, hash: blake3::hash(b"x") };
        let mut bytes = frame.encode(7, 99);
        assert_eq!(FrameHeader::decode(&bytes, 7, 99), Some(frame));
        assert_eq!(FrameHeader::decode(&bytes, 8, 99), None, "of another pack");
        assert_eq!(FrameHeader::decode(&bytes, 7, 98), None, "at another offset");
        for at in 0..bytes.len() * 8 {
            bytes[at / 8] ^= 1 << (at % 8);
            assert_eq!(FrameHeader::decode(&bytes, 7, 99), None, "bit {at}");
            bytes[at / 8] ^= 1 << (at % 8);
        }
    }

    #[test]
    fn a_later_version_is_told_from_damage() {
        let mut bytes = PackHeader { number: 1, previous: 0, previous_bytes: 0 }.encode();
        bytes[8..12].copy_from_slice(&2u32.to_le_bytes());
        let crc = PackHeader::crc(&bytes);
        bytes[12..16].copy_from_slice(&crc.to_le_bytes());
        assert_eq!(PackHeader::decode(&bytes), Err(PackHeaderError::Newer(2)));
    }
}
