//! What a spell cannot reach.

use std::fs;

use super::harness::{answer, attack, cast, hostile, run, spell};
use sanctum::spell::Modules;

#[test]
fn what_is_absent() {
    for name in [
        "io",
        "package",
        "debug",
        "load",
        "loadfile",
        "loadstring",
        "dofile",
        "collectgarbage",
        "warn",
        "string.dump",
        "os.execute",
        "os.getenv",
        "os.exit",
        "os.remove",
        "os.rename",
        "os.tmpname",
        "os.setlocale",
        "os.clock",
        "os.difftime_",
        "newproxy",
        "jit",
        "ffi",
        "bit32",
        "setfenv",
        "getfenv",
        "module",
        "arg",
        "table.getn",
    ] {
        assert_eq!(answer(&format!("return {{ absent = {name} == nil }}")), r#"{"absent":true}"#, "{name}");
    }
}

#[test]
fn every_global_is_known() {
    let names = answer(
        "local names = {} for k, v in pairs(_G) do names[#names + 1] = k if type(v) == 'table' and v ~= _G then
           for f in pairs(v) do names[#names + 1] = k .. '.' .. tostring(f) end end end
         table.sort(names) return { names = table.concat(names, ' ') }",
    );
    for bad in ["dump", "popen", "open", "execute", "getenv", "loadlib", "sethook", "collect", "gc"] {
        assert!(!names.contains(bad), "{bad} in {names}");
    }
}

#[test]
fn time_is_that_of_the_input() {
    assert_eq!(answer("return { t = os.time(), n = time.now() }"), r#"{"n":1000,"t":1}"#);
}

#[test]
fn metatables_are_locked() {
    for value in ["''", "state", "envelope", "array{}", "sanctum.bucket('x')"] {
        let body = format!(
            "local m = getmetatable({value}) local ok = pcall(setmetatable, {value}, {{}})
             return {{ kind = type(m), ok = ok, index = type(m) == 'table' and type(m.__index) or 'none' }}"
        );
        assert_eq!(answer(&body), r#"{"index":"none","kind":"string","ok":false}"#, "{value}");
    }
    for value in ["state", "envelope"] {
        let body = format!(
            "return {{ r = pcall(rawset, {value}, 1, 1), g = pcall(rawget, {value}, 1), n = pcall(next, {value}), l = pcall(rawlen, {value}) }}"
        );
        assert_eq!(answer(&body), r#"{"g":false,"l":false,"n":false,"r":false}"#, "{value}");
    }
    assert_eq!(answer("return { ok = pcall(function() envelope.id = 1 end) }"), r#"{"ok":false}"#);
}

#[test]
fn an_envelope_is_of_its_cast() {
    let source = r#"local kept return { cast = function(event, envelope)
      local ok, e = pcall(function() return kept.id end)
      kept = kept or envelope
      return { ok = ok, later = tostring(e):find("earlier cast") ~= nil }
    end }"#;
    let record = cast(source, &["{}", "{}"]);
    assert_eq!(record.out, "{\"later\":false,\"ok\":false}\n{\"later\":true,\"ok\":false}\n");
}

#[test]
fn tampering_hurts_the_spell_alone() {
    let prelude = r#"
      for _, name in ipairs{ "pcall", "error", "tostring", "next", "pairs", "ipairs", "type", "print", "select", "setmetatable" } do
        _G[name] = function() return nil end
      end
      local s, t, c, m = string, table, coroutine, math
      s.rep = nil s.format = function() return s end s.gsub = s s.find = 1
      t.concat = nil t.sort = "x" t.unpack = nil
      c.wrap = nil m.random = nil
      state, runes, json, emit, null, array, envelope, sanctum, xpcall = nil
      _G.string, _G.table, _G.coroutine, _G._G = nil
    "#;
    let prelude = prelude.replace("c.wrap = nil", "c.create = c.create c.wrap = nil");
    let source = hostile("", "while true do end", "return attack(event)", "{ instructions = 100000 }");
    let source = source.replace("local function attack(event)", &format!("local error, coroutine = error, coroutine\nlocal function tamper() {prelude} end\nlocal function attack(event)\ntamper()"));
    attack("tampering", &source, &["instructions", "error"], &["instructions", "error"]).expect("isolated");
    for body in [
        "string.rep = nil return { s = ('x'):len() }",
        "_ENV = {} return {}",
        "_ENV = nil return {}",
        "local _ENV = setmetatable({}, { __index = function() error('no') end }) return {}",
        "setmetatable(_G, { __index = function() error('no') end, __newindex = function() error('no') end }) return {}",
        "_G.tostring = nil _G.next = nil print({ 1 } ~= nil) return { n = 1 }",
        "string.format = nil string.gsub = nil log.info('x') return {}",
    ] {
        let record =
            cast(&format!("return {{ fault = 'skip', cast = function(event) {body} end }}"), &["{}", "{}"]);
        assert!(record.kinds().is_empty(), "{body}: {:?}", record.faults);
    }
}

#[test]
fn globals_are_not_shared() {
    let one = "return { topic = 'x', cast = function() secret = 'mine' string.secret = 'mine' math.pi = 3 return { ['$topic'] = 'y' } end }";
    let two = "return { topic = 'y', cast = function() return { s = tostring(secret), t = tostring(string.secret), pi = math.pi > 3.1 } end }";
    let spells = vec![
        spell("one", one, Modules::default()).expect("one"),
        spell("two", two, Modules::default()).expect("two"),
    ];
    let record = run(spells, &[r#"{"$topic":"x"}"#; 2], 1);
    assert_eq!(record.out, "{\"pi\":true,\"s\":\"nil\",\"t\":\"nil\"}\n".repeat(2));
}

#[test]
fn modules_stay_in_the_folder() {
    let place = tempfile::tempdir().expect("a folder");
    let folder = place.path().join("spell");
    fs::create_dir_all(folder.join("sub")).expect("a folder");
    fs::write(place.path().join("outside.lua"), "return 'outside'").expect("a file");
    fs::write(folder.join("inside.lua"), "return 'inside'").expect("a file");
    fs::write(folder.join("code.lua"), b"\x1bLua\x55\x00\x19\x93\r\n\x1a\n").expect("a file");
    fs::write(folder.join("loop.lua"), "while true do end").expect("a file");
    fs::write(folder.join("hungry.lua"), "local t = {} while true do t[#t + 1] = {} end").expect("a file");
    fs::write(folder.join("deep.lua"), format!("return {}1{}", "(".repeat(10000), ")".repeat(10000)))
        .expect("a file");
    for i in 0..100 {
        fs::write(folder.join(format!("m{i}.lua")), format!("return require('m{}')", i + 1)).expect("a file");
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::symlink;
        symlink(place.path().join("outside.lua"), folder.join("link.lua")).expect("a link");
        symlink(place.path(), folder.join("up")).expect("a link");
        symlink("/etc/passwd", folder.join("passwd.lua")).expect("a link");
        symlink("/dev/zero", folder.join("zero.lua")).expect("a link");
    }
    let absolute = place.path().join("outside").to_string_lossy().into_owned();
    let ask = |name: &str| {
        let source = format!(
            "return {{ limits = {{ memory = '4MiB', instructions = 1000000 }}, cast = function() local ok, m = pcall(require, '{name}') return {{ ok = ok, m = tostring(m) }} end }}"
        );
        run(vec![spell("spell", &source, Modules::folder(&folder)).expect("a spell")], &["{}"], 1)
    };
    assert_eq!(ask("inside").out, "{\"m\":\"inside\",\"ok\":true}\n");
    for name in [
        "../outside",
        "..",
        "...outside",
        "/etc/passwd",
        &absolute,
        "link",
        "up.outside",
        "passwd",
        "zero",
        "sub/../../outside",
        "sub",
        "",
        ".",
        "\\0",
        "inside.lua\\0",
        "inside\\0",
        "..\\\\outside",
        "code",
        "deep",
        "m0",
        "nul",
        "~",
        "file:///etc/passwd",
        "$HOME",
    ] {
        let record = ask(name);
        assert!(record.out.contains("\"ok\":false") && record.faults.is_empty(), "{name}: {record:?}");
        assert!(!record.out.contains("root:"), "{name}");
    }
    assert_eq!(ask("loop").kinds(), ["instructions"]);
    assert_eq!(ask("hungry").out.matches("memory").count(), 1);
}

#[test]
fn bytecode_is_refused_everywhere() {
    let Err(problems) = spell("evil", "\u{1b}Lua\u{55}\0", Modules::default()) else {
        panic!("bytecode was loaded")
    };
    assert!(problems[0].message.contains("binary"), "{}", problems[0].message);
}

#[test]
fn a_spell_that_does_not_load_ends() {
    for (source, kind) in [
        ("while true do end", "instructions"),
        ("pcall(function() while true do end end) return { cast = print }", "instructions"),
        (
            "coroutine.resume(coroutine.create(function() while true do end end)) return { cast = print }",
            "instructions",
        ),
        ("local t = {} while true do t[#t + 1] = {} end", "memory"),
        ("return setmetatable({}, { __index = function() while true do end end })", "none"),
        ("local t = {} t.t = t return { cast = print, filter = t }", "none"),
        ("error(setmetatable({}, { __tostring = function() while true do end end }))", "error"),
        ("while true do print('x') end", "print_bytes"),
        ("state.x = 1 return { cast = print }", "error"),
        ("emit{} return { cast = print }", "error"),
    ] {
        let Err(problems) = spell("evil", source, Modules::default()) else { panic!("{source} was loaded") };
        let found = problems[0].fields.get("kind").and_then(|kind| kind.as_str()).unwrap_or("none");
        assert_eq!(found, kind, "{source}: {}", problems[0].message);
    }
}

#[test]
fn hooks_are_under_the_limits() {
    for (hook, body) in
        [("prepare", "while true do end"), ("unprepare", "pcall(function() while true do end end)")]
    {
        let source = format!(
            "return {{ limits = {{ instructions = 100000 }}, cast = function() end, {hook} = function() {body} end }}"
        );
        assert_eq!(cast(&source, &["{}"]).kinds(), ["instructions"], "{hook}");
    }
}
