//! Every attack again, inside what could shield it: `pcall`, coroutines, handlers.

use super::bombs::BOMBS;
use super::harness::{LIMITS, all, attack, hostile};
use super::loops::LOOPS;
use super::memory::HOARDS;

/// A name, how `attack` is called, whether the attack's own error is swallowed, and what may follow.
const VESSELS: &[(&str, &str, bool)] = &[
    ("pcall, for ever", "while true do pcall(attack, event) end", true),
    ("xpcall with a loop", "xpcall(attack, function() while true do end end, event) while true do end", true),
    (
        "a coroutine",
        "local ok, e = coroutine.resume(coroutine.create(attack), event) if not ok then error(e, 0) end",
        false,
    ),
    ("coroutine.wrap", "return coroutine.wrap(attack)(event)", false),
    (
        "wrapped pcall",
        "local ok, e = coroutine.wrap(pcall)(attack, event) if not ok then error(e, 0) end",
        false,
    ),
    (
        "a coroutine of prepare",
        "local ok, e = coroutine.resume(co, event) coroutine.close(co) if not ok then error(e, 0) end",
        false,
    ),
    ("a coroutine, for ever", "while true do coroutine.resume(coroutine.create(attack), event) end", true),
    (
        "a coroutine with __close, closed now and later",
        "kept = kept or {}
         local c = coroutine.create(function()
           local a <close> = setmetatable({}, { __close = function() while true do end end })
           local b <close> = setmetatable({}, { __close = function() error('again') end })
           attack(event)
         end)
         for _, c in ipairs(kept) do coroutine.close(c) end
         kept[#kept + 1] = c
         coroutine.resume(c) coroutine.close(c)
         while true do pcall(coroutine.close, c) end",
        true,
    ),
    (
        "a sort in a gsub in a coroutine",
        "return coroutine.wrap(function()
           string.gsub('ab', '.', function() table.sort({ 1, 2 }, function() attack(event) end) end)
         end)()",
        false,
    ),
    (
        "a __close handler",
        "local x <close> = setmetatable({}, { __close = function() attack(event) end })",
        false,
    ),
    (
        "a __tostring",
        "print(setmetatable({}, { __tostring = function() attack(event) return '' end }))",
        false,
    ),
];

fn inside(vessel: usize) {
    let (vessel, call, swallows) = VESSELS[vessel];
    let attacks = [LOOPS, BOMBS, HOARDS].concat();
    // What only wall time ends is shown once, in `bombs.rs`.
    let counted = attacks.iter().filter(|(_, _, expected)| !expected.contains(&"time"));
    all(counted.map(|(name, body, expected)| {
        let name = format!("{name}, in {vessel}");
        // Once a coroutine is dead it cannot be resumed; a swallowed error makes the vessel loop.
        let mut kinds = expected.to_vec();
        if swallows {
            kinds.extend(["instructions", "time", "memory"]);
        } else {
            // A coroutine that dies of an error closes nothing by itself.
            kinds.push("error");
        }
        let mut second = kinds.clone();
        second.push("error");
        attack(&name, &hostile("", body, call, LIMITS), &kinds, &second)
    }));
}

macro_rules! vessels {
    ($($name:ident $index:literal),*) => { $(#[test] fn $name() { inside($index); })* };
}

vessels!(
    pcall_for_ever 0, xpcall_with_a_loop 1, a_coroutine 2, coroutine_wrap 3, wrapped_pcall 4, a_coroutine_of_prepare 5,
    a_coroutine_for_ever 6, a_coroutine_with_close 7, callbacks 8, a_close_handler 9, a_tostring 10
);
