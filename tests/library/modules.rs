//! require.

use std::fs;
use std::sync::Arc;

use sanctum::spell::Modules;

use super::harness::*;

fn memory(sources: &[(&str, &str)]) -> Modules {
    Modules::memory(sources.iter().map(|(name, source)| (name.to_string(), Arc::from(source.as_bytes()))))
}

fn printed(source: &str, modules: Modules) -> String {
    let run = run_lane(&mut open(&spell(source, modules)), &events(&["{}"]));
    assert_eq!(run.faults, [None]);
    run.prints
}

#[test]
fn a_module_runs_once() {
    let modules = memory(&[
        ("shop.tax", "print('loading', ...) return { rate = 0.2 }"),
        ("plain", "x = 1"),
        ("no", "return false"),
    ]);
    let source = "local tax = require('shop.tax') local t2 = require 'shop.tax'
        return { cast = function() print(tax == t2, tax.rate, require('plain'), x, require('no')) end }";
    assert_eq!(printed(source, modules), "loading\tshop.tax\ntrue\t0.2\ttrue\t1\tfalse\n");
}

#[test]
fn circles_are_named() {
    let modules =
        memory(&[("a", "return require('b')"), ("b", "return require('c')"), ("c", "return require('a')")]);
    let text = refusal("require('a') return {}", modules);
    assert!(text.contains("modules in a circle: `a` requires `b` requires `c` requires `a`"), "{text}");
    assert!(text.contains("c.lua:1"), "{text}");
}

#[test]
fn errors_point_into_the_module() {
    let text = refusal("local m = require('m') return {}", memory(&[("m", "local x = 1\nlocal y = = 2")]));
    assert!(text.contains("m.lua") && text.contains('2'), "{text}");
    let text = refusal("local m = require('m') return {}", memory(&[("m", "local x = 1\nerror('boom')")]));
    assert!(text.contains("boom"), "{text}");
    // A module that failed may be tried again, and is not in a circle with itself.
    let modules = memory(&[("m", "error('boom', 0)")]);
    let source = "print(pcall(require, 'm')) print(pcall(require, 'm')) return { cast = function() end }";
    assert_eq!(printed(source, modules), "false\tboom\nfalse\tboom\n");
}

#[test]
fn names_stay_inside() {
    for name in ["../x", "a/b", "/etc/passwd", "a..b", ".a", "", "a b", "C:x"] {
        let text = refusal(&format!("require('{name}') return {{}}"), memory(&[]));
        assert!(text.contains("is not a module's name"), "{name}: {text}");
    }
    assert!(refusal("require('x') return {}", Modules::default()).contains("no folder to look in"));
    assert!(refusal("require('\\x1bLua') return {}", memory(&[])).contains("is not a module's name"));
    let modules = memory(&[("code", "\x1bLua")]);
    assert!(!refusal("require('code') return {}", modules).is_empty());
}

#[test]
fn a_folder_is_a_boundary() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path().join("spells");
    fs::create_dir_all(folder.join("lib/deep")).unwrap();
    fs::write(scratch.path().join("secret.lua"), "return 'secret'").unwrap();
    fs::write(folder.join("lib/one.lua"), "return 'one'").unwrap();
    fs::write(folder.join("lib/deep/init.lua"), "return 'deep'").unwrap();
    let source = "local a, b = require('lib.one'), require('lib.deep')
        return { cast = function() print(a, b) end }";
    let modules = Modules::folder(&folder);
    assert_eq!(printed(source, modules.clone()), "one\tdeep\n");
    assert_eq!(modules.found().keys().collect::<Vec<_>>(), ["lib.deep", "lib.one"]);
    // What was read once stays, however the file changes.
    fs::write(folder.join("lib/one.lua"), "return 'two'").unwrap();
    assert_eq!(printed(source, modules), "one\tdeep\n");
    let text = refusal("require('lib.none') return {}", Modules::folder(&folder));
    assert!(text.contains("lib/none.lua and ") && text.contains("lib/none/init.lua"), "{text}");
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(scratch.path().join("secret.lua"), folder.join("link.lua")).unwrap();
        let text = refusal("require('link') return {}", Modules::folder(&folder));
        assert!(text.contains("outside the spell's folder"), "{text}");
    }
    let text = refusal("require('lib') return {}", Modules::folder(&folder));
    assert!(text.contains("not found"), "{text}");
}

#[test]
fn limits_hold_in_modules() {
    let text = refusal("require('m') return {}", memory(&[("m", "while true do end")]));
    assert!(text.contains("more instructions"), "{text}");
    let yields = memory(&[("m", "coroutine.yield(1)")]);
    let text =
        refusal("local co = coroutine.wrap(function() return require('m') end) co() return {}", yields);
    assert!(text.contains("yield"), "{text}");
}
