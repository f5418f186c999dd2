//! What a runeset has a server do beside running spells: programs, files, standard output.

use super::plane::parse_name;
use crate::router::Pattern;
use crate::runeset::{Diagnostic, Runeset};
use crate::server::Resident;
use crate::server::exec::{Command, Commands, Programs};
use crate::server::printer::Printer;
use crate::server::tail::Tails;

/// See the module.
pub struct Services {
    /// The programs, for requests.
    pub commands: Commands,
    printer: Option<Printer>,
    tails: Tails,
}

impl Services {
    /// What a runeset says, or all that is wrong with it.
    pub fn of(runeset: &Runeset) -> Result<Self, Vec<Diagnostic>> {
        let mut problems = Vec::new();
        let mut commands = Vec::new();
        for (index, exec) in runeset.exec.iter().enumerate() {
            let index = index.to_string();
            check_plane(runeset, &["exec", &index, "plane"], &exec.plane, &mut problems);
            let input = patterns(runeset, &["exec", &index, "input"], &exec.input, &mut problems);
            let folder = match runeset.base.as_os_str().is_empty() {
                true => ".".into(),
                false => runeset.base.clone(),
            };
            commands.push(Command { exec: exec.clone(), input, folder });
        }
        for (index, tailed) in runeset.tails.iter().enumerate() {
            check_plane(runeset, &["file", &index.to_string(), "plane"], &tailed.plane, &mut problems);
        }
        if let Some(http) = &runeset.http {
            check_plane(runeset, &["http", "plane"], &http.plane, &mut problems);
        }
        let printed = patterns(runeset, &["stdout"], &runeset.stdout, &mut problems);
        let tailed = runeset.tails.iter().map(|tailed| (tailed.clone(), runeset.base.join(&tailed.path)));
        let services = Self {
            commands: Commands::new(commands),
            printer: (!printed.is_empty()).then(|| Printer::new(printed)),
            tails: Tails::new(tailed.collect()),
        };
        if problems.is_empty() { Ok(services) } else { Err(problems) }
    }

    /// All that runs, around what does already: what prints ends last, what feeds the log begins last and ends first.
    pub fn around(self, spells: Option<Box<dyn Resident>>) -> Vec<Box<dyn Resident>> {
        let programs = Programs::new(&self.commands);
        let printer = self.printer.map(|printer| Box::new(printer) as Box<dyn Resident>);
        let feeding: [Box<dyn Resident>; 2] = [Box::new(self.tails), Box::new(programs)];
        printer.into_iter().chain(spells).chain(feeding).collect()
    }
}

fn patterns(
    runeset: &Runeset,
    path: &[&str],
    texts: &[String],
    problems: &mut Vec<Diagnostic>,
) -> Vec<Pattern> {
    let mut patterns = Vec::new();
    for (index, text) in texts.iter().enumerate() {
        match Pattern::parse(text) {
            Ok(pattern) => patterns.push(pattern),
            Err(error) => {
                let index = index.to_string();
                let path: Vec<&str> = path.iter().copied().chain([index.as_str()]).collect();
                problems.push(runeset.diagnostic(&path, error.to_string()));
            }
        }
    }
    patterns
}

fn check_plane(runeset: &Runeset, path: &[&str], plane: &str, problems: &mut Vec<Diagnostic>) {
    if let Err(why) = parse_name(plane) {
        problems.push(runeset.diagnostic(path, why));
    }
}
