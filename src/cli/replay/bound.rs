//! The code that a spell had in a server, as the log remembers it.

use std::sync::Arc;

use anyhow::{Context, bail};

use crate::blob::store::Access;
use crate::cli::console::{self, Faults};
use crate::cli::plane::Plane;
use crate::engine::batch;
use crate::engine::live::{Edition, editions};
use crate::log::FileLog;
use crate::runeset::Fault;
use crate::spell::Spell;

/// Code of a spell, in order, each with the first position that it was given.
type Parts = Vec<(u64, Arc<Spell>)>;

/// The code that a spell had; `None` where it cannot be loaded, which was told.
pub fn load(log: &FileLog, plane: &Plane, name: &str) -> anyhow::Result<Option<Parts>> {
    let editions = editions(log, name)?;
    if editions.is_empty() {
        bail!(
            "no server has bound a spell `{name}` on this log; `sanctum replay FILE` takes its code from a file"
        );
    }
    let contents = plane.contents(Access::Read)?;
    let mut spells = Vec::new();
    for Edition { from, path, hash } in editions {
        let digest = blake3::Hash::from_hex(&hash).context("the log names no digest of the code")?;
        let Some(source) = contents.get(&digest, batch::SPELL_BYTES_MAX)? else {
            bail!("the log has no longer the code that `{name}` had from position {from} on");
        };
        match batch::load_source(&path, source, name, Fault::Quarantine) {
            Ok(spell) => spells.push((from, Arc::new(spell))),
            Err(problems) => {
                console::report(&problems, Faults::Text);
                return Ok(None);
            }
        }
    }
    Ok(Some(spells))
}
