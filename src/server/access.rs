//! Whether a request may do what it asks.
//!
//! Over the Unix socket everything is allowed: the system lets nobody use it but its owner. By TCP a token is needed
//! as soon as there are any. Without tokens an address of this machine takes requests up to the role `append`, but not
//! those that a web page makes in somebody's browser: `Host` must name this machine, and `Origin`, if there is one, too.

use hyper::HeaderMap;
use hyper::header::{AUTHORIZATION, HOST, ORIGIN};

use super::Server;
use super::connection::Peer;
use super::problem::{Code, Problem};
use super::token::{Role, Tokens};

/// What the network may do where there are no tokens.
const OPEN: Role = Role::Append;

/// Refuses what a peer may not do. `plane`: on which; `None` where a route is of none.
///
/// # Errors
/// [`Code::Unauthorized`], [`Code::Forbidden`].
pub fn check(
    server: &Server,
    peer: Peer,
    headers: &HeaderMap,
    role: Role,
    plane: Option<&str>,
) -> Result<(), Problem> {
    if peer == Peer::Owner {
        return Ok(());
    }
    let Some(keyring) = &server.keyring else { return open(headers, role) };
    let tokens = keyring.tokens();
    if tokens.is_empty() && !server.needs_tokens {
        return open(headers, role);
    }
    with_token(&tokens, headers, role, plane)
}

fn with_token(tokens: &Tokens, headers: &HeaderMap, role: Role, plane: Option<&str>) -> Result<(), Problem> {
    let text = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let text = text
        .and_then(|text| text.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    let Some((_, text)) = text else {
        return Err(Problem::new(Code::Unauthorized, "a token is needed: `Authorization: Bearer TOKEN`"));
    };
    let Some(token) = tokens.find(text.trim()) else {
        return Err(Problem::new(Code::Unauthorized, "the token is unknown, or was removed"));
    };
    if token.allows(role, plane) {
        return Ok(());
    }
    let scope = token.plane.as_ref().map_or_else(String::new, |plane| format!(" on plane `{plane}`"));
    let why = format!("this needs the role `{role}`; the token `{}` has `{}`{scope}", token.name, token.role);
    Err(Problem::new(Code::Forbidden, why))
}

fn open(headers: &HeaderMap, role: Role) -> Result<(), Problem> {
    if role > OPEN {
        let why = format!("by TCP the role `{role}` needs a token; over the Unix socket it does not");
        return Err(Problem::new(Code::Forbidden, why));
    }
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    if !text(HOST).is_some_and(is_here) {
        return Err(Problem::new(
            Code::Forbidden,
            "`Host` names another machine; without tokens this one is served alone",
        ));
    }
    let origin = text(ORIGIN).map(|origin| origin.split_once("://").map_or("", |(_, host)| host));
    if !origin.is_none_or(is_here) {
        return Err(Problem::new(Code::Forbidden, "a page from elsewhere asks this; make a token for it"));
    }
    Ok(())
}

/// Whether a host, with or without a port, is this machine.
fn is_here(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    let is_loopback = name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    name.eq_ignore_ascii_case("localhost") || is_loopback
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_is_known() {
        for host in ["localhost", "LOCALHOST:7700", "127.0.0.1:1", "127.9.9.9", "[::1]:80", "[::1]"] {
            assert!(is_here(host), "{host}");
        }
        for host in
            ["", "example.org", "localhost.example.org", "10.0.0.1:80", "null", "127.0.0.1.example.org"]
        {
            assert!(!is_here(host), "{host}");
        }
    }
}
