//! Every verb, twice: on a folder, and on an equal one that is served.

use std::path::Path;
use std::process::Command;

use super::server::Server;
use super::{Ran, run};

/// Counts, keeps, produces and fails.
const SUM: &str = "return { topic = 'n', fault = 'quarantine', cast = function(event)\n\
    if event.n < 0 then error('negative') end\n\
    state.total = (state.total or 0) + event.n\n\
    return { ['$topic'] = 'sum', total = state.total } end }";
/// The same, unlike its past.
const OTHER: &str = "return { name = 'sum', topic = 'n', cast = function(event) print(event.n) end }";
const KINDS: &str = "return { topic = 'n', seed = { count = 0 },\n\
    fold = function(state, event) state.count = state.count + 1 return state end }";

/// Verbs that do not open a log, or that a server keeps from it: those are told apart below.
const ELSEWHERE: [&str; 12] = [
    "cast",
    "test",
    "check",
    "new",
    "bundle",
    "serve",
    "bind",
    "unbind",
    "token",
    "repair",
    "completions",
    "help",
];

const ID: &str = "00000000-0000-7000-8000-0000000000";
const HELLO: &str = "ea8f163db38682925e4491c5e58d4bb3506ef8c14eb78a86e908c5624a67200f";
const NOTHING: &str = "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262";

/// Commands in their order, with what they read. `ID` is completed by two digits.
const STEPS: &[(&str, &str)] = &[
    ("append n {\"n\":1} --id ID01 --time 1000 --stream s --tag a=b --expect none", ""),
    ("append n {\"n\":1} --id ID01 --time 1000 --stream s --tag a=b --expect none", ""),
    ("append n {\"n\":2} --id ID01 --time 1000 --stream s", ""),
    ("append n {\"n\":2} --id ID02 --time 1000 --stream s --expect 7", ""),
    ("append n {\"n\":2} --id ID02 --time 1000 --stream s --expect 0 --causation ID01", ""),
    ("append n {\"n\":2} --id ID03 --time 1000 --causation ID99", ""),
    ("append n {\"n\":2} --id ID03 --time 1000 --unless-topic n", ""),
    ("append n {\"n\":2} --id ID03 --time 1000 --unless-topic n --unless-after 900", ""),
    ("append n {\"n\":2} --id ID03 --time 1000 --unless-tag a=c --unless-stream s", ""),
    ("append n {} --id ID04 --ttl ephemeral", ""),
    ("append sanctum.fault {}", ""),
    ("append n {\"$topic\":\"sanctum.fault\"}", ""),
    ("append n {\"n\":1", ""),
    (
        "append n - --time 2000",
        "{\"$id\":\"ID05\",\"n\":1}\n{\"$id\":\"ID06\",\"$ttl\":\"last:1\"}\n{\"$id\":\"ID05\",\"n\":2}\n{\"$id\":\"ID07\"}\n",
    ),
    ("append n - --time 2000 --atomic", "{\"$id\":\"ID08\"}\n{\"$id\":\"ID05\",\"n\":3}\n"),
    (
        "append n - --time 2000 --atomic --durability os",
        "{\"$id\":\"ID09\"}\n{\"$id\":\"ID10\",\"$content\":\"blake3:ab\"}\n",
    ),
    ("append n - --time 2000", "{\"$id\":\"ID11\"}\nnonsense\n"),
    (
        "import",
        "{\"id\":\"ID12\",\"time\":5,\"topic\":\"n\",\"data\":{\"n\":3}}\n{\"id\":\"ID05\",\"time\":5,\"data\":{}}\n",
    ),
    ("import -", "{\"id\":\"ID13\",\"time\":5,\"stream\":\"x\",\"hops\":2,\"data\":{\"n\":3}}\n"),
    ("import -", "{\"id\":\"ID13\",\"time\":5,\"stream\":\"x\",\"hops\":2,\"data\":{\"n\":3}}\n{\"n\":1}\n"),
    ("export", ""),
    ("cat --last 3", ""),
    ("cat --topic n --format json", ""),
    ("cat --cursor mine --limit 2", ""),
    ("cat --cursor mine --limit 2", ""),
    ("cat --cursor mine", ""),
    ("cat --cursor mine", ""),
    ("cat --follow --after 2 --limit 3", ""),
    ("cat --follow --cursor other --limit 2", ""),
    ("cat --follow --cursor other --limit 1", ""),
    ("tac --limit 3", ""),
    ("get ID01", ""),
    ("get ID99", ""),
    ("get 900", ""),
    ("first --topic n", ""),
    ("last", ""),
    ("next 0", ""),
    ("prev 3", ""),
    ("topics", ""),
    ("streams", ""),
    ("trace ID02", ""),
    ("stat", ""),
    ("spells", ""),
    ("spells rewind sum --to 3", ""),
    ("spells rewind sum --to 2001-01-01 --fresh", ""),
    ("spells rewind sum --to 9000", ""),
    ("spells rewind sum --to soon", ""),
    ("spells rewind nobody --to 0", ""),
    ("spells", ""),
    ("state get sum total", ""),
    ("state set sum total 40 --force", ""),
    ("state set sum/box [1,\"a\"] {\"x\":[1,2]} --force", ""),
    ("state set sum total 41", ""),
    ("state set nobody total 41 --force", ""),
    ("state get sum total", ""),
    ("state get nobody total", ""),
    ("state range sum", ""),
    ("state range sum/box --format json", ""),
    ("state delete sum total --force", ""),
    ("state delete sum total --force", ""),
    ("state export sum", ""),
    ("faults", ""),
    ("faults show 3", ""),
    ("faults show 0", ""),
    ("faults release 3", ""),
    ("faults", ""),
    ("faults --all", ""),
    ("faults discard --all --spell sum", ""),
    ("faults discard 0", ""),
    ("faults --all", ""),
    ("project kinds", ""),
    ("project kinds --at 3", ""),
    ("project kinds --cached", ""),
    ("replay sum.lua", ""),
    ("replay other.lua --limit 2", ""),
    ("profile sum.lua --format folded", ""),
    ("freeze --from-log --topic n --last 3 --spell sum.lua case", ""),
    ("blob put", "hello"),
    ("blob put missing", ""),
    ("blob get HELLO", ""),
    ("blob get NOTHING", ""),
    ("compact --dry-run", ""),
    ("compact --keep-contents --all", ""),
    ("compact --before 2 --keep-contents", ""),
    ("append n {} --id ID14 --time 1 --content HELLO", ""),
    ("compact", ""),
    ("backup copy", ""),
    ("verify", ""),
    ("cat", ""),
    ("append n {\"n\":1} --plane elsewhere --id ID01 --time 1", ""),
    ("cat --plane elsewhere", ""),
    ("cat --plane nowhere", ""),
];

fn words(text: &str) -> String {
    text.replace("ID", ID).replace("HELLO", HELLO).replace("NOTHING", NOTHING)
}

/// A log with a past.
fn grown(folder: &Path) {
    let files = [
        ("sum.lua", SUM),
        ("other.lua", OTHER),
        ("projections/kinds.lua", KINDS),
        ("n.ndjson", "{\"$time\":1,\"n\":1}\n{\"$time\":2,\"n\":-2}\n{\"$time\":3,\"n\":3}\n"),
    ];
    std::fs::create_dir_all(folder.join("projections")).unwrap();
    for (path, text) in files {
        std::fs::write(folder.join(path), text).unwrap();
    }
    let ran = run(folder, &["cast", "sum.lua", "--seed", "n.ndjson", "--topic", "n"], "");
    assert!(ran.stdout.is_empty() && ran.code.is_some(), "{ran:?}");
    assert_eq!(run(folder, &["blob", "put"], "of no use").code, Some(0));
}

fn copy(from: &Path, to: &Path) {
    let from = from.join(".");
    assert!(Command::new("cp").arg("-r").arg(from).arg(to).status().unwrap().success());
}

/// What a command says.
fn told(folder: &Path, step: &str, stdin: &str) -> Ran {
    let step = words(step);
    let arguments: Vec<&str> = step.split_whitespace().collect();
    let mut ran = run(folder, &arguments, &words(stdin));
    if step == "verify" {
        // It counts the room, too, that whoever writes has taken beforehand.
        let bytes = ran.stdout.split("\"bytes\":").nth(1).and_then(|rest| rest.split(',').next());
        let bytes = bytes.map(|bytes| format!("\"bytes\":{bytes},")).unwrap_or_default();
        ran.stdout = ran.stdout.replace(&bytes, "");
    }
    ran
}

#[test]
fn every_verb_says_the_same_beside_a_server() {
    let alone = tempfile::tempdir().unwrap();
    grown(alone.path());
    let served = tempfile::tempdir().unwrap();
    copy(alone.path(), served.path());
    let server = Server::start_in(served, &["--durability", "commit"]);
    for (step, stdin) in STEPS {
        let expected = told(alone.path(), step, stdin);
        let found = told(server.folder.path(), step, stdin);
        assert_eq!(found, expected, "sanctum {step}");
    }
    let served = server.stop();
    for step in ["export", "state export sum", "faults --all", "spells", "verify"] {
        assert_eq!(told(served.path(), step, ""), told(alone.path(), step, ""), "sanctum {step}");
    }
}

#[test]
fn no_verb_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let mut verbs = Vec::new();
    for verb in listed(folder.path(), &[]) {
        let inner = listed(folder.path(), &[&verb]);
        verbs.extend(inner.iter().filter(|inner| *inner != "help").map(|inner| format!("{verb} {inner}")));
        if inner.is_empty() {
            verbs.push(verb);
        }
    }
    assert!(verbs.len() > 35, "{verbs:?}");
    for verb in verbs {
        let is_tried = STEPS.iter().any(|(step, _)| is_of(step, &verb));
        let is_elsewhere = ELSEWHERE.iter().any(|known| is_of(&verb, known));
        assert!(is_tried || is_elsewhere, "`sanctum {verb}` is not tried beside a server");
    }
}

/// Whether a command line begins with a verb.
fn is_of(line: &str, verb: &str) -> bool {
    format!("{line} ").starts_with(&format!("{verb} "))
}

/// The commands that a help lists.
fn listed(folder: &Path, verb: &[&str]) -> Vec<String> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sanctum"));
    let output = command.args(verb).arg("-h").current_dir(folder).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let lines =
        text.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let names = lines.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    names.filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}

#[test]
fn what_needs_the_log_for_itself_says_who_has_it() {
    let folder = tempfile::tempdir().unwrap();
    grown(folder.path());
    let server = Server::start_in(folder, &[]);
    let folder = server.folder.path();
    for (step, advice) in [
        ("serve", "stop it first, or serve another folder by `--data DIR`"),
        (
            "cast sum.lua --seed n.ndjson",
            "have it run the spells, as in `sanctum serve SPELL`, or stop it first",
        ),
        ("repair", "stop it first; `sanctum verify` can be run beside it"),
        ("repair --apply", "stop it first; `sanctum verify` can be run beside it"),
    ] {
        let ran = told(folder, step, "");
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""), "{step}: {ran:?}");
        let start = "error: `data/planes/main` is served: process ";
        let socket = folder.canonicalize().unwrap().join("data/sanctum.sock");
        let end = format!(", on the socket `{}`; {advice}\n", socket.display());
        let is_told = ran.stderr.starts_with(start) && ran.stderr.ends_with(&end);
        assert!(is_told && ran.stderr.contains(", `sanctum serve` since 20"), "{step}: {}", ran.stderr);
    }
    assert_eq!(server.client().get("/readyz").status, 200, "the server goes on");
}

#[test]
fn a_server_is_found_wherever_its_socket_is() {
    let sockets = tempfile::tempdir().unwrap();
    let path = sockets.path().join("here.sock");
    let server = Server::start(&["--socket", path.to_str().unwrap(), "--plane", "other"]);
    let folder = server.folder.path();
    assert_eq!(run(folder, &["append", "a", "{}", "--plane", "other"], "").code, Some(0));
    assert_eq!(run(folder, &["topics", "--plane", "other"], "").stdout, "{\"topic\":\"a\",\"events\":1}\n");
    // What it does not serve is nobody's.
    assert_eq!(run(folder, &["append", "b", "{}"], "").code, Some(0));
    assert_eq!(run(folder, &["topics"], "").stdout, "{\"topic\":\"b\",\"events\":1}\n");
    // A copy of the folder is another log, whatever its lock file says.
    let copied = tempfile::tempdir().unwrap();
    std::fs::remove_file(folder.join("data/sanctum.sock")).unwrap_or_default();
    copy(folder, copied.path());
    assert_eq!(run(copied.path(), &["append", "a", "{}", "--plane", "other"], "").code, Some(0));
    assert_eq!(run(folder, &["topics", "--plane", "other"], "").stdout, "{\"topic\":\"a\",\"events\":1}\n");
}

#[test]
fn content_that_was_put_since_the_server_started_stays() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(run(folder.path(), &["append", "a", "{}"], "").code, Some(0));
    assert_eq!(run(folder.path(), &["blob", "put"], "of no use").code, Some(0));
    let server = Server::start_in(folder, &[]);
    let folder = server.folder.path();
    assert_eq!(run(folder, &["blob", "put"], "hello").stdout.trim_end(), HELLO);
    let ran = run(folder, &["compact"], "");
    assert!(ran.stdout.contains("\"contents_removed\":1,"), "{ran:?}");
    assert_eq!(run(folder, &["blob", "get", HELLO], "").stdout, "hello");
}
