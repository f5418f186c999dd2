//! Apps: folders of a runeset, spells, seeds and golden cases that run from anywhere by name.
//!
//! A name is looked for as a folder here, then in each folder of `SANCTUM_PATH`, then among the user's
//! apps (`$XDG_DATA_HOME/sanctum/apps`, by default `~/.local/share/sanctum/apps`). A bundle is an app in
//! one file: it is unpacked to a temporary folder for as long as the command runs. Paths in an app are
//! shown, and named in ids, relative to the app, so that it runs the same wherever it is.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::Context;
use tempfile::TempDir;

use super::archive;
use crate::engine::batch::Item;
use crate::runeset::FILE_NAME as RUNESET;

/// The ending of a bundle.
pub const BUNDLE_KIND: &str = "sanctum";

/// An app, found.
#[derive(Debug)]
pub struct App {
    /// Its folder.
    pub folder: PathBuf,
    /// Removes the folder of an unpacked bundle when the command ends.
    _unpacked: Option<TempDir>,
}

impl App {
    /// Its runeset.
    #[must_use]
    pub fn runeset(&self) -> Item {
        Item::new(&self.folder, RUNESET)
    }
}

/// The app that an argument stands for; `None` when it is something else, or nothing.
pub fn find(argument: &str) -> anyhow::Result<Option<App>> {
    let path = Path::new(argument);
    if path.extension().is_some_and(|ending| ending == BUNDLE_KIND) && path.is_file() {
        return open(path).map(Some);
    }
    if path.exists() {
        return Ok(is_app(path).then(|| App { folder: path.to_owned(), _unpacked: None }));
    }
    let found = is_name(argument).then(|| search(&search_path(), argument)).flatten();
    match found {
        Some(found) if found.is_file() => open(&found).map(Some),
        found => Ok(found.map(|folder| App { folder, _unpacked: None })),
    }
}

/// Where apps are looked for beside the current folder.
#[must_use]
pub fn search_path() -> Vec<PathBuf> {
    let variable = |name: &str| env::var_os(name).filter(|value| !value.is_empty());
    let mut folders: Vec<PathBuf> = match variable("SANCTUM_PATH") {
        Some(path) => env::split_paths(&path).filter(|folder| !folder.as_os_str().is_empty()).collect(),
        None => Vec::new(),
    };
    let data = variable("XDG_DATA_HOME").map(PathBuf::from);
    let data = data.or_else(|| Some(PathBuf::from(variable("HOME")?).join(".local/share")));
    folders.extend(data.map(|data| data.join("sanctum/apps")));
    folders
}

/// Whether an argument can be the name of an app, not a path or a glob.
#[must_use]
pub fn is_name(argument: &str) -> bool {
    !argument.is_empty()
        && !argument.starts_with('.')
        && argument.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}

fn is_app(folder: &Path) -> bool {
    folder.join(RUNESET).is_file()
}

fn search(folders: &[PathBuf], name: &str) -> Option<PathBuf> {
    folders.iter().find_map(|folder| {
        let bundle = folder.join(format!("{name}.{BUNDLE_KIND}"));
        let app = folder.join(name);
        if is_app(&app) { Some(app) } else { bundle.is_file().then_some(bundle) }
    })
}

/// Unpacks a bundle.
pub fn open(bundle: &Path) -> anyhow::Result<App> {
    let shown = bundle.display();
    let files = archive::read(bundle).with_context(|| format!("cannot open the bundle `{shown}`"))?;
    unpack(&files).with_context(|| format!("cannot unpack the bundle `{shown}`"))
}

/// Writes the files of a bundle to a temporary folder.
pub fn unpack(files: &archive::Files) -> anyhow::Result<App> {
    let temporary = tempfile::Builder::new().prefix("sanctum-").tempdir()?;
    for (path, bytes) in files {
        let path = temporary.path().join(path);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(path, bytes)?;
    }
    Ok(App { folder: temporary.path().to_owned(), _unpacked: Some(temporary) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_no_paths() {
        assert!(is_name("shop") && is_name("shop-2.1"));
        for argument in ["", ".", "..", "./shop", "a/b", "*.lua", "a b"] {
            assert!(!is_name(argument), "{argument}");
        }
    }

    #[test]
    fn the_first_folder_wins() {
        let folder = tempfile::tempdir().unwrap();
        let [one, two] = ["one", "two"].map(|name| folder.path().join(name));
        std::fs::create_dir_all(two.join("shop")).unwrap();
        std::fs::create_dir_all(&one).unwrap();
        std::fs::write(two.join("shop/runeset.yaml"), "").unwrap();
        let folders = [one.clone(), two.clone()];
        assert_eq!(search(&folders, "shop"), Some(two.join("shop")));
        std::fs::write(one.join("shop.sanctum"), "").unwrap();
        assert_eq!(search(&folders, "shop"), Some(one.join("shop.sanctum")));
        assert_eq!(search(&folders, "other"), None);
    }
}
