//! Files of a folder, for who asks for them by name.
//!
//! A path is taken part by part: one that begins with a dot is never served, and no link leads out of the folder. A folder is
//! its `index.html`. What is not there is left to spells. A file has an `ETag` by its size and its time, so that what a
//! browser has is not sent again; one range of it may be asked for.

use std::fs::{self, File, Metadata};
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use axum::body::Body;
use axum::response::Response;
use hyper::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderValue,
    IF_NONE_MATCH, IF_RANGE, RANGE,
};
use hyper::http::request::Parts;
use hyper::{HeaderMap, Method, StatusCode};
use percent_encoding::percent_decode_str;

use crate::server::problem::{Code, Problem};
use crate::server::routes::blobs;
use crate::server::routes::events::blocking;
use crate::server::{Error, Server};

/// What is read into memory, rather than passed on piece by piece.
const SMALL_BYTES: u64 = 256 << 10;

/// What kinds of files are, by the end of their names.
const KINDS: [(&str, &str); 27] = [
    ("avif", "image/avif"),
    ("css", "text/css; charset=utf-8"),
    ("csv", "text/csv; charset=utf-8"),
    ("gif", "image/gif"),
    ("htm", "text/html; charset=utf-8"),
    ("html", "text/html; charset=utf-8"),
    ("ico", "image/x-icon"),
    ("jpeg", "image/jpeg"),
    ("jpg", "image/jpeg"),
    ("js", "text/javascript; charset=utf-8"),
    ("json", "application/json"),
    ("map", "application/json"),
    ("md", "text/markdown; charset=utf-8"),
    ("mjs", "text/javascript; charset=utf-8"),
    ("mp3", "audio/mpeg"),
    ("mp4", "video/mp4"),
    ("ogg", "audio/ogg"),
    ("pdf", "application/pdf"),
    ("png", "image/png"),
    ("svg", "image/svg+xml"),
    ("txt", "text/plain; charset=utf-8"),
    ("wasm", "application/wasm"),
    ("webm", "video/webm"),
    ("webmanifest", "application/manifest+json"),
    ("webp", "image/webp"),
    ("woff2", "font/woff2"),
    ("xml", "application/xml"),
];

/// See the module.
#[derive(Clone, Debug)]
pub struct Files {
    /// Without links.
    root: PathBuf,
}

/// A file that is there.
#[derive(Debug)]
struct Found {
    file: File,
    bytes: u64,
    tag: HeaderValue,
    kind: &'static str,
}

impl Files {
    /// The files of a folder.
    ///
    /// # Errors
    /// [`Error::Files`].
    pub fn open(folder: PathBuf) -> Result<Self, Error> {
        let opened = fs::canonicalize(&folder).and_then(|root| match root.is_dir() {
            true => Ok(Self { root }),
            false => Err(io::ErrorKind::NotADirectory.into()),
        });
        opened.map_err(|source| Error::Files { path: folder, source })
    }

    /// The file that a request names; `None` where there is none.
    ///
    /// # Errors
    /// A file that cannot be read, or too many that are read already.
    pub async fn serve(&self, server: &Arc<Server>, head: &Parts) -> Result<Option<Response>, Problem> {
        let Some(name) = safe(head.uri.path()) else { return Ok(None) };
        let root = self.root.clone();
        let Some(found) = blocking(move || Ok(find(&root, &name))).await? else { return Ok(None) };
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(found.kind));
        headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        headers.insert(ETAG, found.tag.clone());
        let (mut status, mut range) = (StatusCode::OK, 0..found.bytes);
        let asked = head.headers.get(IF_RANGE).is_none_or(|tag| *tag == found.tag);
        let body = if is_known(&head.headers, &found.tag) {
            status = StatusCode::NOT_MODIFIED;
            Body::empty()
        } else {
            match head.headers.get(RANGE).filter(|_| asked).map(|value| range_of(value, found.bytes)) {
                None | Some(Asked::All) => {}
                Some(Asked::Part(part)) => {
                    let text = format!("bytes {}-{}/{}", part.start, part.end - 1, found.bytes);
                    headers.extend(HeaderValue::from_str(&text).map(|value| (CONTENT_RANGE, value)));
                    (status, range) = (StatusCode::PARTIAL_CONTENT, part);
                }
                Some(Asked::Beyond) => {
                    let text = format!("bytes */{}", found.bytes);
                    headers.extend(HeaderValue::from_str(&text).map(|value| (CONTENT_RANGE, value)));
                    (status, range) = (StatusCode::RANGE_NOT_SATISFIABLE, 0..0);
                }
            }
            headers.insert(CONTENT_LENGTH, (range.end - range.start).into());
            match head.method == Method::HEAD {
                true => Body::empty(),
                false => found.body(server, range).await?,
            }
        };
        let mut response = Response::new(body);
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        Ok(Some(response))
    }
}

impl Found {
    /// A part of it as a body.
    async fn body(self, server: &Arc<Server>, range: Range<u64>) -> Result<Body, Problem> {
        let (mut file, bytes) = (self.file, range.end - range.start);
        if bytes == 0 {
            return Ok(Body::empty());
        }
        let begin = move |file: &mut File| file.seek(SeekFrom::Start(range.start));
        if bytes > SMALL_BYTES {
            return blobs::pour(server, move |output| {
                begin(&mut file)?;
                let copied = io::copy(&mut file.take(bytes), output)?;
                // It was cut meanwhile: who takes it must be able to tell.
                if copied == bytes { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
            })
            .await;
        }
        let read = blocking(move || {
            let mut part = Vec::with_capacity(bytes as usize);
            let read = begin(&mut file).and_then(|_| file.take(bytes).read_to_end(&mut part));
            // It was cut meanwhile, or cannot be read: what is missing lets the client tell.
            read.map(|_| part).map_err(|error| {
                tracing::warn!(%error, "a file could not be read");
                Problem::new(Code::Internal, "a file could not be read")
            })
        });
        Ok(Body::from(read.await?))
    }
}

/// The path of a request as one below the folder; `None` where it is none that is served.
fn safe(path: &str) -> Option<PathBuf> {
    let decoded = percent_decode_str(path).decode_utf8().ok()?;
    let mut name = PathBuf::new();
    for part in decoded.split('/').filter(|part| !part.is_empty()) {
        if part.starts_with('.') || part.contains(['\\', '\0']) {
            return None;
        }
        name.push(part);
    }
    let is_plain = name.components().all(|part| matches!(part, Component::Normal(_)));
    is_plain.then_some(name)
}

/// Opens a file below the folder, if there is one.
fn find(root: &Path, name: &Path) -> Option<Found> {
    let mut path = fs::canonicalize(root.join(name)).ok()?;
    if path.is_dir() {
        path = fs::canonicalize(path.join("index.html")).ok()?;
    }
    // Links were followed: where they led counts.
    let within = path.strip_prefix(root).ok()?;
    let is_hidden = |part: Component<'_>| part.as_os_str().to_str().is_none_or(|part| part.starts_with('.'));
    // What is no file, such as a pipe, would make who opens it wait.
    if within.components().any(is_hidden) || !fs::metadata(&path).ok()?.is_file() {
        return None;
    }
    let file = File::open(&path).ok()?;
    let about = file.metadata().ok().filter(Metadata::is_file)?;
    let end = path.extension().and_then(|end| end.to_str()).unwrap_or_default().to_ascii_lowercase();
    let kind = KINDS.iter().find(|(known, _)| *known == end);
    let kind = kind.map_or("application/octet-stream", |(_, kind)| kind);
    let changed = about.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    let tag = format!("\"{:x}-{:x}\"", about.len(), changed.unwrap_or_default().as_nanos());
    Some(Found { file, bytes: about.len(), tag: HeaderValue::from_str(&tag).ok()?, kind })
}

/// Whether the client has it already.
fn is_known(headers: &HeaderMap, tag: &HeaderValue) -> bool {
    let (Some(known), Ok(tag)) = (headers.get(IF_NONE_MATCH), tag.to_str()) else { return false };
    let known = known.to_str().unwrap_or_default();
    known.split(',').map(str::trim).any(|known| known == "*" || known.trim_start_matches("W/") == tag)
}

/// What a client asks of a file.
#[derive(Debug, PartialEq, Eq)]
enum Asked {
    All,
    Part(Range<u64>),
    Beyond,
}

/// Reads a range. What is not understood, and several, mean all of it, as HTTP allows.
fn range_of(value: &HeaderValue, bytes: u64) -> Asked {
    let text = value.to_str().unwrap_or_default();
    let Some((first, last)) = text.strip_prefix("bytes=").and_then(|range| range.split_once('-')) else {
        return Asked::All;
    };
    let number = |text: &str| text.trim().parse::<u64>().ok();
    let (start, end) = match (number(first), number(last)) {
        (Some(first), Some(last)) if first <= last => (first, last.saturating_add(1).min(bytes)),
        (Some(first), None) if last.trim().is_empty() => (first, bytes),
        (None, Some(count)) if first.trim().is_empty() => (bytes.saturating_sub(count), bytes),
        _ => return Asked::All,
    };
    if start < end { Asked::Part(start..end) } else { Asked::Beyond }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_in_the_folder() {
        for (path, name) in [("/", ""), ("/a/b.html", "a/b.html"), ("//a//b/", "a/b"), ("/a%20b", "a b")] {
            assert_eq!(safe(path).as_deref(), Some(Path::new(name)), "{path}");
        }
        for path in [
            "/../a",
            "/a/../../b",
            "/%2e%2e/a",
            "/a/.git/config",
            "/..%2fa",
            "/a%5c..",
            "/a%00",
            "/%ff",
            "/.",
        ] {
            assert_eq!(safe(path), None, "{path}");
        }
    }

    #[test]
    fn ranges_are_read() {
        let read = |text: &'static str| range_of(&HeaderValue::from_static(text), 10);
        assert_eq!(read("bytes=0-3"), Asked::Part(0..4));
        assert_eq!(read("bytes=4-"), Asked::Part(4..10));
        assert_eq!(read("bytes=-3"), Asked::Part(7..10));
        assert_eq!(read("bytes=-30"), Asked::Part(0..10));
        assert_eq!(read("bytes=5-99"), Asked::Part(5..10));
        for beyond in ["bytes=10-", "bytes=-0", "bytes=11-12"] {
            assert_eq!(read(beyond), Asked::Beyond, "{beyond}");
        }
        for all in ["lines=1-2", "bytes=1-2,4-5", "bytes=3-1", "bytes=a-b", "bytes=-"] {
            assert_eq!(read(all), Asked::All, "{all}");
        }
    }
}
