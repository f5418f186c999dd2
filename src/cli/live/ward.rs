//! Wards: golden cases that have to pass before a spell runs in a server.
//!
//! They are looked for where `sanctum new` makes them: in the nearest folder `regression` on the way up from the spell's
//! file. Of the cases in it those count that run that very file; where none does there is nothing to pass.

use std::path::{Path, PathBuf};

use crate::cli::test::test_all;
use crate::engine::batch::{Item, Request};
use crate::regression::{self, Case, Checks, Verdict, report};
use crate::runeset::files::{self, SPELL_KINDS};
use crate::runeset::{self, Diagnostic};
use crate::spell::Spell;

/// Where cases are looked for.
const FOLDER: &str = "regression";

/// What the golden cases of a spell have against it; nothing where they need not pass.
pub fn objections(spell: &Spell) -> Vec<Diagnostic> {
    if !spell.ward {
        return Vec::new();
    }
    let Ok(file) = Path::new(&spell.path).canonicalize() else { return Vec::new() };
    let folder = file.ancestors().skip(1).map(|folder| folder.join(FOLDER)).find(|folder| folder.is_dir());
    let cases = folder.and_then(|folder| regression::find(&folder, &[]).ok()).unwrap_or_default();
    let cases: Vec<Case> = cases.into_iter().filter(|case| runs(case, &file)).collect();
    let tested = test_all(&cases, 1, Checks::default(), |_| {});
    let failed = tested.iter().filter(|tested| tested.verdict != Verdict::Passed);
    failed
        .map(|tested| {
            let name = &spell.name;
            let text = format!("spell `{name}` does not run: its golden case `{}` fails", tested.name);
            let problem = Diagnostic::error(text).in_file(&spell.path);
            let help = "mend the spell, or freeze the case anew: `sanctum freeze`";
            problem.attach("case", report::text(tested, false).trim_end().to_owned()).help(help)
        })
        .collect()
}

/// Whether a case runs that file.
fn runs(case: &Case, file: &Path) -> bool {
    let Ok(request) = case.request() else { return false };
    let is_it = |found: &PathBuf| found.canonicalize().is_ok_and(|found| found == file);
    files_of(&request).iter().any(is_it)
}

fn files_of(request: &Request) -> Vec<PathBuf> {
    let found = |item: &Item| files::find(&item.base, &item.path, SPELL_KINDS).unwrap_or_default();
    let named = request.spells.iter().flat_map(found);
    let runeset = request.runeset.as_ref();
    let runeset = runeset.and_then(|item| runeset::survey(&item.full(), &|_| None).ok());
    let listed = runeset.into_iter().flat_map(|(runeset, _)| runeset.spells).flat_map(|entry| entry.files);
    named.chain(listed).collect()
}
