//! Nothing that the binary has is left out of the documents.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::read;

/// Prints every global that stock Lua does not have, and the functions in those that are tables.
const GLOBALS: &str = r#"
local stock = {}
for name in ([[_G _VERSION assert error getmetatable ipairs next pairs pcall rawequal rawget rawlen rawset
  select setmetatable tonumber tostring type xpcall coroutine math string table utf8 os print
  require]]):gmatch("%S+") do stock[name] = true end
return { cast = function()
  for name, value in pairs(_G) do
    if not stock[name] then
      print(name)
      if type(value) == "table" then
        for field in pairs(value) do print(name .. "." .. field) end
      end
    end
  end
end }
"#;

fn sanctum(folder: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sanctum"));
    let output = command.args(arguments).current_dir(folder).env("COLUMNS", "100").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_types_have_every_global() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("globals.lua"), GLOBALS).unwrap();
    fs::write(folder.path().join("seed.ndjson"), "{}\n").unwrap();
    let globals = sanctum(folder.path(), &["cast", "globals.lua", "--seed", "seed.ndjson"]);
    let types = read(Path::new("docunomicon/lua/sanctum.lua"));
    let pages = read(Path::new("docunomicon/spells.md")) + &read(Path::new("docunomicon/library.md"));
    assert!(globals.lines().count() > 40, "{globals}");
    for name in globals.lines() {
        let forms = [format!("function {name}("), format!("\n{name} = ")];
        assert!(forms.iter().any(|form| types.contains(form)), "docunomicon/lua/sanctum.lua lacks `{name}`");
        assert!(pages.contains(name), "no page on spells names `{name}`");
    }
}

#[test]
fn the_types_load_as_lua() {
    let folder = tempfile::tempdir().unwrap();
    let text = read(Path::new("docunomicon/lua/sanctum.lua"));
    fs::write(folder.path().join("types.lua"), format!("return {{ cast = function()\n{text}\nend }}\n"))
        .unwrap();
    sanctum(folder.path(), &["check", "types.lua"]);
}

#[test]
fn the_types_and_the_page_have_every_member() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("bad.lua"), "return { cast = function() end, zzz = 1 }\n").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_sanctum"));
    let output = command.args(["check", "bad.lua"]).current_dir(folder.path()).output().unwrap();
    let report = String::from_utf8(output.stderr).unwrap();
    let (_, members) = report.split_once("a spell's members: ").unwrap();
    let types = read(Path::new("docunomicon/lua/sanctum.lua"));
    let page = read(Path::new("docunomicon/spells.md"));
    for member in members.trim().split(", ") {
        assert!(
            types.contains(&format!("---@field {member}")),
            "docunomicon/lua/sanctum.lua lacks `{member}`"
        );
        assert!(page.contains(&format!("| `{member}`")), "docunomicon/spells.md lacks `{member}`");
    }
}

#[test]
fn the_page_on_commands_has_every_flag() {
    let folder = tempfile::tempdir().unwrap();
    let page = read(Path::new("docunomicon/cli.md"));
    let help = sanctum(folder.path(), &["--help"]);
    let (_, commands) = help.split_once("Commands:\n").unwrap();
    // What begins further in goes on with the line before.
    let commands = commands.lines().take_while(|line| !line.is_empty());
    let commands = commands.filter_map(|line| line.strip_prefix("  ").filter(|line| !line.starts_with(' ')));
    let commands = commands.filter_map(|line| line.split_whitespace().next());
    for command in commands.filter(|command| *command != "help") {
        let described = page.contains(&format!("sanctum {command}")) || has_heading(&page, command);
        assert!(described, "cli.md does not tell of `{command}`");
        let help = sanctum(folder.path(), &[command, "--help"]);
        for flag in help.split_whitespace().filter(|word| word.starts_with("--") && word.len() > 2) {
            let flag = flag.trim_end_matches(|char: char| !char.is_ascii_alphanumeric());
            let described = flag == "--help" || page.contains(&format!("`{flag}"));
            assert!(described, "cli.md lacks `{flag}` of `{command}`");
        }
    }
}

/// Whether a heading names a command; some stand for several.
fn has_heading(page: &str, command: &str) -> bool {
    let mut headings = page.lines().filter(|line| line.starts_with('#'));
    headings.any(|heading| heading.split_whitespace().any(|word| word == command))
}
