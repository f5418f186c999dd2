//! blob.put and blob.get.

use sanctum::event::{Events, Span};
use sanctum::spell::{Memory, Modules, Task};
use std::sync::Arc;

use super::harness::*;

const SPELL: &str = "return { cast = function(e)
  if e.put then print(blob.put(e.put)) end
  if e.get then print(blob.get(e.get)) end
  if e.fail then error('no') end
  return e.put and { ['$content'] = blob.put(e.put) }
end }";

const ABC: &str = "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85";

#[test]
fn a_spell_sees_its_own_content() {
    let get = format!("{{\"get\":\"{ABC}\"}}");
    let run = run(
        SPELL,
        &[&get, r#"{"put":"abc","fail":true}"#, &get, r#"{"put":"abc"}"#, &get, r#"{"put":"abc"}"#],
    );
    assert_eq!(run.prints, format!("nil\n{ABC}\nnil\n{ABC}\nabc\n{ABC}\n"));
    assert_eq!(run.outputs[0], format!("{{\"$content\":\"{ABC}\"}}"));
    assert_eq!(run.blobs.len(), 1);
    assert_eq!((run.blobs[0].0.to_hex().as_str(), run.blobs[0].2), (ABC, 3));
}

/// One energy at position 5 which is known to come after all casts below `settled`.
fn settled(settled: u64) -> Arc<Events> {
    let mut one = events(&[&format!("{{\"get\":\"{ABC}\"}}")]);
    let heads = Arc::get_mut(&mut one).unwrap().heads_mut();
    heads[0].position = 5;
    heads[0].settled = settled;
    assert_ne!(heads[0].data, Span::EMPTY);
    one
}

#[test]
fn other_spells_see_what_is_settled() {
    let memory = Memory::default();
    let mut lane = spell(SPELL, Modules::default()).open_with(CLOCKS, &memory).unwrap();
    memory.contents.publish(&[(blake3::hash(b"abc"), b"abc".as_slice().into(), 2)]).unwrap();
    for (known, seen) in [(0, "nil\n"), (2, "nil\n"), (3, "abc\n")] {
        lane.run(&settled(known), vec![Task::Cast(0)]);
        assert_eq!(take(&mut lane).prints, seen);
    }
}

#[test]
fn lane_keys_do_not_show_in_content() {
    let source = SPELL.replace("return { cast", "return { lane = 'k', cast");
    let run = run(
        &source,
        &[
            r#"{"k":1,"put":"abc"}"#,
            &format!("{{\"k\":2,\"get\":\"{ABC}\"}}"),
            &format!("{{\"k\":1,\"get\":\"{ABC}\"}}"),
        ],
    );
    assert_eq!(run.prints, format!("{ABC}\nnil\nabc\n"));
}

#[test]
fn a_digest_is_checked() {
    assert!(fault("blob.get('x')").contains("64 hexadecimal digits"));
    assert!(fault("blob.put({})").contains("string expected"));
    let text = refusal("blob.put('x') return { cast = function() end }", Modules::default());
    assert!(text.contains("blob.put works only inside cast or tick"), "{text}");
}
