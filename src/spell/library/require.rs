//! `require(name)`: modules under the spell's own folder, and nowhere else.
//!
//! A name is tokens of letters, digits, `_` and `-`, split by dots: `require("shop.tax")` loads
//! `shop/tax.lua`, or else `shop/tax/init.lua`, below the folder. A link that leads out of it is refused.
//! A module runs once per VM, and what it returns is kept (`true` where it returns nothing). Modules
//! that require each other in a circle are an error that names the circle.
//!
//! All VMs of a spell share one [`Modules`]: a file is read once, so they agree on its text even while
//! it is being edited. Different from stock Lua: there is no `package`, and `require` has one result.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::spell::raw::{Entry, Frame, Kind, Raise};

/// Globals.
pub(crate) static FUNCTIONS: &[Entry] = &[("require", require)];

/// The largest module.
pub const BYTES_MAX: u64 = 4 << 20;
/// Modules that load each other, at once.
const DEPTH_MAX: usize = 32;
/// Registry name of the table of loaded modules.
const LOADED: &str = "modules";

/// Why a module cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum ModuleError {
    /// Not a name.
    #[error("`{0}` is not a module's name: letters, digits, `_` and `-`, split by dots")]
    Name(String),
    /// No such file.
    #[error("module `{name}` not found; looked for {}", list(.looked))]
    NotFound {
        /// The name.
        name: String,
        /// The files that would do.
        looked: Vec<String>,
    },
    /// The spell did not come from a file.
    #[error("module `{0}` not found: this spell has no folder to look in")]
    NoFolder(String),
    /// A link that leads elsewhere.
    #[error("module `{name}`: {file} lies outside the spell's folder")]
    Outside {
        /// The name.
        name: String,
        /// The file.
        file: String,
    },
    /// Over [`BYTES_MAX`].
    #[error("module `{name}`: {file} is larger than {} MiB", BYTES_MAX >> 20)]
    TooLarge {
        /// The name.
        name: String,
        /// The file.
        file: String,
    },
    /// It is there and cannot be read.
    #[error("module `{name}`: {file} cannot be read: {source}")]
    Read {
        /// The name.
        name: String,
        /// The file.
        file: String,
        /// What the system says.
        source: std::io::Error,
    },
}

fn list(files: &[String]) -> String {
    files.join(" and ")
}

/// A module's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Module {
    /// The file as reports name it.
    pub file: String,
    /// Its text.
    pub source: Arc<[u8]>,
}

/// Where `require` looks. Clones share what was read.
#[derive(Clone, Debug, Default)]
pub struct Modules {
    place: Place,
    /// What reports call the folder, where that is not its path.
    shown: Option<String>,
    read: Arc<Mutex<BTreeMap<String, Module>>>,
    /// Names being loaded by this VM, outermost first.
    chain: Vec<String>,
}

#[derive(Clone, Debug, Default)]
enum Place {
    #[default]
    None,
    Folder(PathBuf),
    Memory,
}

impl Modules {
    /// Modules below a folder; the path is what reports show.
    #[must_use]
    pub fn folder(folder: impl Into<PathBuf>) -> Self {
        Self { place: Place::Folder(folder.into()), ..Self::default() }
    }

    /// Modules below a folder that reports call `shown`.
    #[must_use]
    pub fn shown(folder: impl Into<PathBuf>, shown: impl Into<String>) -> Self {
        Self { shown: Some(shown.into()), ..Self::folder(folder) }
    }

    /// Modules held in memory, text by name; a module's file is its name with slashes and `.lua`.
    #[must_use]
    pub fn memory(sources: impl IntoIterator<Item = (String, Arc<[u8]>)>) -> Self {
        let modules = sources.into_iter().map(|(name, source)| {
            let file = format!("{}.lua", name.replace('.', "/"));
            (name, Module { file, source })
        });
        Self {
            place: Place::Memory,
            shown: None,
            read: Arc::new(Mutex::new(modules.collect())),
            chain: Vec::new(),
        }
    }

    /// Every module that was asked for and found, by name: what a watcher watches and a bundle holds.
    #[must_use]
    pub fn found(&self) -> BTreeMap<String, Module> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A module's text.
    pub fn find(&self, name: &str) -> Result<Module, ModuleError> {
        let token = |token: &str| {
            !token.is_empty() && token.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
        };
        if name.len() > 255 || !name.split('.').all(token) {
            return Err(ModuleError::Name(name.chars().take(80).collect()));
        }
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(module) = read.get(name) {
            return Ok(module.clone());
        }
        let relative = name.replace('.', "/");
        let candidates = [format!("{relative}.lua"), format!("{relative}/init.lua")];
        let folder = match &self.place {
            Place::None => return Err(ModuleError::NoFolder(name.to_owned())),
            Place::Memory => {
                return Err(ModuleError::NotFound { name: name.to_owned(), looked: candidates[..1].into() });
            }
            Place::Folder(folder) => folder,
        };
        let mut looked = Vec::new();
        for candidate in candidates {
            let path = if folder.as_os_str().is_empty() {
                PathBuf::from(&candidate)
            } else {
                folder.join(&candidate)
            };
            let file = match self.shown.as_deref() {
                Some("" | ".") => candidate.clone(),
                Some(shown) => format!("{shown}/{candidate}"),
                None => path.to_string_lossy().replace('\\', "/"),
            };
            match read_module(folder, &path, name, &file) {
                Ok(Some(source)) => {
                    let module = Module { file, source };
                    read.insert(name.to_owned(), module.clone());
                    return Ok(module);
                }
                Ok(None) => looked.push(file),
                Err(error) => return Err(error),
            }
        }
        Err(ModuleError::NotFound { name: name.to_owned(), looked })
    }
}

/// The text of a file inside the folder; `None` where there is no such file.
fn read_module(folder: &Path, path: &Path, name: &str, file: &str) -> Result<Option<Arc<[u8]>>, ModuleError> {
    let failed =
        |source: std::io::Error| ModuleError::Read { name: name.to_owned(), file: file.to_owned(), source };
    let real = match path.canonicalize() {
        Err(error) if is_missing(&error) => return Ok(None),
        real => real.map_err(failed)?,
    };
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    if !real.starts_with(folder.canonicalize().map_err(failed)?) {
        return Err(ModuleError::Outside { name: name.to_owned(), file: file.to_owned() });
    }
    let about = real.metadata().map_err(failed)?;
    if !about.is_file() {
        return Ok(None);
    }
    if about.len() > BYTES_MAX {
        return Err(ModuleError::TooLarge { name: name.to_owned(), file: file.to_owned() });
    }
    std::fs::read(&real).map(|bytes| Some(bytes.into())).map_err(failed)
}

fn is_missing(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory)
}

/// `require(name)`
fn require(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let name = frame.text(1)?;
    frame.charge(16)?;
    frame.push_registry();
    if frame.get_field(-1, LOADED) != Kind::Table {
        frame.pop(1);
        frame.push_table(0, 4);
        frame.push_copy(-1);
        frame.set_field(-3, LOADED);
    }
    let loaded = frame.top();
    if frame.get_field(loaded, name) != Kind::Nil {
        return Ok(1);
    }
    frame.pop(1);
    let modules = &frame.host().modules;
    if modules.chain.iter().any(|loading| loading == name) {
        let circle = modules.chain.join("` requires `");
        return Err(Raise::message(format!("modules in a circle: `{circle}` requires `{name}`")));
    }
    if modules.chain.len() >= DEPTH_MAX {
        return Err(Raise::message(format!("more than {DEPTH_MAX} modules that load each other")));
    }
    let module = modules.find(name).map_err(|error| Raise::message(error.to_string()))?;
    frame.charge(module.source.len() as u64)?;
    frame.check_memory(module.source.len().saturating_mul(8))?;
    frame.host().modules.chain.push(name.to_owned());
    let source = module.source.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&module.source);
    let result = frame.load(&module.file, source).and_then(|()| {
        frame.push_str(name)?;
        frame.call(1, 1)
    });
    frame.host().modules.chain.pop();
    result?;
    if frame.kind(-1) == Kind::Nil {
        frame.pop(1);
        frame.push_bool(true);
    }
    frame.push_copy(-1);
    frame.set_field(loaded, name);
    Ok(1)
}
