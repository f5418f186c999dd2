//! Every format of the MessagePack specification, read and written.

use sanctum::event::msgpack::{self, Error, Reader, Token};

fn canonical(input: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    msgpack::canonicalize(input, &mut out).unwrap();
    out
}

fn filled(header: &[u8], len: usize, byte: u8) -> Vec<u8> {
    let mut bytes = header.to_vec();
    bytes.resize(header.len() + len, byte);
    bytes
}

/// Each form that is canonical is what the writer makes of its token, and stays as it is.
#[test]
fn canonical_forms_are_read_and_written() {
    let long = vec![b'x'; 70_000];
    let binary = vec![0xff_u8; 70_000];
    let mut forms: Vec<(Vec<u8>, Token<'_>)> = vec![
        (vec![0xc0], Token::Nil),
        (vec![0xc2], Token::Bool(false)),
        (vec![0xc3], Token::Bool(true)),
        (vec![0x00], Token::Int(0)),
        (vec![0x7f], Token::Int(127)),
        (vec![0xff], Token::Int(-1)),
        (vec![0xe0], Token::Int(-32)),
        (vec![0xcc, 0x80], Token::Int(128)),
        (vec![0xcc, 0xff], Token::Int(255)),
        (vec![0xcd, 0x01, 0x00], Token::Int(256)),
        (vec![0xcd, 0xff, 0xff], Token::Int(65_535)),
        (vec![0xce, 0, 1, 0, 0], Token::Int(65_536)),
        (vec![0xce, 0xff, 0xff, 0xff, 0xff], Token::Int(4_294_967_295)),
        (vec![0xcf, 0, 0, 0, 1, 0, 0, 0, 0], Token::Int(4_294_967_296)),
        (vec![0xcf, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], Token::Int(i64::MAX)),
        (vec![0xd0, 0xdf], Token::Int(-33)),
        (vec![0xd0, 0x80], Token::Int(-128)),
        (vec![0xd1, 0xff, 0x7f], Token::Int(-129)),
        (vec![0xd1, 0x80, 0x00], Token::Int(-32_768)),
        (vec![0xd2, 0xff, 0xff, 0x7f, 0xff], Token::Int(-32_769)),
        (vec![0xd2, 0x80, 0, 0, 0], Token::Int(-2_147_483_648)),
        (vec![0xd3, 0xff, 0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff], Token::Int(-2_147_483_649)),
        (vec![0xd3, 0x80, 0, 0, 0, 0, 0, 0, 0], Token::Int(i64::MIN)),
        (vec![0xcb, 0x3f, 0xf8, 0, 0, 0, 0, 0, 0], Token::Float(1.5)),
        (vec![0xcb, 0x80, 0, 0, 0, 0, 0, 0, 0], Token::Float(-0.0)),
        (vec![0xcb, 0x7f, 0xf0, 0, 0, 0, 0, 0, 0], Token::Float(f64::INFINITY)),
        (vec![0xa0], Token::Str(b"")),
        (filled(&[0xbf], 31, b'x'), Token::Str(&long[..31])),
        (filled(&[0xd9, 32], 32, b'x'), Token::Str(&long[..32])),
        (filled(&[0xd9, 255], 255, b'x'), Token::Str(&long[..255])),
        (filled(&[0xda, 1, 0], 256, b'x'), Token::Str(&long[..256])),
        (filled(&[0xda, 0xff, 0xff], 65_535, b'x'), Token::Str(&long[..65_535])),
        (filled(&[0xdb, 0, 1, 0, 0], 65_536, b'x'), Token::Str(&long[..65_536])),
        (filled(&[0xc4, 1], 1, 0xff), Token::Bin(&binary[..1])),
        (filled(&[0xc4, 255], 255, 0xff), Token::Bin(&binary[..255])),
        (filled(&[0xc5, 1, 0], 256, 0xff), Token::Bin(&binary[..256])),
        (filled(&[0xc6, 0, 1, 0, 0], 65_536, 0xff), Token::Bin(&binary[..65_536])),
        (filled(&[0xd4, 5], 1, b'x'), Token::Ext(5, &long[..1])),
        (filled(&[0xd5, 0xff], 2, b'x'), Token::Ext(-1, &long[..2])),
        (filled(&[0xd6, 0xff], 4, b'x'), Token::Ext(-1, &long[..4])),
        (filled(&[0xd7, 0x80], 8, b'x'), Token::Ext(-128, &long[..8])),
        (filled(&[0xd8, 0x7f], 16, b'x'), Token::Ext(127, &long[..16])),
        (vec![0xc7, 0, 5], Token::Ext(5, b"")),
        (filled(&[0xc7, 3, 5], 3, b'x'), Token::Ext(5, &long[..3])),
        (filled(&[0xc7, 255, 5], 255, b'x'), Token::Ext(5, &long[..255])),
        (filled(&[0xc8, 1, 0, 5], 256, b'x'), Token::Ext(5, &long[..256])),
        (filled(&[0xc9, 0, 1, 0, 0, 5], 65_536, b'x'), Token::Ext(5, &long[..65_536])),
    ];
    for (len, header) in [
        (0, vec![0x90]),
        (15, vec![0x9f]),
        (16, vec![0xdc, 0, 16]),
        (65_535, vec![0xdc, 0xff, 0xff]),
        (65_536, vec![0xdd, 0, 1, 0, 0]),
    ] {
        forms.push((filled(&header, len, 0xc0), Token::Array(len as u32)));
    }
    for (len, header) in [
        (0, vec![0x80]),
        (15, vec![0x8f]),
        (16, vec![0xde, 0, 16]),
        (65_535, vec![0xde, 0xff, 0xff]),
        (65_536, vec![0xdf, 0, 1, 0, 0]),
    ] {
        let mut map = header;
        for key in 0..len {
            msgpack::write_int(&mut map, key);
            map.push(0xc0);
        }
        forms.push((map, Token::Map(len as u32)));
    }
    for (bytes, expected) in forms {
        let head = &bytes[..bytes.len().min(12)];
        let mut reader = Reader::new(&bytes);
        let token = reader.token().unwrap();
        assert_eq!(token, expected, "{head:02x?}");
        let mut written = Vec::new();
        match token {
            Token::Nil => msgpack::write_nil(&mut written),
            Token::Bool(value) => msgpack::write_bool(&mut written, value),
            Token::Int(value) => msgpack::write_int(&mut written, value),
            Token::BigUint(_) => unreachable!(),
            Token::Float(value) => msgpack::write_float(&mut written, value),
            Token::Str(value) | Token::Bin(value) => msgpack::write_bytes(&mut written, value),
            Token::Ext(kind, value) => msgpack::write_ext(&mut written, kind, value),
            Token::Array(len) => msgpack::write_array_len(&mut written, len as usize),
            Token::Map(len) => msgpack::write_map_len(&mut written, len as usize),
        }
        assert_eq!(written, bytes[..reader.position()], "{head:02x?}");
        assert!(canonical(&bytes) == bytes, "{head:02x?}");
        assert_eq!(Reader::new(&bytes).raw().map(<[u8]>::len), Ok(bytes.len()), "{head:02x?}");
        for cut in [0, 1, bytes.len() / 2, bytes.len() - 1] {
            assert!(cut == bytes.len() || msgpack::canonicalize(&bytes[..cut], &mut Vec::new()).is_err());
        }
    }
}

#[test]
fn other_forms_become_canonical() {
    for (input, expected) in [
        // Integers that are longer than they need be, and signed forms of what is not negative.
        (vec![0xcc, 0x05], vec![0x05]),
        (vec![0xcd, 0x00, 0x05], vec![0x05]),
        (vec![0xce, 0, 0, 0, 5], vec![0x05]),
        (vec![0xcf, 0, 0, 0, 0, 0, 0, 0, 5], vec![0x05]),
        (vec![0xd0, 0x05], vec![0x05]),
        (vec![0xd0, 0xff], vec![0xff]),
        (vec![0xd1, 0x01, 0x2c], vec![0xcd, 0x01, 0x2c]),
        (vec![0xd2, 0, 1, 0, 0], vec![0xce, 0, 1, 0, 0]),
        (vec![0xd3, 0, 0, 0, 1, 0, 0, 0, 0], vec![0xcf, 0, 0, 0, 1, 0, 0, 0, 0]),
        (vec![0xd3, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], vec![0xff]),
        // 32-bit floats.
        (vec![0xca, 0x3f, 0xc0, 0, 0], vec![0xcb, 0x3f, 0xf8, 0, 0, 0, 0, 0, 0]),
        // Integers above the range.
        (vec![0xcf, 0x80, 0, 0, 0, 0, 0, 0, 0], vec![0xcb, 0x43, 0xe0, 0, 0, 0, 0, 0, 0]),
        // Strings: lengths, and which of the two types.
        (vec![0xd9, 1, b'a'], vec![0xa1, b'a']),
        (vec![0xda, 0, 1, b'a'], vec![0xa1, b'a']),
        (vec![0xdb, 0, 0, 0, 1, b'a'], vec![0xa1, b'a']),
        (vec![0xc4, 1, b'a'], vec![0xa1, b'a']),
        (vec![0xc4, 0], vec![0xa0]),
        (vec![0xa1, 0xff], vec![0xc4, 1, 0xff]),
        (vec![0xc5, 0, 1, 0xff], vec![0xc4, 1, 0xff]),
        (vec![0xc6, 0, 0, 0, 1, 0xff], vec![0xc4, 1, 0xff]),
        // Collections and extensions.
        (vec![0xdc, 0, 1, 0xc0], vec![0x91, 0xc0]),
        (vec![0xdd, 0, 0, 0, 1, 0xc0], vec![0x91, 0xc0]),
        (vec![0xde, 0, 1, 1, 2], vec![0x81, 1, 2]),
        (vec![0xdf, 0, 0, 0, 1, 1, 2], vec![0x81, 1, 2]),
        (vec![0xc7, 1, 5, 9], vec![0xd4, 5, 9]),
        (vec![0xc8, 0, 0, 5], vec![0xc7, 0, 5]),
        (vec![0xc9, 0, 0, 0, 2, 5, 9, 9], vec![0xd5, 5, 9, 9]),
        // Keys: order, whole floats, the last of equal ones.
        (vec![0x82, 0xa1, b'b', 1, 0xa1, b'a', 2], vec![0x82, 0xa1, b'a', 2, 0xa1, b'b', 1]),
        (vec![0x82, 0xa1, b'a', 1, 0x05, 2], vec![0x82, 0x05, 2, 0xa1, b'a', 1]),
        (vec![0x82, 0xa1, b'a', 1, 0xc3, 2], vec![0x82, 0xc3, 2, 0xa1, b'a', 1]),
        (vec![0x81, 0xcb, 0x3f, 0xf0, 0, 0, 0, 0, 0, 0, 7], vec![0x81, 1, 7]),
        (vec![0x82, 1, 6, 0xcb, 0x3f, 0xf0, 0, 0, 0, 0, 0, 0, 7], vec![0x81, 1, 7]),
        (vec![0x81, 0xcb, 0x80, 0, 0, 0, 0, 0, 0, 0, 7], vec![0x81, 0, 7]),
        (vec![0x83, 0xa1, b'a', 1, 0xa1, b'b', 2, 0xa1, b'a', 3], vec![0x82, 0xa1, b'a', 3, 0xa1, b'b', 2]),
        (vec![0x82, 0xff, 1, 0xe0, 2], vec![0x82, 0xe0, 2, 0xff, 1]),
    ] {
        let mut out = b"before".to_vec();
        let notes = msgpack::canonicalize(&input, &mut out).unwrap();
        assert_eq!(out[6..], expected, "{input:02x?}");
        assert_eq!(notes.big_uints, u32::from(input[0] == 0xcf && input[1] == 0x80), "{input:02x?}");
    }
}

#[test]
fn what_is_refused() {
    let deep = |levels: usize| [vec![0x91; levels], vec![0xc0]].concat();
    let deep_map = |levels: usize| [[0x81, 0x01].repeat(levels), vec![0xc0]].concat();
    assert_eq!(canonical(&deep(64)), deep(64));
    assert_eq!(canonical(&deep_map(64)), deep_map(64));
    for (input, expected) in [
        (vec![], Error::Truncated { at: 0 }),
        (vec![0xc1], Error::Reserved { at: 0 }),
        (vec![0x91, 0xc1], Error::Reserved { at: 1 }),
        (vec![0xc0, 0xc0], Error::Trailing { at: 1 }),
        (vec![0xcd, 0x01], Error::Truncated { at: 0 }),
        (vec![0xd9], Error::Truncated { at: 0 }),
        (vec![0xa3, b'a'], Error::Length { at: 0, len: 3, left: 1 }),
        (vec![0xdb, 0xff, 0xff, 0xff, 0xff], Error::Length { at: 0, len: 0xffff_ffff, left: 0 }),
        (vec![0xc6, 0xff, 0xff, 0xff, 0xff, 1], Error::Length { at: 0, len: 0xffff_ffff, left: 1 }),
        (vec![0xc9, 0xff, 0xff, 0xff, 0xff, 1, 2], Error::Length { at: 0, len: 0xffff_ffff, left: 1 }),
        (vec![0xdd, 0xff, 0xff, 0xff, 0xff, 0xc0], Error::Length { at: 0, len: 0xffff_ffff, left: 1 }),
        (vec![0xdf, 0x7f, 0xff, 0xff, 0xff, 1, 2], Error::Length { at: 0, len: 0x7fff_ffff, left: 2 }),
        (vec![0x82, 1, 2, 3], Error::Length { at: 0, len: 2, left: 3 }),
        (vec![0x81, 0xc0, 1], Error::Key { at: 1, kind: "nil" }),
        (vec![0x81, 0x90, 1], Error::Key { at: 1, kind: "an array" }),
        (vec![0x81, 0x80, 1], Error::Key { at: 1, kind: "a map" }),
        (vec![0x81, 0xd4, 0, 0, 1], Error::Key { at: 1, kind: "an extension value" }),
        (vec![0x81, 0xcb, 0x7f, 0xf8, 0, 0, 0, 0, 0, 0, 1], Error::NanKey { at: 1 }),
        (vec![0x81, 0xca, 0x7f, 0xc0, 0, 0, 1], Error::NanKey { at: 1 }),
        (deep(65), Error::TooDeep { at: 64 }),
        (deep_map(65), Error::TooDeep { at: 128 }),
        (vec![0x91; 100_000], Error::TooDeep { at: 64 }),
    ] {
        let mut out = b"before".to_vec();
        let error = msgpack::canonicalize(&input, &mut out).unwrap_err();
        assert_eq!(error, expected, "{:02x?}", &input[..input.len().min(12)]);
        assert_eq!(out, b"before", "nothing is written on an error");
        // Within a map that has to be rewritten, so on the other path, too.
        if !input.is_empty() && !matches!(error, Error::Trailing { .. } | Error::TooDeep { .. }) {
            let nested = [vec![0x82, 0xa1, b'b', 0xcc, 1, 0xa1, b'a'], input].concat();
            assert!(msgpack::canonicalize(&nested, &mut out).is_err());
            assert_eq!(out, b"before");
        }
    }
}

#[test]
fn a_stream_is_read_value_by_value() {
    let stream = [0x81, 0xa1, b'a', 1, 0xcc, 2, 0x91, 0xc3];
    let (mut at, mut out) = (0, Vec::new());
    let mut sizes = Vec::new();
    while at < stream.len() {
        let (read, _) = msgpack::canonicalize_prefix(&stream[at..], &mut out).unwrap();
        sizes.push(read);
        at += read;
    }
    assert_eq!(sizes, [4, 2, 2]);
    assert_eq!(out, [0x81, 0xa1, b'a', 1, 2, 0x91, 0xc3]);
}
