//! Folders, files and their names: those that readers see, and those that a crash would leave.
//!
//! A name is an entry of its folder. What happened to names since the folder's sync is kept as a list of
//! changes, each of which a crash keeps or loses: in order for one name, freely for names of their own. A
//! rename within a folder is one change. Across folders it is two, made durable by the sync of each folder;
//! the old name's removal does not outlive a crash that loses the new name, unless only its folder was synced.

use std::collections::{BTreeMap, HashSet};
use std::io;
use std::path::{Component, Path, PathBuf};

use rustix::io::Errno;

use super::content::Content;
use super::faults::FailedSync;
use super::random::Random;

/// A file or folder, whatever it is called. Not used again.
pub(super) type NodeId = usize;

const ROOT: NodeId = 0;

#[derive(Clone, Debug)]
enum Node {
    File(Box<Content>),
    Folder(Folder),
}

#[derive(Clone, Debug, Default)]
struct Folder {
    cached: BTreeMap<String, NodeId>,
    durable: BTreeMap<String, NodeId>,
}

/// A name's new meaning: a file or folder, or nothing.
#[derive(Clone, Debug)]
struct Step {
    folder: NodeId,
    name: String,
    to: Option<NodeId>,
}

/// Steps that happen together or not at all, all in one folder.
#[derive(Clone, Debug)]
struct Change {
    number: u64,
    folder: NodeId,
    steps: Vec<Step>,
    /// A change without which this one does not survive.
    after: Option<u64>,
}

/// The files and folders of a disk.
#[derive(Clone, Debug)]
pub(super) struct Tree {
    nodes: Vec<Option<Node>>,
    changes: Vec<Change>,
    changes_made: u64,
    /// Whether a file lost its last name, so that there may be something to forget.
    has_orphans: bool,
}

impl Tree {
    pub(super) fn new() -> Self {
        let root = Some(Node::Folder(Folder::default()));
        Self { nodes: vec![root], changes: Vec::new(), changes_made: 0, has_orphans: false }
    }

    pub(super) fn find(&self, path: &Path) -> io::Result<NodeId> {
        self.walk(&names(path)?)
    }

    pub(super) fn file(&self, id: NodeId) -> io::Result<&Content> {
        match self.nodes.get(id) {
            Some(Some(Node::File(content))) => Ok(content),
            Some(Some(Node::Folder(_))) => Err(Errno::ISDIR.into()),
            _ => Err(Errno::STALE.into()),
        }
    }

    pub(super) fn file_mut(&mut self, id: NodeId) -> io::Result<&mut Content> {
        match self.nodes.get_mut(id) {
            Some(Some(Node::File(content))) => Ok(content),
            Some(Some(Node::Folder(_))) => Err(Errno::ISDIR.into()),
            _ => Err(Errno::STALE.into()),
        }
    }

    /// Bytes that all files take that have a name or are open.
    pub(super) fn used_bytes(&self) -> u64 {
        let contents = self.nodes.iter().filter_map(|node| match node {
            Some(Node::File(content)) if content.links > 0 || content.handles > 0 => Some(content),
            _ => None,
        });
        contents.map(|content| content.room_bytes).sum()
    }

    /// Names in a folder, in order.
    pub(super) fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        Ok(self.folder(self.find(folder)?)?.cached.keys().cloned().collect())
    }

    /// Paths of all files, in order.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        let mut folders = vec![(ROOT, PathBuf::from("/"))];
        while let Some((id, path)) = folders.pop() {
            let Ok(folder) = self.folder(id) else { continue };
            for (name, id) in &folder.cached {
                match self.nodes.get(*id) {
                    Some(Some(Node::File(_))) => files.push(path.join(name)),
                    _ => folders.push((*id, path.join(name))),
                }
            }
        }
        files.sort();
        files
    }

    pub(super) fn create(&mut self, path: &Path) -> io::Result<NodeId> {
        let (folder, name) = self.parent(path)?;
        if self.folder(folder)?.cached.contains_key(name) {
            return Err(Errno::EXIST.into());
        }
        let id = self.add(Node::File(Box::default()));
        self.change(folder, vec![(name, Some(id))], None);
        Ok(id)
    }

    pub(super) fn create_dir(&mut self, path: &Path) -> io::Result<()> {
        let names = names(path)?;
        let mut folder = ROOT;
        for (at, name) in names.iter().enumerate() {
            let next = self.folder(folder)?.cached.get(*name).copied();
            folder = match next {
                Some(id) if matches!(self.nodes.get(id), Some(Some(Node::Folder(_)))) => id,
                // As the system says it: what is to be made is there; what is in the way is no folder.
                Some(_) if at + 1 == names.len() => return Err(Errno::EXIST.into()),
                Some(_) => return Err(Errno::NOTDIR.into()),
                None => {
                    let id = self.add(Node::Folder(Folder::default()));
                    self.change(folder, vec![(name, Some(id))], None);
                    id
                }
            };
        }
        Ok(())
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let (from_folder, from_name) = self.parent(from)?;
        let (to_folder, to_name) = self.parent(to)?;
        let id = self.entry(from_folder, from_name)?;
        let is_folder = self.folder(id).is_ok();
        let (from_names, to_names) = (names(from)?, names(to)?);
        if is_folder && to_names.len() > from_names.len() && to_names.starts_with(&from_names) {
            return Err(Errno::INVAL.into());
        }
        if from_names.len() > to_names.len() && from_names.starts_with(&to_names) {
            return Err(Errno::NOTEMPTY.into());
        }
        if let Some(target) = self.folder(to_folder)?.cached.get(to_name).copied() {
            match (is_folder, self.folder(target)) {
                // Two names of one file, or one name: nothing happens.
                _ if target == id => return Ok(()),
                (false, Ok(_)) => return Err(Errno::ISDIR.into()),
                (true, Err(_)) => return Err(Errno::NOTDIR.into()),
                (true, Ok(folder)) if !folder.cached.is_empty() => return Err(Errno::NOTEMPTY.into()),
                _ => {}
            }
        }
        if from_folder == to_folder {
            self.change(from_folder, vec![(from_name, None), (to_name, Some(id))], None);
        } else if is_folder {
            return Err(Errno::XDEV.into());
        } else {
            let added = self.change(to_folder, vec![(to_name, Some(id))], None);
            self.change(from_folder, vec![(from_name, None)], Some(added));
        }
        Ok(())
    }

    pub(super) fn remove(&mut self, path: &Path) -> io::Result<()> {
        let (folder, name) = self.parent(path)?;
        let id = self.entry(folder, name)?;
        self.file(id)?;
        self.change(folder, vec![(name, None)], None);
        Ok(())
    }

    pub(super) fn link(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let id = self.find(from)?;
        let (folder, name) = self.parent(to)?;
        if self.folder(folder)?.cached.contains_key(name) {
            return Err(Errno::EXIST.into());
        }
        if self.file(id).is_err() {
            return Err(Errno::PERM.into());
        }
        self.change(folder, vec![(name, Some(id))], None);
        Ok(())
    }

    /// An honest sync of a folder: all changes to its names become durable.
    pub(super) fn sync_dir(&mut self, folder: NodeId) -> io::Result<()> {
        self.folder(folder)?;
        for change in std::mem::take(&mut self.changes) {
            if change.folder == folder {
                self.make_durable(&change);
            } else {
                self.changes.push(change);
            }
        }
        self.forget_orphans();
        Ok(())
    }

    /// A sync of a folder that fails: some changes reached the disk, the others stay in the cache only.
    pub(super) fn fail_sync_dir(&mut self, folder: NodeId, then: FailedSync, random: &mut Random) {
        if then == FailedSync::Dirty || (then == FailedSync::Random && random.coin()) {
            return;
        }
        let (settling, others) =
            std::mem::take(&mut self.changes).into_iter().partition(|change| change.folder == folder);
        self.changes = settling;
        self.settle(random);
        self.changes = others;
    }

    /// The power goes: what was not synced survives or not, and what nothing names any more is gone.
    pub(super) fn crash(&mut self, random: &mut Random) {
        self.settle(random);
        for node in self.nodes.iter_mut().flatten() {
            match node {
                Node::File(content) => {
                    content.crash(random);
                    content.links = 0;
                }
                Node::Folder(folder) => folder.cached = folder.durable.clone(),
            }
        }
        self.has_orphans = true;
        self.forget_orphans();
        let folders = self.nodes.iter().flatten().filter_map(|node| match node {
            Node::Folder(folder) => Some(folder),
            Node::File(_) => None,
        });
        let named: Vec<NodeId> = folders.flat_map(|folder| folder.cached.values().copied()).collect();
        for id in named {
            if let Ok(content) = self.file_mut(id) {
                content.links += 1;
            }
        }
    }

    /// Nobody has a file open or locked.
    pub(super) fn close_all(&mut self) {
        for node in self.nodes.iter_mut().flatten() {
            if let Node::File(content) = node {
                content.handles = 0;
                content.is_locked = false;
            }
        }
        self.has_orphans = true;
    }

    pub(super) fn close(&mut self, id: NodeId) {
        if let Ok(content) = self.file_mut(id) {
            content.handles = content.handles.saturating_sub(1);
            self.has_orphans |= self.file(id).is_ok_and(|content| content.links == 0);
        }
    }

    /// Puts a file there, durable with its name and the folders above it.
    pub(super) fn put(&mut self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let names = names(path)?;
        if names.is_empty() {
            return Err(Errno::ISDIR.into());
        }
        if let Some(parent) = path.parent() {
            self.create_dir(parent)?;
        }
        let id = match self.find(path) {
            Ok(id) => id,
            Err(_) => self.create(path)?,
        };
        self.file_mut(id)?.replace(bytes);
        for depth in 0..names.len() {
            let folder = self.walk(&names[..depth])?;
            self.sync_dir(folder)?;
        }
        Ok(())
    }

    fn walk(&self, names: &[&str]) -> io::Result<NodeId> {
        names.iter().try_fold(ROOT, |folder, name| self.entry(folder, name))
    }

    /// The folder that a path's last name is in, and that name.
    fn parent<'p>(&self, path: &'p Path) -> io::Result<(NodeId, &'p str)> {
        let mut names = names(path)?;
        let name = names.pop().ok_or(Errno::EXIST)?;
        let folder = self.walk(&names)?;
        self.folder(folder)?;
        Ok((folder, name))
    }

    fn entry(&self, folder: NodeId, name: &str) -> io::Result<NodeId> {
        Ok(self.folder(folder)?.cached.get(name).copied().ok_or(Errno::NOENT)?)
    }

    fn folder(&self, id: NodeId) -> io::Result<&Folder> {
        match self.nodes.get(id) {
            Some(Some(Node::Folder(folder))) => Ok(folder),
            _ => Err(Errno::NOTDIR.into()),
        }
    }

    fn folder_mut(&mut self, id: NodeId) -> Option<&mut Folder> {
        match self.nodes.get_mut(id) {
            Some(Some(Node::Folder(folder))) => Some(folder),
            _ => None,
        }
    }

    fn add(&mut self, node: Node) -> NodeId {
        self.nodes.push(Some(node));
        self.nodes.len() - 1
    }

    /// Changes names of a folder as readers see them, and notes it for the sync or the crash.
    fn change(&mut self, folder: NodeId, steps: Vec<(&str, Option<NodeId>)>, after: Option<u64>) -> u64 {
        for (name, to) in &steps {
            let Some(entries) = self.folder_mut(folder) else { continue };
            let before = match to {
                Some(id) => entries.cached.insert((*name).to_owned(), *id),
                None => entries.cached.remove(*name),
            };
            if let Some(content) = to.and_then(|id| self.file_mut(id).ok()) {
                content.links += 1;
            }
            if let Some(content) = before.and_then(|id| self.file_mut(id).ok()) {
                content.links -= 1;
                self.has_orphans = true;
            }
        }
        let steps = steps.into_iter().map(|(name, to)| Step { folder, name: name.to_owned(), to }).collect();
        self.changes_made += 1;
        self.changes.push(Change { number: self.changes_made, folder, steps, after });
        self.changes_made
    }

    fn make_durable(&mut self, change: &Change) {
        for step in &change.steps {
            let Some(folder) = self.folder_mut(step.folder) else { continue };
            match step.to {
                Some(id) => folder.durable.insert(step.name.clone(), id),
                None => folder.durable.remove(&step.name),
            };
        }
    }

    /// Makes some changes durable and forgets the others, so that what is left could have happened.
    fn settle(&mut self, random: &mut Random) {
        let chance = [0.0, 0.25, 0.5, 0.75, 0.94, 1.0][random.below(6) as usize];
        let mut lost_numbers = HashSet::new();
        let mut lost_names: HashSet<(NodeId, String)> = HashSet::new();
        for change in std::mem::take(&mut self.changes) {
            let is_lost = !random.chance(chance)
                || change.after.is_some_and(|number| lost_numbers.contains(&number))
                || change.steps.iter().any(|step| lost_names.contains(&(step.folder, step.name.clone())));
            if is_lost {
                lost_numbers.insert(change.number);
                lost_names.extend(change.steps.into_iter().map(|step| (step.folder, step.name)));
            } else {
                self.make_durable(&change);
            }
        }
    }

    /// Forgets files and folders that nothing can reach any more.
    fn forget_orphans(&mut self) {
        if !std::mem::take(&mut self.has_orphans) {
            return;
        }
        let mut is_reached = vec![false; self.nodes.len()];
        let mut open: Vec<NodeId> =
            self.changes.iter().flat_map(|change| &change.steps).filter_map(|step| step.to).collect();
        open.push(ROOT);
        open.extend(self.changes.iter().map(|change| change.folder));
        for (id, node) in self.nodes.iter().enumerate() {
            if matches!(node, Some(Node::File(content)) if content.handles > 0) {
                open.push(id);
            }
        }
        while let Some(id) = open.pop() {
            if std::mem::replace(&mut is_reached[id], true) {
                continue;
            }
            if let Ok(folder) = self.folder(id) {
                open.extend(folder.cached.values().chain(folder.durable.values()));
            }
        }
        for (node, is_reached) in self.nodes.iter_mut().zip(is_reached) {
            if !is_reached {
                *node = None;
            }
        }
    }
}

/// The names on the way to a path. Relative paths begin at the root; `..` is not known.
fn names(path: &Path) -> io::Result<Vec<&str>> {
    path.components()
        .filter(|component| !matches!(component, Component::RootDir | Component::CurDir))
        .map(|component| match component {
            Component::Normal(name) => name.to_str().ok_or(Errno::ILSEQ.into()),
            _ => Err(Errno::INVAL.into()),
        })
        .collect()
}
