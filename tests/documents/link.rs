//! Links between documents: the file is there, and so is the heading.

use std::path::Path;

use crate::{block, documents, read, root};

/// The links of a document that lead nowhere.
pub fn problems(document: &Path, text: &str) -> Vec<String> {
    let (_, prose) = block::split(text);
    let folder = document.parent().unwrap_or(Path::new(""));
    let mut problems = Vec::new();
    for (line, target) in targets(&prose) {
        if target.contains("://") || target.starts_with("mailto:") {
            continue;
        }
        let (file, anchor) = target.split_once('#').unwrap_or((&target, ""));
        let path = if file.is_empty() { document.to_owned() } else { folder.join(file) };
        if !root().join(&path).exists() {
            problems.push(format!("{}:{line}: no `{file}`", document.display()));
        } else if !anchor.is_empty() && !anchors(&read(&path)).iter().any(|known| known == anchor) {
            problems.push(format!("{}:{line}: no heading `#{anchor}`", document.display()));
        }
    }
    problems
}

/// What `[...](target)` names, with its line.
pub fn targets(prose: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (index, line) in prose.lines().enumerate() {
        for (at, _) in line.match_indices("](") {
            if let Some((target, _)) = line[at + 2..].split_once(')') {
                found.push((index + 1, target.to_owned()));
            }
        }
    }
    found
}

/// The anchors of a document's headings, as they are made on code forges.
fn anchors(text: &str) -> Vec<String> {
    let (_, prose) = block::split(text);
    let headings = prose.lines().filter(|line| line.starts_with('#'));
    let anchor = |line: &str| -> String {
        let kept = line.trim_start_matches('#').trim().to_lowercase();
        let kept = kept.chars().filter(|char| char.is_alphanumeric() || matches!(char, ' ' | '-' | '_'));
        kept.map(|char| if char == ' ' { '-' } else { char }).collect()
    };
    headings.map(anchor).collect()
}

#[test]
fn the_contents_name_every_page() {
    let contents = Path::new("docunomicon/README.md");
    let linked: Vec<String> = targets(&read(contents)).into_iter().map(|(_, target)| target).collect();
    for document in documents() {
        let Ok(page) = document.strip_prefix("docunomicon") else { continue };
        let page = page.to_string_lossy();
        let known = page == "README.md" || linked.iter().any(|target| *target == page);
        assert!(known, "docunomicon/README.md has no link to {page}");
    }
}
