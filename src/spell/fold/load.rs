//! A file to a checked fold: every problem of it at once.

use super::{By, Fold, SNAPSHOT_EVERY, WITHIN};
use crate::event::msgpack::{has_empty_part, parse_path};
use crate::event::suggest::suggest;
use crate::runeset::{Diagnostic, Fault as FaultPolicy, Limits, SpellOptions, StatedLimits};
use crate::spell::host::Host;
use crate::spell::load::{Loader, kind_of, stem};
use crate::spell::raw::{Member, MemberValue, Vm};
use crate::spell::{Clocks, Modules, Origin, report};

/// Every member that a projection may have.
const MEMBERS: [&str; 7] = ["topic", "by", "seed", "fold", "snapshot_every", "limits", "nulls"];
/// What `snapshot_every` may be.
const SNAPSHOT_EVERY_MAX: u64 = 1_000_000;

/// See [`Fold::load`].
pub fn load(path: &str, source: Vec<u8>, modules: Modules, clocks: Clocks) -> Result<Fold, Vec<Diagnostic>> {
    let origin = Origin {
        path: path.to_owned(),
        source,
        modules,
        entry: None,
        limits: StatedLimits::default(),
        fault: FaultPolicy::Stop,
    };
    let members = members(&origin, clocks)?;
    let mut loader = Loader::new(&origin);
    let mut found = Found { by: By::One, snapshot_every: SNAPSHOT_EVERY, nulls: false, fold: None };
    // `cast` is the wrapper's.
    for member in members.iter().filter(|member| member.name != "cast") {
        found.member(member, &mut loader);
    }
    if !members.iter().any(|member| member.name == "fold") {
        let problem = Diagnostic::error("the projection has no `fold`").in_file(path);
        loader.problems.push(
            problem.help("add `fold = function(state, event) ... return state end` to the table it returns"),
        );
    }
    let topics = loader.topics(&SpellOptions::default());
    if !loader.problems.is_empty() {
        loader.problems.sort_by_key(|problem| problem.place.as_ref().map_or(0, |place| place.line));
        return Err(loader.problems);
    }
    let limits = Limits::resolve(&origin.limits, &loader.own.limits, &StatedLimits::default());
    Ok(Fold {
        name: stem(path).into(),
        path: origin.path.clone(),
        source: origin.source.as_slice().into(),
        topics,
        by: found.by,
        snapshot_every: found.snapshot_every,
        limits,
        nulls: found.nulls,
        digest: digest(&origin),
        modules: origin.modules.clone(),
        takes_envelope: found.fold.unwrap_or(false),
    })
}

/// Runs the chunk.
fn members(origin: &Origin<'_>, clocks: Clocks) -> Result<Vec<Member>, Vec<Diagnostic>> {
    let none = StatedLimits::default();
    let limits = Limits::resolve(&none, &none, &none);
    let host = Host::new(&stem(&origin.path), limits, vec![0x80], origin.modules.clone());
    let mut vm = Vm::new(host, clocks.steady_ms, clocks.exact)
        .map_err(|error| vec![Diagnostic::error(error.to_string()).in_file(&origin.path)])?;
    vm.load_within(WITHIN, &origin.path, &origin.source).map_err(|fault| {
        let text = String::from_utf8_lossy(&origin.source);
        vec![report::load_fault(&origin.path, &text, &fault)]
    })
}

/// The text, and that of every module it has loaded.
fn digest(origin: &Origin<'_>) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    let mut part = |bytes: &[u8]| {
        hasher.update(&(bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    };
    part(&origin.source);
    for (name, module) in origin.modules.found() {
        part(name.as_bytes());
        part(&module.source);
    }
    *hasher.finalize().as_bytes()
}

/// What the members say.
struct Found {
    by: By,
    snapshot_every: u64,
    nulls: bool,
    /// Whether `fold` takes the envelope.
    fold: Option<bool>,
}

impl Found {
    fn member(&mut self, member: &Member, loader: &mut Loader<'_>) {
        let name = member.name.as_str();
        match (&member.value, name) {
            (&MemberValue::Function { parameters, .. }, "fold") => self.fold = Some(parameters >= 3),
            (_, name) if !MEMBERS.contains(&name) => {
                let problem = loader
                    .at_key(name, format!("unknown member `{name}`"))
                    .suggest(suggest(name, MEMBERS))
                    .help(format!("a projection's members: {}", MEMBERS.join(", ")));
                loader.problems.push(problem);
            }
            (value, "fold") => {
                let text = format!("`fold` is {}, not a function", kind_of(value));
                loader.complain(name, &text, None);
            }
            (MemberValue::Data(_), "seed") => {}
            (MemberValue::Data(bytes), "by") => match text_of(bytes) {
                Some("stream") => self.by = By::Stream,
                Some(path) if !path.is_empty() && !has_empty_part(path) => {
                    self.by = By::Path(parse_path(path));
                }
                _ => loader.complain("by", "`by` is \"stream\" or the path of a field", None),
            },
            (MemberValue::Data(bytes), "snapshot_every") => match whole(bytes) {
                Some(every) if (1..=SNAPSHOT_EVERY_MAX).contains(&every) => self.snapshot_every = every,
                _ => {
                    let text = format!("`snapshot_every` is a number of energies, 1 to {SNAPSHOT_EVERY_MAX}");
                    loader.complain(name, &text, None);
                }
            },
            (MemberValue::Data(bytes), "nulls") => match bytes.as_slice() {
                [0xc2] => self.nulls = false,
                [0xc3] => self.nulls = true,
                _ => loader.complain("nulls", "`nulls` is true or false", None),
            },
            (MemberValue::Data(bytes), name) => {
                for problem in loader.own.apply_msgpack(name, bytes) {
                    loader.option_problem(&problem);
                }
            }
            (value, name) => {
                let text = format!("`{name}` is {}, not data", kind_of(value));
                loader.complain(name, &text, None);
            }
        }
    }
}

fn text_of(bytes: &[u8]) -> Option<&str> {
    use crate::event::msgpack::{Reader, Token};
    match Reader::new(bytes).token() {
        Ok(Token::Str(text)) => std::str::from_utf8(text).ok(),
        _ => None,
    }
}

fn whole(bytes: &[u8]) -> Option<u64> {
    use crate::event::msgpack::{Reader, Token};
    match Reader::new(bytes).token() {
        Ok(Token::Int(number)) => u64::try_from(number).ok(),
        _ => None,
    }
}
