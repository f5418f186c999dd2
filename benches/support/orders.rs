//! The orders that throughput is measured on: the same bytes in every run.

use std::io::{self, Write};

/// Who orders.
pub const USERS: u64 = 10_000;

/// Writes `count` orders, one a line, about 110 bytes each; half of them are over 50.
pub fn write(count: u64, out: &mut impl Write) -> io::Result<()> {
    const COUNTRIES: [&str; 8] = ["AT", "CH", "DE", "DK", "FR", "IT", "PL", "SE"];
    let mut random = 0x5eed_u64;
    for id in 0..count {
        let [user, cents, item, rest] = [0, 1, 2, 3].map(|_| next(&mut random));
        let (user, cents) = (user % USERS, cents % 10_000);
        let country = COUNTRIES[(rest % 8) as usize];
        writeln!(
            out,
            r#"{{"id":{id},"user":"user-{user}","amount":{}.{:02},"country":"{country}","item":"sku-{}","paid":{},"ts":{}}}"#,
            cents / 100,
            cents % 100,
            item % 100_000,
            rest & 8 == 0,
            1_700_000_000_000 + 250 * id,
        )?;
    }
    out.flush()
}

/// SplitMix64.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
