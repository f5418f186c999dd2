//! `--watch`: runs again when a spell, seed, runeset or required module changes.
//!
//! What is watched are folders, not files: editors replace files, and new ones appear. Folders below
//! those of spells are watched too, for modules; of seeds only their own.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};

use super::console;
use crate::engine::batch::{Item, Request};
use crate::runeset::files::SEED_KINDS;

/// Changes within this time of each other give one run.
const SETTLE: Duration = Duration::from_millis(100);
/// How often it is looked whether the watch is over.
const LOOK: Duration = Duration::from_millis(200);
/// Folders that are watched.
const FOLDERS_MAX: usize = 1_000;
/// Folders that hold no spells and many files.
const LEFT_OUT: [&str; 2] = ["node_modules", "target"];

/// Runs once, then after each change, for ever. Problems of a run do not end it.
pub fn run(
    request: &Request,
    output: Option<&Path>,
    mut once: impl FnMut() -> anyhow::Result<u8>,
) -> anyhow::Result<u8> {
    let watch = Watch::new()?;
    loop {
        // Before the run, so that no change during it is missed.
        watch.cover().add(request);
        match once() {
            Err(error) if super::is_broken_pipe(&error) => return Err(error),
            Err(error) => console::error(&format!("{error:#}")),
            Ok(_) => {}
        }
        console::tell("watching for changes; Ctrl-C ends\n");
        let Some(changed) = watch.wait(output, || false) else {
            anyhow::bail!("files are not watched any more");
        };
        console::tell(&format!("\n{} changed\n", changed.display()));
    }
}

/// Changes in the folders of a run.
pub struct Watch {
    cover: Cover,
    changes: Receiver<notify::Result<Event>>,
}

/// The folders under watch; any thread may add to them.
#[derive(Clone, Debug)]
pub struct Cover(Arc<Mutex<(RecommendedWatcher, BTreeSet<PathBuf>)>>);

impl Cover {
    /// Watches the folders of everything that a run reads, too.
    pub fn add(&self, request: &Request) {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (watcher, covered) = &mut *held;
        for folder in folders(request) {
            if covered.insert(folder.clone()) && watcher.watch(&folder, RecursiveMode::NonRecursive).is_err()
            {
                covered.remove(&folder);
            }
        }
    }
}

impl Watch {
    /// Watches nothing yet.
    pub fn new() -> anyhow::Result<Self> {
        let (sender, changes) = channel();
        let watcher = notify::recommended_watcher(sender).context("cannot watch files")?;
        let cover = Cover(Arc::new(Mutex::new((watcher, BTreeSet::new()))));
        Ok(Self { cover, changes })
    }

    /// What it watches.
    #[must_use]
    pub fn cover(&self) -> &Cover {
        &self.cover
    }

    /// The first file that changed, once it and others are quiet; `None` when it is over, or no changes can come any
    /// more.
    pub fn wait(&self, output: Option<&Path>, is_over: impl Fn() -> bool) -> Option<PathBuf> {
        let output = output.and_then(|path| path.canonicalize().ok());
        let changed = loop {
            match self.changes.recv_timeout(LOOK) {
                Err(RecvTimeoutError::Timeout) if !is_over() => {}
                change => {
                    if let Some(path) = relevant(change.ok()?, output.as_deref()) {
                        break path;
                    }
                }
            }
        };
        while self.changes.recv_timeout(SETTLE).is_ok() {}
        Some(changed)
    }
}

/// The file that an event is about, if a run reads such files.
fn relevant(event: notify::Result<Event>, output: Option<&Path>) -> Option<PathBuf> {
    let event = event.ok().filter(|event| !matches!(event.kind, EventKind::Access(_)))?;
    event.paths.into_iter().find(|path| {
        let kind = path.extension().map(|kind| kind.to_string_lossy().into_owned()).unwrap_or_default();
        let read = SEED_KINDS.contains(&kind.as_str()) || kind == "yaml" || kind == "yml";
        read && output.is_none_or(|output| path.canonicalize().map_or(true, |path| path != output))
    })
}

/// The folders of everything that a run reads.
fn folders(request: &Request) -> BTreeSet<PathBuf> {
    let mut folders = BTreeSet::new();
    for item in request.spells.iter().chain(&request.runeset) {
        below(&folder_of(item), &mut folders);
    }
    folders.extend(request.seeds.iter().map(folder_of));
    folders
}

/// The folder that holds what a path or glob stands for, or the nearest above it that exists.
fn folder_of(item: &Item) -> PathBuf {
    let plain: PathBuf = Path::new(&item.path)
        .components()
        .take_while(|part| !part.as_os_str().to_string_lossy().contains(['*', '?', '[']))
        .collect();
    let mut folder = item.base.join(plain);
    while !folder.is_dir() {
        if !folder.pop() {
            break;
        }
    }
    if folder.as_os_str().is_empty() { PathBuf::from(".") } else { folder }
}

fn below(folder: &Path, folders: &mut BTreeSet<PathBuf>) {
    if folders.len() >= FOLDERS_MAX || !folders.insert(folder.to_owned()) {
        return;
    }
    let Ok(entries) = folder.read_dir() else { return };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let real = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if real && !name.starts_with('.') && !LEFT_OUT.contains(&name.as_str()) {
            below(&entry.path(), folders);
        }
    }
}
