//! HTTP by hand, so that nothing between the test and the wire is kind.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(30);

pub trait Wire: Read + Write + Send {}
impl<T: Read + Write + Send> Wire for T {}

/// A connection.
pub struct Client {
    wire: BufReader<Box<dyn Wire>>,
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    pub fn lines(&self) -> Vec<Value> {
        self.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The code of a problem, which says its status a second time.
    pub fn code(&self) -> String {
        let problem = self.json();
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{problem}");
        assert_eq!(problem["status"], self.status, "{problem}");
        assert!(problem["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{problem}");
        problem["code"].as_str().unwrap().to_owned()
    }
}

impl Client {
    pub fn unix(path: &Path) -> Self {
        let wire = UnixStream::connect(path).unwrap();
        wire.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { wire: BufReader::new(Box::new(wire)) }
    }

    pub fn tcp(address: &str) -> Self {
        let wire = TcpStream::connect(address).unwrap();
        wire.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { wire: BufReader::new(Box::new(wire)) }
    }

    /// Sends bytes. A server that has heard enough closes its end, which is told by what it answers.
    pub fn send(&mut self, bytes: &[u8]) {
        use std::io::ErrorKind::{BrokenPipe, ConnectionReset};
        match self.wire.get_mut().write_all(bytes) {
            Err(error) if !matches!(error.kind(), BrokenPipe | ConnectionReset) => panic!("{error}"),
            _ => {}
        }
    }

    /// One request with its answer.
    pub fn ask(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        self.send(&request(method, path, headers, body));
        self.answer(method == "HEAD")
    }

    pub fn get(&mut self, path: &str) -> Answer {
        self.ask("GET", path, &[], b"")
    }

    pub fn post(&mut self, path: &str, body: &str) -> Answer {
        self.ask("POST", path, &[("content-type", "application/json")], body.as_bytes())
    }

    /// A receipt, if the server lives long enough to give it.
    pub fn try_post(&mut self, path: &str, body: &str) -> Option<Value> {
        self.send(&request("POST", path, &[], body.as_bytes()));
        let mut len = 0;
        loop {
            let line = self.line()?;
            if let Some(value) = line.strip_prefix("content-length: ") {
                len = value.parse().ok()?;
            }
            if line.is_empty() {
                break;
            }
        }
        let mut bytes = vec![0; len];
        self.wire.read_exact(&mut bytes).ok()?;
        serde_json::from_slice(&bytes).ok()
    }

    /// The status and the headers of the next answer.
    pub fn head(&mut self) -> Answer {
        let status = self.line().expect("an answer");
        let status = status.split(' ').nth(1).unwrap().parse().unwrap();
        let mut headers = Vec::new();
        loop {
            let line = self.line().expect("a header");
            if line.is_empty() {
                return Answer { status, headers, body: Vec::new() };
            }
            let (name, value) = line.split_once(':').unwrap();
            headers.push((name.to_owned(), value.trim().to_owned()));
        }
    }

    pub fn answer(&mut self, is_head: bool) -> Answer {
        let mut answer = self.head();
        if is_head || answer.status == 304 {
            return answer;
        }
        if answer.header("transfer-encoding") == Some("chunked") {
            while let Some(chunk) = self.chunk() {
                answer.body.extend(chunk);
            }
        } else {
            let len = answer.header("content-length").map_or(0, |len| len.parse().unwrap());
            answer.body = vec![0; len];
            self.wire.read_exact(&mut answer.body).unwrap();
        }
        answer
    }

    /// The next piece of a body; `None` at its end.
    pub fn chunk(&mut self) -> Option<Vec<u8>> {
        let len = usize::from_str_radix(&self.line().expect("a chunk"), 16).unwrap();
        let mut chunk = vec![0; len];
        self.wire.read_exact(&mut chunk).unwrap();
        assert_eq!(self.line().as_deref(), Some(""));
        (len > 0).then_some(chunk)
    }

    /// A line without its end; `None` where the server has closed the connection.
    pub fn line(&mut self) -> Option<String> {
        let mut line = Vec::new();
        match self.wire.read_until(b'\n', &mut line) {
            Ok(0) => None,
            Ok(_) => Some(String::from_utf8(line).unwrap().trim_end_matches(['\r', '\n']).to_owned()),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => None,
            Err(error) => panic!("{error}"),
        }
    }
}

pub fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut bytes = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\n").into_bytes();
    for (name, value) in headers {
        bytes.extend(format!("{name}: {value}\r\n").into_bytes());
    }
    if !body.is_empty() || method == "POST" || method == "PUT" {
        bytes.extend(format!("content-length: {}\r\n", body.len()).into_bytes());
    }
    bytes.extend(b"\r\n");
    bytes.extend(body);
    bytes
}
