//! Whose VMs are made anew after each round.

/// A run that forgets shows what it should not have remembered there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Forgets {
    /// Nobody's: they last as long as the run.
    #[default]
    Nobody,
    /// Every spell's.
    Everybody,
    /// Those of one spell, by its place in spell order.
    Spell(usize),
}

impl Forgets {
    /// Whether a spell's are.
    #[must_use]
    pub fn includes(self, spell: usize) -> bool {
        match self {
            Self::Nobody => false,
            Self::Everybody => true,
            Self::Spell(index) => index == spell,
        }
    }
}
