//! `os.time([table])` and `os.date([format [, time]])`, in seconds since 1970, UTC.
//!
//! Different from stock Lua: the time is that of the energy being cast, the local time zone is UTC (so `!`
//! in a format changes nothing), the locale is C. Nothing else of `os` is there.

use crate::spell::raw::{Entry, Frame, Kind, Raise};

/// The table `os`.
pub(crate) static FUNCTIONS: &[Entry] = &[("time", time), ("date", date)];

/// Formats are not longer than this.
const FORMAT_BYTES_MAX: usize = 1024;
const DAY: i64 = 86_400;
const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// A moment, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Civil {
    year: i64,
    month: i64,
    day: i64,
    hour: i64,
    minute: i64,
    second: i64,
    /// From 0, Sunday.
    weekday: i64,
    /// From 0.
    yearday: i64,
    seconds: i64,
}

/// Days since 1970 of a date in the Gregorian calendar, carried on without end; the month is 1 to 12.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

impl Civil {
    /// `None` where the year does not fit in 32 bits, as in C.
    fn at(seconds: i64) -> Option<Self> {
        let since_1970 = seconds.div_euclid(DAY);
        let shifted = since_1970 + 719_468;
        let era = shifted.div_euclid(146_097);
        let of_era = shifted.rem_euclid(146_097);
        let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted_month = (5 * of_year + 2) / 153;
        let day = of_year - (153 * shifted_month + 2) / 5 + 1;
        let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        i32::try_from(year - 1900).ok()?;
        let of_day = seconds.rem_euclid(DAY);
        Some(Self {
            year,
            month,
            day,
            hour: of_day / 3600,
            minute: of_day / 60 % 60,
            second: of_day % 60,
            weekday: (since_1970 + 4).rem_euclid(7),
            yearday: since_1970 - days(year, 1, 1),
            seconds,
        })
    }

    /// Year and week by ISO 8601.
    fn iso_week(&self) -> (i64, i64) {
        let monday = |year: i64| {
            let fourth = days(year, 1, 4);
            fourth - (fourth + 3).rem_euclid(7)
        };
        let today = self.seconds.div_euclid(DAY);
        let year = match self.year {
            year if today < monday(year) => year - 1,
            year if today >= monday(year + 1) => year + 1,
            year => year,
        };
        (year, (today - monday(year)) / 7 + 1)
    }
}

/// The time of the energy being cast, in seconds.
fn now(frame: &mut Frame<'_>) -> i64 {
    super::time::now_ms(frame).div_euclid(1000)
}

/// `os.time([table])`; the table's fields are brought into their ranges, as in stock Lua.
fn time(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    if frame.is_absent(1) {
        let now = now(frame);
        frame.push_int(now);
        return Ok(1);
    }
    frame.table(1)?;
    frame.charge(32)?;
    let year = field(frame, "year", None)?;
    let month = field(frame, "month", None)? - 1;
    let day = field(frame, "day", None)?;
    let hour = field(frame, "hour", Some(12))?;
    let minute = field(frame, "min", Some(0))?;
    let second = field(frame, "sec", Some(0))?;
    let seconds = days(year + month.div_euclid(12), month.rem_euclid(12) + 1, 1) + day - 1;
    let seconds = seconds * DAY + hour * 3600 + minute * 60 + second;
    let civil = Civil::at(seconds)
        .ok_or_else(|| Raise::message("time result cannot be represented in this installation"))?;
    frame.push_copy(1);
    set_fields(frame, &civil);
    frame.pop(1);
    frame.push_int(seconds);
    Ok(1)
}

/// A field of `os.time`'s table: 32 bits, as in C.
fn field(frame: &mut Frame<'_>, name: &str, default: Option<i64>) -> Result<i64, Raise> {
    let kind = frame.get_field(1, name);
    let value = match kind {
        Kind::Integer => frame.int_at(-1),
        Kind::Float => frame.number_at(-1).filter(|n| n.fract() == 0.0 && n.abs() < 1e15).map(|n| n as i64),
        Kind::String => {
            frame.copy_bytes(-1).and_then(|text| std::str::from_utf8(&text).ok()?.trim().parse().ok())
        }
        _ => None,
    };
    frame.pop(1);
    match (value, default) {
        (Some(value), _) if value.abs() <= i64::from(i32::MAX) => Ok(value),
        (Some(_), _) => Err(Raise::message(format!("field '{name}' is out-of-bound"))),
        (None, Some(default)) if kind == Kind::Nil => Ok(default),
        (None, _) if kind == Kind::Nil => {
            Err(Raise::message(format!("field '{name}' missing in date table")))
        }
        (None, _) => Err(Raise::message(format!("field '{name}' is not an integer"))),
    }
}

/// Sets the fields of a date in the table on top.
fn set_fields(frame: &mut Frame<'_>, civil: &Civil) {
    for (name, value) in [
        ("year", civil.year),
        ("month", civil.month),
        ("day", civil.day),
        ("hour", civil.hour),
        ("min", civil.minute),
        ("sec", civil.second),
        ("yday", civil.yearday + 1),
        ("wday", civil.weekday + 1),
    ] {
        frame.push_int(value);
        frame.set_field(-2, name);
    }
    frame.push_bool(false);
    frame.set_field(-2, "isdst");
}

/// `os.date([format [, time]])`
fn date(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let format = frame.opt_bytes(1)?.unwrap_or(b"%c");
    let seconds = match frame.opt_int(2)? {
        Some(seconds) => seconds,
        None => now(frame),
    };
    let format = format.strip_prefix(b"!").unwrap_or(format);
    if format.len() > FORMAT_BYTES_MAX {
        return Err(Raise::argument(1, format!("a format of at most {FORMAT_BYTES_MAX} bytes expected")));
    }
    frame.charge(32 + format.len() as u64 * 4)?;
    let civil = Civil::at(seconds)
        .ok_or_else(|| Raise::message("date result cannot be represented in this installation"))?;
    if format.starts_with(b"*t") {
        frame.push_table(0, 9);
        set_fields(frame, &civil);
        return Ok(1);
    }
    let mut out = Vec::new();
    let mut rest = format;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let length = match rest {
            [b'E' | b'O', ..] => 2,
            _ => 1,
        };
        let directive = &rest[..length.min(rest.len())];
        let known = match directive {
            [b'E', letter] => b"cCxXyY".contains(letter).then_some(*letter),
            [b'O', letter] => b"deHImMSuUVwWy".contains(letter).then_some(*letter),
            [letter] => Some(*letter),
            _ => None,
        };
        if !known.is_some_and(|letter| write(letter, &civil, &mut out)) {
            let directive = String::from_utf8_lossy(directive);
            return Err(Raise::argument(1, format!("invalid conversion specifier '%{directive}'")));
        }
        rest = &rest[directive.len()..];
    }
    frame.push_bytes(&out)?;
    Ok(1)
}

/// Appends one conversion of C99's `strftime` in the C locale; false for one that is not known.
fn write(letter: u8, civil: &Civil, out: &mut Vec<u8>) -> bool {
    let weekday = DAYS[civil.weekday as usize];
    let month = MONTHS[civil.month as usize - 1];
    let hour12 = (civil.hour + 11) % 12 + 1;
    let parts = |letters: &[u8], between: u8, out: &mut Vec<u8>| {
        letters.iter().enumerate().all(|(at, letter)| {
            if at > 0 {
                out.push(between);
            }
            write(*letter, civil, out)
        })
    };
    let text = match letter {
        b'a' => weekday[..3].to_owned(),
        b'A' => weekday.to_owned(),
        b'b' | b'h' => month[..3].to_owned(),
        b'B' => month.to_owned(),
        b'c' => {
            parts(b"ab", b' ', out);
            format!(
                " {:2} {:02}:{:02}:{:02} {}",
                civil.day, civil.hour, civil.minute, civil.second, civil.year
            )
        }
        b'C' => format!("{:02}", civil.year.div_euclid(100)),
        b'd' => format!("{:02}", civil.day),
        b'D' | b'x' => return parts(b"mdy", b'/', out),
        b'e' => format!("{:2}", civil.day),
        b'F' => return parts(b"Ymd", b'-', out),
        b'g' => format!("{:02}", civil.iso_week().0.rem_euclid(100)),
        b'G' => civil.iso_week().0.to_string(),
        b'H' => format!("{:02}", civil.hour),
        b'I' => format!("{hour12:02}"),
        b'j' => format!("{:03}", civil.yearday + 1),
        b'm' => format!("{:02}", civil.month),
        b'M' => format!("{:02}", civil.minute),
        b'n' => "\n".to_owned(),
        b'p' => if civil.hour < 12 { "AM" } else { "PM" }.to_owned(),
        b'r' => {
            parts(b"IMS", b':', out);
            out.push(b' ');
            return write(b'p', civil, out);
        }
        b'R' => return parts(b"HM", b':', out),
        b's' => civil.seconds.to_string(),
        b'S' => format!("{:02}", civil.second),
        b't' => "\t".to_owned(),
        b'T' | b'X' => return parts(b"HMS", b':', out),
        b'u' => ((civil.weekday + 6) % 7 + 1).to_string(),
        b'U' => format!("{:02}", (civil.yearday + 7 - civil.weekday) / 7),
        b'V' => format!("{:02}", civil.iso_week().1),
        b'w' => civil.weekday.to_string(),
        b'W' => format!("{:02}", (civil.yearday + 7 - (civil.weekday + 6) % 7) / 7),
        b'y' => format!("{:02}", civil.year.rem_euclid(100)),
        b'Y' => civil.year.to_string(),
        b'z' => "+0000".to_owned(),
        b'Z' => "UTC".to_owned(),
        b'%' => "%".to_owned(),
        _ => return false,
    };
    out.extend_from_slice(text.as_bytes());
    true
}
