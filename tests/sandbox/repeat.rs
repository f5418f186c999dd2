//! The same in every process, whatever the number of workers: order, addresses, limits.

use super::harness::{run, spell};
use sanctum::spell::Modules;

const SOURCE: &str = r#"
local things = {}
for i = 1, 50 do
  things[{}] = "table" .. i
  things[function() return i end] = "function" .. i
  things[coroutine.create(print)] = "coroutine" .. i
  things["key" .. i] = "string" .. i
  things[i * 1.5] = "float" .. i
end
for name, f in pairs(string) do things[f] = "string." .. name end
for _, f in ipairs{ print, pairs, next, pcall, tostring, emit, state, envelope, coroutine.wrap(print), string.gmatch("", "") } do
  things[f] = "builtin" .. _
end
things[(pairs{})] = "next"
things[(ipairs{})] = "ipairs"
things[(utf8.codes(""))] = "codes"
things[(utf8.codes("", true))] = "lax codes"
return {
  topic = "x", fault = "skip", limits = { instructions = 100000, memory = "1MiB" }, lane = "k", lanes = 3,
  cast = function(event)
    local order = {}
    for _, name in pairs(things) do order[#order + 1] = name end
    print(table.concat(order, " "))
    print({}, print, function() end, coroutine.create(print), coroutine.running(), state, (ipairs{}))
    print(string.format("%p %p %p %p %p", {}, print, "short", ("long"):rep(100), coroutine.running()))
    print(random(), random(100), math.random(), uuid(), os.time(), os.date("%c"), tostring(envelope))
    if event.n % 4 == 0 then local n = 0 pcall(function() while true do n = n + 1 print(n) end end) end
    if event.n % 4 == 1 then local t = {} for i = 1, 1e9 do t[i] = {} if i % 1000 == 0 then print(i) end end end
    if event.n % 4 == 2 then print(pcall(string.rep, "x", 1e9)) error({ event.n, order[1] }) end
    return { n = event.n, first = order[1] }
  end,
}"#;

fn output(workers: usize) -> String {
    let seeds: Vec<String> = (0..12).map(|n| format!(r#"{{"$topic":"x","n":{n},"k":{n}}}"#)).collect();
    let seeds: Vec<&str> = seeds.iter().map(String::as_str).collect();
    let record = run(vec![spell("spell", SOURCE, Modules::default()).expect("a spell")], &seeds, workers);
    let faults: String = record.faults.into_iter().map(|(_, text)| text).collect();
    format!("{}\n{faults}", record.out)
}

#[test]
fn two_processes_and_any_workers_agree() {
    const NAME: &str = "SANCTUM_REPEAT";
    if let Some(workers) = std::env::var_os(NAME) {
        let workers = workers.to_string_lossy().parse().expect("a number");
        print!("<<<{}>>>", output(workers));
        return;
    }
    let program = std::env::current_exe().expect("this program");
    let ask = |workers: usize| {
        let output = std::process::Command::new(&program)
            .args(["--exact", "repeat::two_processes_and_any_workers_agree", "--nocapture"])
            .env(NAME, workers.to_string())
            .output()
            .expect("this program runs");
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        let from = text.find("<<<").expect("a mark") + 3;
        text[from..text.rfind(">>>").expect("a mark")].to_owned()
    };
    let first = ask(1);
    assert!(first.contains("builtin1") && first.contains("more memory"), "{first}");
    for workers in [1, 2, 3] {
        let other = ask(workers);
        for (one, two) in first.lines().zip(other.lines()) {
            assert_eq!(one, two, "{workers} workers");
        }
        assert_eq!(first.len(), other.len());
    }
}
