//! json, msgpack, hash, base64.

use super::harness::*;

#[test]
fn json_goes_both_ways() {
    assert_eq!(
        prints("print(json.encode{b=1, a={1,2,{}}, c=1.0, d='x\\n', e=null, [1]=2})"),
        "{\"1\":2,\"a\":[1,2,{}],\"b\":1,\"c\":1.0,\"d\":\"x\\n\",\"e\":null}\n"
    );
    assert_eq!(
        prints("print(json.encode(nil), json.encode(1), json.encode('a'), json.encode(array{}))"),
        "null\t1\t\"a\"\t[]\n"
    );
    assert_eq!(
        prints("local t = json.decode('{\"a\":[1,null,2.0],\"b\":null}') print(#t.a, t.a[2], t.a[3], t.b)"),
        "3\tnull\t2.0\tnil\n"
    );
    assert_eq!(prints("print(json.encode(json.decode('[[],{},\"\\\\u00e9\"]')))"), "[[],{},\"é\"]\n");
    assert_eq!(
        prints("print(json.decode('12'), json.decode('null'), json.decode('\"x\"'))"),
        "12\tnull\tx\n"
    );
    assert_eq!(
        prints("local s = '\\xff\\0' print(json.decode(json.encode(s)) == s, json.encode(0/0))"),
        "true\t{\"$float\":\"nan\"}\n"
    );
}

#[test]
fn json_can_be_pretty() {
    assert_eq!(
        prints("print(json.encode({a={1,{x='[,]'}},b={},c=array{},d='\"{'}, {pretty=true}))"),
        "{\n  \"a\": [\n    1,\n    {\n      \"x\": \"[,]\"\n    }\n  ],\n  \"b\": {},\n  \"c\": [],\n  \"d\": \"\\\"{\"\n}\n"
    );
    assert_eq!(
        prints("print(json.encode({}, {pretty=true}), json.encode({1}, {pretty=false}))"),
        "{}\t[1]\n"
    );
}

#[test]
fn json_errors_point() {
    let message = fault("json.decode('{\\n  \"a\": nope}')");
    assert!(message.starts_with("json.decode: ") && message.contains("line 2, column"), "{message}");
    assert_eq!(fault("json.decode(1)"), "bad argument #1 to 'decode' (string expected, got number)");
    assert_eq!(fault("json.encode(print)"), "bad argument #1 to 'encode' (a function cannot be stored)");
    assert_eq!(fault("json.encode()"), "bad argument #1 to 'encode' (value expected)");
    assert!(fault("local t = {} t.t = t json.encode(t)").contains("contains itself"));
    assert_eq!(prints("print(pcall(json.decode, ''))").split('\t').next(), Some("false"));
}

#[test]
fn a_bomb_is_refused_before_it_is_built() {
    // 2 MiB of text would be 64 MiB of tables and more.
    let message = fault("json.decode('[' .. ('[],'):rep(700000) .. '1]')");
    assert_eq!(message, "needs more memory than its limit allows");
    let message = fault("msgpack.decode('\\xdd\\x00\\x0f\\x42\\x40' .. ('\\x90'):rep(1000000))");
    assert_eq!(message, "needs more memory than its limit allows");
    // A small table that shows itself very often.
    let message =
        fault("local t = {1} for i = 1, 40 do t = {t, t} end print(pcall(json.encode, t)) json.encode(t)");
    assert!(message.contains("memory") || message.contains("instructions"), "{message}");
}

#[test]
fn what_is_decoded_fits_the_limit() {
    let limit = 32 << 20;
    for body in [
        "for i = 1, 90000 do t[#t + 1] = '\"k' .. i .. '\":1' end return '{' .. table.concat(t, ',') .. '}'",
        "for i = 1, 150000 do t[#t + 1] = '\"v' .. i .. '\"' end return '[' .. table.concat(t, ',') .. ']'",
        "for i = 1, 90000 do t[#t + 1] = '[1]' end return '[' .. table.concat(t, ',') .. ']'",
        "for i = 1, 50000 do t[#t + 1] = '{\"a\":1}' end return '[' .. table.concat(t, ',') .. ']'",
    ] {
        let source = format!(
            "local function text() local t = {{}} {body} end
            return {{ cast = function() local s, all = text(), {{}} while true do all[#all + 1] = json.decode(s) end end }}"
        );
        let mut lane = open(&spell(&source, Default::default()));
        let run = run_lane(&mut lane, &events(&["{}"]));
        assert_eq!(run.faults[0].as_deref(), Some("needs more memory than its limit allows"), "{body}");
        let peak = lane.memory_bytes().1;
        assert!(peak > limit / 2 && peak < limit + limit / 4, "{peak} for {body}");
    }
}

#[test]
fn msgpack_is_canonical() {
    assert_eq!(
        prints(
            "print((msgpack.encode{b=1,a=2}:gsub('.', function(c) return ('%02x'):format(c:byte()) end)))"
        ),
        "82a16102a16201\n"
    );
    assert_eq!(
        prints(
            "local v = msgpack.decode(msgpack.encode{1, 2.5, 'x', {k=true}, array{}}) print(v[1], v[2], v[3], v[4].k, json.encode(v[5]))"
        ),
        "1\t2.5\tx\ttrue\t[]\n"
    );
    assert!(fault("msgpack.decode('\\xc1')").starts_with("msgpack.decode: "));
    assert!(fault("msgpack.decode('')").starts_with("msgpack.decode: "));
    assert!(fault("msgpack.decode('\\x01\\x01')").starts_with("msgpack.decode: "));
    assert!(fault("msgpack.decode('\\xdd\\xff\\xff\\xff\\xff')").starts_with("msgpack.decode: "));
}

#[test]
fn digests_are_known() {
    assert_eq!(
        prints("print(hash.blake3('')) print(hash.sha256('abc')) print(hash.crc32('123456789'))"),
        "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262\n\
         ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\n3421780262\n"
    );
    assert_eq!(fault("hash.sha256({})"), "bad argument #1 to 'sha256' (string expected, got table)");
}

#[test]
fn hashing_is_paid_for() {
    let message = fault("local s = ('x'):rep(1000000) while true do pcall(hash.sha256, s) end");
    assert_eq!(message, "ran more instructions than its limit allows");
}

#[test]
fn base64_has_two_alphabets() {
    assert_eq!(
        prints("print(base64.encode('\\xfb\\xff'), base64.encode('\\xfb\\xff', 'url'), base64.encode(''))"),
        "+/8=\t-_8\t\n"
    );
    assert_eq!(
        prints("print(base64.decode('aGk='), base64.decode('aGk'), base64.decode('aGk', 'url'))"),
        "hi\thi\thi\n"
    );
    assert!(fault("base64.decode('a*b=')").starts_with("base64.decode: "));
    assert_eq!(
        fault("base64.encode('', 'x')"),
        "bad argument #2 to 'encode' (\"standard\" or \"url\" expected)"
    );
}
