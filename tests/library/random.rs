//! random, math.random, uuid.

use super::harness::*;

const DRAW: &str =
    "return { cast = function() print(random(), math.random(6), random(-3, 3), uuid(), uuid()) end }";

#[test]
fn the_input_decides() {
    let (one, two) = (run(DRAW, &["{}", "{}"]), run(DRAW, &["{}", "{}"]));
    assert_eq!(one.prints, two.prints);
    let lines: Vec<_> = one.prints.lines().collect();
    assert_ne!(lines[0], lines[1]);
    let words: Vec<_> = lines[0].split('\t').collect();
    assert_ne!(words[3], words[4]);
    assert_eq!((words[3].len(), &words[3][14..15]), (36, "8"));
}

#[test]
fn intervals_are_as_in_lua() {
    assert_eq!(
        prints(
            "for i = 1, 1000 do
               local f, d, n = random(), random(6), random(-2, 2)
               assert(f >= 0 and f < 1 and math.type(f) == 'float')
               assert(d >= 1 and d <= 6 and math.type(d) == 'integer' and n >= -2 and n <= 2)
             end
             print(random(3, 3), random(1), math.type(random(0)), math.type(random(math.mininteger, math.maxinteger)))"
        ),
        "3\t1\tinteger\tinteger\n"
    );
    assert_eq!(fault("random(0.5)"), "bad argument #1 to 'random' (number has no integer representation)");
    assert_eq!(fault("random(2, 1)"), "bad argument #2 to 'random' (interval is empty)");
    assert_eq!(fault("random(-1)"), "bad argument #1 to 'random' (interval is empty)");
    assert_eq!(fault("random(1, 2, 3)"), "wrong number of arguments");
}

#[test]
fn every_face_comes_up_about_as_often() {
    let out = prints(
        "local n = {0,0,0,0,0,0} for i = 1, 60000 do local d = random(6) n[d] = n[d] + 1 end print(table.unpack(n))",
    );
    for count in out.split_whitespace() {
        let count: i32 = count.parse().unwrap();
        assert!((9_500..10_500).contains(&count), "{out}");
    }
}

#[test]
fn a_seed_changes_nothing() {
    assert_eq!(prints("math.randomseed(1) print(random())"), prints("math.randomseed(2) print(random())"));
}
