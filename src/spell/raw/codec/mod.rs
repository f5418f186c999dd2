//! MessagePack to Lua tables and back, on the raw interface.
//!
//! Decoding pushes canonical bytes as plain tables; field names that were seen before come from the
//! upvalues of the cast loop ([`keys`]) and are neither hashed nor compared twice. Encoding walks
//! tables raw: no metamethod, so no spell code, runs in it. Both ways nothing raises: the VM's limit
//! is lifted, so an allocation cannot fail, and errors are returned.

pub mod decode;
pub mod encode;
pub mod keys;
pub mod layout;
pub mod splice;

use keys::Keys;

/// Scratch memory of one VM's codec, kept so that a cast allocates nothing.
#[derive(Default)]
pub struct Codec {
    pub keys: Keys,
    entries: Vec<encode::Entry>,
    body: Vec<u8>,
    orders: encode::Orders,
    /// The declared fields as a cast left them, and room to merge them.
    pub changed: Vec<u8>,
    pub merged: Vec<u8>,
    /// The topic whose string the cast loop keeps.
    pub topic: Vec<u8>,
}
