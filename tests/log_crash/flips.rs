//! Every byte of a closed log, flipped one at a time: it is noticed, or it does not matter. Never wrong energies.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use sanctum::disk::{Disk, Mode, SimulatedDisk, Snapshot};
use sanctum::log::file::frames::{FrameReader, Next};
use sanctum::log::file::segment::HEADER_BYTES;
use sanctum::log::file::{Options, tables};
use sanctum::log::{Error, FileLog};

use super::model::Model;
use super::run::{FOLDER, Run};

/// Who only reads looks at damage again after a while, for it might be half of a change: much of the time is waiting.
const THREADS: usize = 16;

fn read(disk: SimulatedDisk, options: &Options, model: &Model, write: bool) -> Result<(), Error> {
    let options = Options { disk: Arc::new(disk), ..options.clone() };
    let folder = Path::new(FOLDER);
    let open = if write { FileLog::open } else { FileLog::open_to_read };
    model.check(&open(folder, options)?, true)
}

/// How many bytes of a file mean something: of a segment those up to the end of its last frame, of others all.
fn used(disk: &SimulatedDisk, file: &Path) -> u64 {
    let handle = disk.open(file, Mode::Read).expect("it opens");
    let len = handle.len().expect("its length");
    if file.extension().is_none_or(|kind| kind != "log") {
        return len;
    }
    let mut reader = FrameReader::new(handle, HEADER_BYTES as u64, len);
    while let Next::Frame { .. } = reader.next_frame().expect("it reads") {}
    reader.offset()
}

/// Flips one bit of a byte, and opens; whether that was noticed.
fn notices(world: &World, file: &Path, offset: u64, write: bool) -> bool {
    let bit = (offset.wrapping_mul(0x9e37_79b9) >> 7) as u8 & 7;
    let flipped = SimulatedDisk::from_snapshot(&world.snapshot, 0);
    flipped.flip(file, offset, bit).expect("a byte");
    let (options, model) = (&world.options, &world.model);
    let result = catch_unwind(AssertUnwindSafe(|| read(flipped, options, model, write)));
    let place = format!("{}, byte {offset}, bit {bit}, opened to write: {write}", file.display());
    match result {
        Ok(Ok(())) => false,
        Ok(Err(Error::Damaged { .. } | Error::Foreign { .. } | Error::Newer { .. })) => true,
        Ok(Err(error)) => panic!("{place}: {error}"),
        Err(panic) => {
            eprintln!("{place}");
            resume_unwind(panic)
        }
    }
}

struct World {
    snapshot: Snapshot,
    model: Model,
    options: Options,
}

#[test]
fn a_flipped_byte_is_noticed_or_does_not_matter() {
    let (disk, model, options) = Run::build(4, 8);
    let files = disk.files();
    assert!(files.len() >= 6, "two segments or more, an index, a manifest and a lock: {files:?}");
    let world = World { snapshot: disk.snapshot(), model, options };
    let mut places = Vec::new();
    // The tables' file has its own test, in `tests/log_tables.rs`.
    for file in files.iter().filter(|file| !file.ends_with(tables::NAME)) {
        let name = file.file_name().and_then(|name| name.to_str()).expect("a name");
        let kind = name.rsplit_once('.').map_or(name, |(_, kind)| kind);
        let (used, len) = (used(&disk, file), disk.bytes(file).expect("its bytes").len() as u64);
        // Beyond its frames a segment has zeros, which are all alike: some of them.
        let rest = (used..len).step_by(61);
        places.extend((0..used).chain(rest).map(|offset| {
            // An index is made anew, a lock says nothing, and zeros after the last frame are room.
            let matters = !matches!(kind, "idx" | "LOCK") && offset < used;
            (file, offset, matters)
        }));
    }
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while let Some((file, offset, matters)) = places.get(next.fetch_add(1, Ordering::Relaxed)) {
                    for write in [false, true] {
                        let noticed = notices(&world, file, *offset, write);
                        assert_eq!(noticed, *matters, "{}, byte {offset}, {write}", file.display());
                    }
                }
            });
        }
    });
}
