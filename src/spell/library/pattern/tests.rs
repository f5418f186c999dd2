//! The matcher against stock Lua's own, and its bounds.

#![allow(clippy::unwrap_used)]

use mlua::{Lua, MultiValue, Value};
use proptest::prelude::*;

use super::*;

/// Captures of the first match, or the error, in words.
fn ours(subject: &[u8], pattern: &[u8]) -> Result<Option<Vec<String>>, String> {
    if is_plain(pattern) {
        let found = memchr::memmem::find(subject, pattern);
        return Ok(found.map(|at| vec![format!("{} {}", at + 1, at + pattern.len())]));
    }
    let anchored = pattern.first() == Some(&b'^');
    let mut matcher = Matcher::new(subject, &pattern[usize::from(anchored)..]);
    let mut work = 0u64;
    let mut charge = |units| {
        work += units;
        work < 100_000
    };
    let found = if anchored {
        matcher.match_at(0, &mut charge).map(|end| end.map(|end| (0, end)))
    } else {
        matcher.find(0, None, &mut charge)
    };
    let Some((start, end)) = found.map_err(|error| error.to_string())? else { return Ok(None) };
    let mut words = vec![format!("{} {}", start + 1, end)];
    for i in 0..matcher.level() {
        words.push(match matcher.capture(i, start, end).map_err(|error| error.to_string())? {
            Capture::Range(from, to) => format!("{:?}", &subject[from..to]),
            Capture::Position(at) => at.to_string(),
        });
    }
    Ok(Some(words))
}

fn stock(lua: &Lua, subject: &[u8], pattern: &[u8]) -> Result<Option<Vec<String>>, String> {
    let find: mlua::Function = lua.globals().get::<mlua::Table>("string").unwrap().get("find").unwrap();
    let args = (lua.create_string(subject).unwrap(), lua.create_string(pattern).unwrap(), 1);
    match find.call::<MultiValue>(args) {
        Err(mlua::Error::RuntimeError(text)) => Err(text.lines().next().unwrap_or_default().to_owned()),
        Err(error) => panic!("{error}"),
        Ok(values) => {
            let values = values.into_vec();
            if values[0].is_nil() {
                return Ok(None);
            }
            let word = |value: &Value| match value {
                Value::Integer(n) => n.to_string(),
                Value::String(s) => format!("{:?}", &*s.as_bytes()),
                other => panic!("{other:?}"),
            };
            let mut words = vec![format!("{} {}", word(&values[0]), word(&values[1]))];
            words.extend(values[2..].iter().map(word));
            Ok(Some(words))
        }
    }
}

fn same(lua: &Lua, subject: &[u8], pattern: &[u8]) {
    // Stock Lua may never come back from what we have to stop, so it goes second.
    let ours = ours(subject, pattern);
    if ours == Err(PatternError::Limit.to_string()) {
        return;
    }
    assert_eq!(ours, stock(lua, subject, pattern), "{:?} in {:?}", String::from_utf8_lossy(pattern), subject);
}

#[test]
fn agrees_with_stock_lua_on_chosen_patterns() {
    let lua = Lua::new();
    let subjects: &[&[u8]] = &[
        b"",
        b"a",
        b"hello world from Lua",
        b"  key = value  ",
        b"THE (quick) fox",
        b"f(a(b)c)d)",
        b"a\0b\0c",
        b"2024-01-31T10:20:30Z",
        b"x=1, y=22, z=333",
        b"]]--[[%a^$",
        b"\xff\xfe\x80abc\x7f\t\n\x0b",
    ];
    let patterns: &[&[u8]] = &[
        b"",
        b"^",
        b"$",
        b"^$",
        b"a",
        b".",
        b".-",
        b".*",
        b".+",
        b"^.*$",
        b"()",
        b"(.)",
        b"((.)(.))",
        b"(%w+)",
        b"^%s*(.-)%s*$",
        b"%f[%w]%w+",
        b"%f[%W]",
        b"%f",
        b"%f[",
        b"%f[a",
        b"%b()",
        b"%b",
        b"%b(",
        b"%bxx",
        b"%b\0c",
        b"(%w+)%s*=%s*(%w+)",
        b"(%d+)-(%d+)-(%d+)",
        b"(.)%1",
        b"(%1)",
        b"%1",
        b"%0",
        b"%9",
        b"()%1",
        b"[",
        b"[]",
        b"[]]",
        b"[^]]",
        b"[^",
        b"[^]",
        b"[%",
        b"[%]",
        b"[%]]",
        b"[a-]",
        b"[a-%%]",
        b"[a-z]+",
        b"[z-a]",
        b"[^%s]+",
        b"[%w_]+",
        b"[%W]",
        b"[%a-z]",
        b"[--0]",
        b"[a-",
        b"[a",
        b"%",
        b"a%",
        b"(",
        b")",
        b"(a",
        b"a)",
        b"(()",
        b"())",
        b"(((((((((((((((((((((((((((((((((a)",
        b"%a*",
        b"%a-",
        b"%a?",
        b"%a?b",
        b"x*",
        b"*",
        b"?",
        b"-",
        b"+",
        b"a**",
        b"%z",
        b"%Z+",
        b"%p",
        b"%P+",
        b"%c",
        b"%C",
        b"%g+",
        b"%G",
        b"%x+",
        b"%X",
        b"%l+",
        b"%u+",
        b"%L",
        b"%U",
        b"%S+",
        b"%.",
        b"%%",
        b"%(",
        b"$a",
        b"a$b",
        b"^^",
        b"a\0",
        b"\0",
        b"[\0]",
        b"[^\0]+",
        b"%s",
        b"([^=,]+)=([^=,]*)",
        b"(%(.-%))",
        b"\xff",
        b"[\x80-\xff]+",
        b"%\xff",
        b"(a*(.)%w(%s*))",
        b".-b",
        b"(.-)b(.+)",
    ];
    for subject in subjects {
        for pattern in patterns {
            same(&lua, subject, pattern);
        }
    }
}

#[test]
fn nesting_is_bounded_as_in_stock_lua() {
    let lua = Lua::new();
    for n in [50, 99, 100, 190, 198, 199, 200, 201, 300, 5000] {
        let subject = b"a".repeat(n);
        same(&lua, &subject, &b"a?".repeat(n));
        same(&lua, &subject, &[b"a?".repeat(n), b"b".to_vec()].concat()[..]);
        same(&lua, &subject, &b".-".repeat(n.min(210)));
        same(&lua, &subject, &b"a".repeat(n));
    }
}

#[test]
fn work_runs_out_on_a_pattern_bomb() {
    let subject = b"a".repeat(30_000);
    for pattern in [&b"a*a*a*a*b"[..], b".-.-.-.-b", b"(a*)*%1b$", b"%f[a]a*a*a*b", b"(.-)(.-)(.-)%3%2%1!"] {
        let mut total = 0;
        let mut matcher = Matcher::new(&subject, pattern);
        let result = matcher.find(0, None, &mut |units| {
            total += units;
            total < 100_000
        });
        assert_eq!(result, Err(PatternError::Limit));
        assert!(total < 110_000, "{total}");
    }
}

#[test]
fn long_runs_are_charged_by_length() {
    for (pattern, at_least) in [(&b".*"[..], 10_000), (b"%b()", 10_000), (b"x", 6_000), (b"[^x]*", 10_000)] {
        let mut subject = b"a".repeat(100_000);
        subject[0] = b'(';
        let mut total = 0;
        let mut charge = |units| {
            total += units;
            true
        };
        Matcher::new(&subject, pattern).find(0, None, &mut charge).unwrap();
        assert!(total >= at_least, "{total} for {pattern:?}");
    }
}

fn bytes_of(alphabet: &'static [u8], len: std::ops::Range<usize>) -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(prop::sample::select(alphabet), len)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn agrees_with_stock_lua(subject in bytes_of(b"aab(b)c1 ]\0\xc3-%", 0..24), pattern in bytes_of(b"aab(())[]^$%%.*+-?bf1dwsS\0]-", 0..12)) {
        thread_local!(static LUA: Lua = Lua::new());
        LUA.with(|lua| same(lua, &subject, &pattern));
    }

    #[test]
    fn agrees_on_built_patterns(
        subject in bytes_of(b"aabb()12 \0x", 0..30),
        parts in prop::collection::vec((prop::sample::select(&[
            "a", "b", ".", "%a", "%d", "%s", "%W", "[ab]", "[^a]", "[%d%s]", "[a-c]", "%(", "%b()", "%f[%w]", "%f[^a]", "(", ")", "()", "%1", "%2", "$",
        ][..]), prop::sample::select(&["", "", "*", "+", "-", "?"][..])), 0..8),
        anchored: bool,
    ) {
        let mut pattern = if anchored { "^".to_owned() } else { String::new() };
        parts.iter().for_each(|(item, suffix)| pattern.extend([*item, *suffix]));
        thread_local!(static LUA: Lua = Lua::new());
        LUA.with(|lua| same(lua, &subject, pattern.as_bytes()));
    }
}
