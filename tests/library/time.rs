//! time and os.

use super::harness::*;

#[test]
fn now_is_the_input() {
    assert_eq!(
        prints("print(time.now(), os.time(), time.format())"),
        "1517400599650\t1517400599\t2018-01-31T12:09:59.650Z\n"
    );
    let run = run("local at = time.now() return { cast = function() print(at, time.now()) end }", &["{}"]);
    assert_eq!(run.prints, "0\t650\n");
    let source = "return { cast = function() end, unprepare = function() print(time.now(), os.time()) end }";
    let mut lane = open(&spell(source, Default::default()));
    run_lane(&mut lane, &events(&["{}"]));
    lane.close().unwrap();
    assert_eq!(take(&mut lane).prints, "0\t0\n");
}

#[test]
fn moments_are_formatted() {
    assert_eq!(
        prints("print(time.format(0), time.format(-1), time.format(0, 'rfc3339'))"),
        "1970-01-01T00:00:00.000Z\t1969-12-31T23:59:59.999Z\t1970-01-01T00:00:00.000Z\n"
    );
    assert_eq!(
        prints("print(time.format(1517400599650, '%Y-%m-%d %H:%M:%S.%3f %a %z'))"),
        "2018-01-31 12:09:59.650 Wed +0000\n"
    );
    assert!(fault("time.format(0, '%!')").starts_with("bad argument #2 to 'format'"));
    assert!(fault("time.format(1 << 62)").contains("between the years"));
}

#[test]
fn texts_are_parsed() {
    assert_eq!(
        prints(
            "print(time.parse('2018-01-31T12:09:59.650Z'), time.parse('2018-01-31T13:09:59.650+01:00'), time.parse('1969-12-31T23:59:59.9995Z'))"
        ),
        "1517400599650\t1517400599650\t-1\n"
    );
    assert_eq!(
        prints(
            "print(time.parse('31/01/2018', '%d/%m/%Y'), time.parse('2018-01-31 12:09', '%Y-%m-%d %H:%M'), time.parse('2018-01-31 12:09 +0100', '%Y-%m-%d %H:%M %z'), time.parse('1517400599', '%s'))"
        ),
        "1517356800000\t1517400540000\t1517396940000\t1517400599000\n"
    );
    for bad in ["'yesterday'", "'2018-13-01T00:00:00Z'", "'\\xff'", "''", "'x', '%Y'", "('x'):rep(5000)"] {
        let out = prints(&format!("local ms, err = time.parse({bad}) print(ms, type(err), #err > 0)"));
        assert_eq!(out, "nil\tstring\ttrue\n", "{bad}");
    }
}

#[test]
fn windows_begin_at_a_floor() {
    assert_eq!(
        prints("print(time.floor(1517400599650, '1h'), time.floor(-1, 1000), time.floor(5999, '2s'))"),
        "1517400000000\t-1000\t4000\n"
    );
    assert!(fault("time.floor(1, 0)").contains("above zero"));
    assert!(fault("time.floor(1, '1 fortnight')").contains("unknown unit"));
    assert_eq!(prints("print(time.floor(math.mininteger, 1000))"), "-9223372036854775808\n");
}

#[test]
fn dates_are_in_the_c_locale() {
    assert_eq!(
        prints("print(os.date()) print(os.date('!%c', 0))"),
        "Wed Jan 31 12:09:59 2018\nThu Jan  1 00:00:00 1970\n"
    );
    assert_eq!(
        prints(
            "print(os.date('%a %A %b %B %d %D %e %F %g %G %h %H %I %j %m %M %p %r %R %S %T %u %U %V %w %W %x %X %y %Y %z %Z %C %% %Ey %Od'))"
        ),
        "Wed Wednesday Jan January 31 01/31/18 31 2018-01-31 18 2018 Jan 12 12 031 01 09 PM 12:09:59 PM 12:09 59 12:09:59 3 04 05 3 05 01/31/18 12:09:59 18 2018 +0000 UTC 20 % 18 31\n"
    );
    assert_eq!(fault("os.date('%Ez')"), "bad argument #1 to 'date' (invalid conversion specifier '%Ez')");
    assert_eq!(fault("os.date('%')"), "bad argument #1 to 'date' (invalid conversion specifier '%')");
    assert!(fault("os.date('%Y', 1 << 60)").contains("cannot be represented"));
    assert_eq!(
        prints(
            "local t = os.date('*t', 1517400599) print(t.year, t.month, t.day, t.hour, t.min, t.sec, t.wday, t.yday, t.isdst)"
        ),
        "2018\t1\t31\t12\t9\t59\t4\t31\tfalse\n"
    );
}

#[test]
fn iso_weeks_turn_with_the_year() {
    // As `date -u +'%G-%V %U %W'` has them.
    for (day, want) in [
        ("2005-01-01", "2004-53 00 00"),
        ("2008-12-29", "2009-01 52 52"),
        ("2010-01-03", "2009-53 01 00"),
        ("2020-12-31", "2020-53 52 52"),
        ("2024-02-29", "2024-09 08 09"),
    ] {
        let out = prints(&format!("print(os.date('%G-%V %U %W', time.parse('{day}T00:00:00Z') // 1000))"));
        assert_eq!(out.trim_end(), want, "{day}");
    }
}

#[test]
fn tables_become_moments() {
    assert_eq!(prints("print(os.time{year=2018, month=1, day=31, hour=12, min=9, sec=59})"), "1517400599\n");
    assert_eq!(prints("print(os.time{year=1970, month=1, day=1})"), "43200\n");
    assert_eq!(
        prints(
            "local t = {year=2023, month=14, day=30, hour=-1} print(os.time(t), t.year, t.month, t.day, t.hour, t.yday)"
        ),
        "1709247600\t2024\t2\t29\t23\t60\n"
    );
    assert_eq!(
        prints(
            "for _, s in ipairs{0, -1, 951782400, 1e10, -1e10, 253402300799} do assert(os.time(os.date('*t', s)) == s) end"
        ),
        ""
    );
    assert_eq!(fault("os.time{year=2018, month=1}"), "field 'day' missing in date table");
    assert_eq!(fault("os.time{year=2018, month=1.5, day=1}"), "field 'month' is not an integer");
    assert_eq!(fault("os.time{year=1 << 40, month=1, day=1}"), "field 'year' is out-of-bound");
    assert_eq!(prints("print(os.execute, os.getenv, os.clock, os.exit)"), "nil\tnil\tnil\tnil\n");
}
