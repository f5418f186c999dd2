//! Tokens: who may do what, by a secret that is not kept.
//!
//! A token is 256 random bits. The file has its BLAKE3 digest, which nobody can turn back; a line of JSON for each. A
//! change of the file holds within [`LOOK_MS`] milliseconds, without a restart: a token that was removed is refused.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::engine::clock::steady_ms;

/// What a token begins with, so that it is known for one where it leaks.
const PREFIX: &str = "sanctum_";
/// How often the file is looked at.
pub const LOOK_MS: u64 = 500;
/// The file, in the folder of the log.
pub const FILE: &str = "tokens";

/// What a token allows; each role allows what those before it do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Reading.
    Read,
    /// Appending, and storing content and keys.
    Append,
    /// Deciding: about spells, faults and all else.
    Admin,
}

impl Role {
    /// Every role.
    pub const ALL: [Role; 3] = [Role::Read, Role::Append, Role::Admin];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Role::Read => "read",
            Role::Append => "append",
            Role::Admin => "admin",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let role = Self::ALL.into_iter().find(|role| role.name() == text);
        role.ok_or_else(|| "a role is read, append or admin".to_owned())
    }
}

/// What is known of a token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Token {
    /// Its name, by which it is removed.
    pub name: String,
    /// What it allows.
    pub role: Role,
    /// On which plane; `None`: on all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plane: Option<String>,
    /// When it was made, in milliseconds since the epoch.
    pub time: i64,
    /// BLAKE3 of its text, as hexadecimal digits.
    digest: String,
}

impl Token {
    /// Whether it allows that on a plane, or, without one, anywhere.
    #[must_use]
    pub fn allows(&self, role: Role, plane: Option<&str>) -> bool {
        self.role >= role && plane.is_none_or(|plane| self.plane.as_deref().is_none_or(|own| own == plane))
    }
}

/// Why tokens cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The file.
    #[error("cannot {action} `{}`: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// A line that is none.
    #[error("`{}`: line {line} is no token ({reason}); nothing is allowed until it is mended", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        reason: String,
    },
    /// A name that is taken.
    #[error("there is a token `{0}` already; `sanctum token remove {0}` takes it back")]
    Taken(String),
    /// No such name.
    #[error("there is no token `{0}`; `sanctum token list` has all")]
    Unknown(String),
    /// No random bytes.
    #[error("the system gives no random bytes: {0}")]
    Random(getrandom::Error),
}

/// The tokens of a folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tokens {
    tokens: Vec<Token>,
}

impl Tokens {
    /// Reads the file; no file is no tokens.
    ///
    /// # Errors
    /// [`TokenError::Io`], [`TokenError::Line`].
    pub fn load(data: &Path) -> Result<Self, TokenError> {
        let path = data.join(FILE);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(source) => return Err(TokenError::Io { action: "read", path, source }),
        };
        let mut tokens = Vec::new();
        for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let token = serde_json::from_str(line).map_err(|error| TokenError::Line {
                path: path.clone(),
                line: index + 1,
                reason: error.to_string(),
            })?;
            tokens.push(token);
        }
        Ok(Self { tokens })
    }

    /// Writes the file, which its owner alone may read. After a crash it is the old one or the new one.
    ///
    /// # Errors
    /// [`TokenError::Io`].
    pub fn store(&self, data: &Path) -> Result<(), TokenError> {
        let (path, temporary) = (data.join(FILE), data.join("tokens.tmp"));
        let failed = |action, path: &Path| {
            let path = path.to_owned();
            move |source| TokenError::Io { action, path, source }
        };
        let mut text = String::new();
        for token in &self.tokens {
            text.push_str(&serde_json::to_string(token).unwrap_or_default());
            text.push('\n');
        }
        match fs::remove_file(&temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(failed("remove", &temporary)(error));
            }
            _ => {}
        }
        let mut options = OpenOptions::new();
        let opened = options.write(true).create_new(true).mode(0o600).open(&temporary);
        let mut file = opened.map_err(failed("create", &temporary))?;
        let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
        written.map_err(failed("write", &temporary))?;
        fs::rename(&temporary, &path).map_err(failed("replace", &path))?;
        File::open(data).and_then(|folder| folder.sync_all()).map_err(failed("sync", data))
    }

    /// Makes a token and returns its text, which is not kept.
    ///
    /// # Errors
    /// [`TokenError::Taken`], [`TokenError::Random`].
    pub fn add(
        &mut self,
        name: &str,
        role: Role,
        plane: Option<&str>,
        now_ms: i64,
    ) -> Result<String, TokenError> {
        if self.tokens.iter().any(|token| token.name == name) {
            return Err(TokenError::Taken(name.to_owned()));
        }
        let mut random = [0; 32];
        getrandom::fill(&mut random).map_err(TokenError::Random)?;
        let text = format!("{PREFIX}{}", blake3::Hash::from(random).to_hex());
        let digest = blake3::hash(text.as_bytes()).to_hex().to_string();
        let plane = plane.map(str::to_owned);
        self.tokens.push(Token { name: name.to_owned(), role, plane, time: now_ms, digest });
        Ok(text)
    }

    /// Removes a token.
    ///
    /// # Errors
    /// [`TokenError::Unknown`].
    pub fn remove(&mut self, name: &str) -> Result<(), TokenError> {
        let before = self.tokens.len();
        self.tokens.retain(|token| token.name != name);
        if self.tokens.len() == before { Err(TokenError::Unknown(name.to_owned())) } else { Ok(()) }
    }

    /// All of them, in the order in which they were made.
    pub fn iter(&self) -> impl Iterator<Item = &Token> {
        self.tokens.iter()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    /// The token with that text. How long it takes does not depend on how much of a text fits.
    #[must_use]
    pub fn find(&self, text: &str) -> Option<&Token> {
        let digest = blake3::hash(text.as_bytes());
        self.tokens
            .iter()
            .find(|token| blake3::Hash::from_hex(&token.digest).is_ok_and(|known| known == digest))
    }
}

/// The tokens of a folder as they are now.
#[derive(Debug)]
pub struct Keyring {
    data: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    tokens: Arc<Tokens>,
    /// The file as it was read: when it was changed, and how long it is.
    seen: Option<(SystemTime, u64)>,
    next_look_ms: u64,
}

impl Keyring {
    /// Reads the tokens of a folder.
    ///
    /// # Errors
    /// As [`Tokens::load`].
    pub fn open(data: &Path) -> Result<Self, TokenError> {
        let seen = about(data);
        let tokens = Arc::new(Tokens::load(data)?);
        let state = State { tokens, seen, next_look_ms: steady_ms() + LOOK_MS };
        Ok(Self { data: data.to_owned(), state: Mutex::new(state) })
    }

    /// The tokens. A file that cannot be read allows nothing.
    #[must_use]
    pub fn tokens(&self) -> Arc<Tokens> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = steady_ms();
        if now >= state.next_look_ms {
            state.next_look_ms = now + LOOK_MS;
            let seen = about(&self.data);
            if seen != state.seen {
                state.seen = seen;
                state.tokens = Arc::new(Tokens::load(&self.data).unwrap_or_else(|error| {
                    tracing::error!(%error, "tokens");
                    Tokens::default()
                }));
            }
        }
        state.tokens.clone()
    }
}

fn about(data: &Path) -> Option<(SystemTime, u64)> {
    let about = fs::metadata(data.join(FILE)).ok()?;
    Some((about.modified().ok()?, about.len()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_file_has_no_secret() {
        let folder = tempfile::tempdir().unwrap();
        let mut tokens = Tokens::load(folder.path()).unwrap();
        let secret = tokens.add("mailer", Role::Append, Some("main"), 5).unwrap();
        tokens.store(folder.path()).unwrap();
        let text = fs::read_to_string(folder.path().join(FILE)).unwrap();
        assert!(!text.contains(&secret) && !text.contains(secret.trim_start_matches(PREFIX)));
        let again = Tokens::load(folder.path()).unwrap();
        assert_eq!(again, tokens);
        let token = again.find(&secret).unwrap();
        assert!(token.allows(Role::Read, Some("main")) && token.allows(Role::Append, None));
        assert!(!token.allows(Role::Admin, Some("main")) && !token.allows(Role::Read, Some("other")));
        assert!(again.find("sanctum_0").is_none());
        assert!(matches!(tokens.add("mailer", Role::Read, None, 6), Err(TokenError::Taken(_))));
        tokens.remove("mailer").unwrap();
        assert!(tokens.is_empty() && matches!(tokens.remove("mailer"), Err(TokenError::Unknown(_))));
    }
}
