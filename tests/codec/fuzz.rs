//! Hostile bytes: whatever they are, nothing panics, nothing takes more memory than a small multiple of
//! the input, and what is accepted is canonical.

use proptest::prelude::*;
use sanctum::event::json::{self, Parser};
use sanctum::event::msgpack::{self, Reader};
use sanctum::event::{Fields, envelope, topic};

use crate::model::{any_value, encode};

fn survive_msgpack(bytes: &[u8]) {
    let mut out = Vec::new();
    match msgpack::canonicalize(bytes, &mut out) {
        Ok(_) => {
            // A float of 32 bits doubles, and so do strings that turn out not to be UTF-8.
            assert!(out.len() <= 2 * bytes.len() + 9, "{} from {}", out.len(), bytes.len());
            let mut again = Vec::new();
            msgpack::canonicalize(&out, &mut again).unwrap();
            assert_eq!(out, again);
            let mut text = Vec::new();
            json::write_value(&out, &mut text);
            serde_json::from_slice::<serde::de::IgnoredAny>(&text).unwrap();
            let _ = envelope::split(&out, &mut Vec::new(), &mut Fields::default());
        }
        Err(error) => {
            assert!(out.is_empty());
            assert!(error.at() <= bytes.len(), "{error}");
            assert!(!error.to_string().is_empty());
        }
    }
    // Readers of canonical data must survive any other, too.
    let mut reader = Reader::new(bytes);
    while reader.token().is_ok() {}
    assert!(reader.position() <= bytes.len());
    let _ = Reader::new(bytes).raw().map(|raw| assert!(raw.len() <= bytes.len()));
    let _ = msgpack::field(bytes, b"a");
    let _ = msgpack::path(bytes, &msgpack::parse_path("a.1.b"));
    json::write_value(bytes, &mut Vec::new());
    let _ = envelope::split(bytes, &mut Vec::new(), &mut Fields::default());
    for key in envelope::ALLOWED {
        let _ = Fields::default().set(key, bytes);
    }
}

fn survive_json(parser: &mut Parser, text: &[u8]) {
    let mut out = b"before".to_vec();
    match parser.to_msgpack(text, &mut out) {
        Ok(_) => {
            let mut again = Vec::new();
            msgpack::canonicalize(&out[6..], &mut again).unwrap();
            assert_eq!(out[6..], again, "{}", String::from_utf8_lossy(text));
        }
        Err(error) => {
            assert_eq!(out, b"before");
            assert!(error.line >= 1 && error.column >= 1 && !error.message.is_empty());
            assert!(error.line <= 1 + text.iter().filter(|byte| **byte == b'\n').count());
        }
    }
    let _ = parser.to_event(text, &mut out, &mut Fields::default());
}

/// Changes a few bytes, or repeats or drops some.
fn mutated(mut bytes: Vec<u8>, changes: &[(prop::sample::Index, u8, u8)]) -> Vec<u8> {
    for (at, how, byte) in changes {
        if bytes.is_empty() {
            break;
        }
        let at = at.index(bytes.len());
        match how % 5 {
            0 => bytes[at] = *byte,
            1 => bytes[at] ^= 1 << (byte % 8),
            2 => bytes.insert(at, *byte),
            3 => drop(bytes.remove(at)),
            _ => bytes.extend_from_within(at..),
        }
    }
    bytes
}

fn changes() -> impl Strategy<Value = Vec<(prop::sample::Index, u8, u8)>> {
    prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), any::<u8>()), 1..6)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn random_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        survive_msgpack(&bytes);
        survive_json(&mut Parser::new(), &bytes);
    }

    /// Markers of collections and lengths alone, which random bytes seldom combine.
    #[test]
    fn random_markers_are_survived(bytes in prop::collection::vec(
        prop_oneof![0x80..=0x93_u8, 0xc0..=0xdf_u8, Just(0), Just(1), Just(0xff)], 0..60))
    {
        survive_msgpack(&bytes);
    }

    #[test]
    fn mutated_data_is_survived(value in any_value(), changes in changes()) {
        survive_msgpack(&mutated(encode(&value), &changes));
    }

    #[test]
    fn mutated_json_is_survived(value in any_value(), changes in changes()) {
        let (mut bytes, mut text) = (Vec::new(), Vec::new());
        msgpack::canonicalize(&encode(&value), &mut bytes).unwrap();
        json::write_value(&bytes, &mut text);
        survive_json(&mut Parser::new(), &mutated(text, &changes));
    }

    #[test]
    fn random_json_is_survived(text in "[\\[\\]{}:,\"\\\\ u0-9a-fnlrtse.+\\-$\n]{0,60}") {
        let mut parser = Parser::new();
        survive_json(&mut parser, text.as_bytes());
        // What is left over from a refused text does not change how the next one is read.
        let mut out = Vec::new();
        parser.to_msgpack(b"[1,{\"b\":2,\"a\":1}]", &mut out).unwrap();
        prop_assert_eq!(out, [0x92, 1, 0x82, 0xa1, b'a', 1, 0xa1, b'b', 2]);
    }

    #[test]
    fn topics_are_checked(text in "[a-zA-Z0-9_$. é-]{0,12}") {
        let token = |token: &str| {
            !token.is_empty() && token.chars().all(|c| c.is_ascii_alphanumeric() || "_-$".contains(c))
        };
        let valid = text.len() <= topic::LENGTH_MAX && text.split('.').all(token);
        match topic::validate(&text) {
            Ok(()) => prop_assert!(valid),
            Err(error) => {
                prop_assert!(!valid, "{}", error);
                prop_assert!(error.column() <= text.chars().count() + 1);
            }
        }
    }
}
