//! The envelope argument.

use super::harness::*;

#[test]
fn fields_are_there() {
    assert_eq!(
        prints(
            "print(env.id, env.position, env.version, env.time, env.topic, env.stream, env.hops, env.ttl, env.tags.a)"
        ),
        "00000000-0000-0010-0000-000000000001\t0\t0\t1517400599650\torders.eu\torders.eu\t0\tforever\tx\n"
    );
    assert_eq!(prints("print(env.correlation, env.causation, env.content)"), "nil\tnil\tnil\n");
    assert_eq!(
        prints(
            "local names = {} for k in pairs(env) do names[#names + 1] = k end print(table.concat(names, ' '))"
        ),
        "id position version time topic stream hops tags ttl\n"
    );
}

#[test]
fn mistakes_are_named() {
    let message = fault("return env.postion");
    assert!(
        message.starts_with("an envelope has no field `postion` (did you mean `position`?)"),
        "{message}"
    );
    let message = fault("return env['$topic']");
    assert!(message.contains("did you mean `topic`?"), "{message}");
    assert!(fault("return env[1]").contains("no field of type number"));
    assert!(fault("env.id = 1").starts_with("the envelope is read-only"));
    assert!(fault("setmetatable(env, {})").contains("table expected"));
    assert_eq!(prints("print(getmetatable(env), type(env))"), "envelope\tuserdata\n");
}

#[test]
fn it_ends_with_its_cast() {
    let source = "local kept return { cast = function(e, env) kept = kept or env print(kept.position) end }";
    let run = run(source, &["{}", "{}"]);
    assert_eq!(run.prints, "0\n");
    assert!(run.faults[1].as_deref().unwrap().contains("earlier cast"));
}

#[test]
fn an_output_does_not_hold_it() {
    assert_eq!(cast("return { a = 1, env = env }").outputs, [r#"{"a":1}"#]);
}
