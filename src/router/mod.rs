//! Who receives an energy.

pub mod filter;
pub mod pattern;
