//! How a measurement is repeated: A B A B, so that what else the machine does falls on both systems alike.

use testing::Programs;

use super::figures::{Figure, Sample};
use crate::failure::Outcome;

/// Whose values they are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    Ours,
    Postfix,
}

/// One of the mail systems that are measured.
pub struct System {
    pub side: Side,
    pub programs: Programs,
}

/// Measures each system once a round, and gathers what they have shown.
pub fn alternate(
    systems: &[System],
    rounds: usize,
    mut measure: impl FnMut(&Programs) -> Outcome<Sample>,
) -> Outcome<Vec<Figure>> {
    let mut figures = Vec::new();
    for _ in 0..rounds {
        for system in systems {
            measure(&system.programs)?.gather(system.side, &mut figures);
        }
    }
    Ok(figures)
}
