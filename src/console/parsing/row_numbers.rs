//! Which row of a numbered table is which: rows that are damaged, missing or out of place never shift the others.
//!
//! Numbers rise by one from row to row, and by more where rows are missing. The longest such chain is trusted; a row
//! outside of it gets a number only where its neighbours leave exactly as many numbers as there are rows.

use std::ops::RangeInclusive;

/// How the rows of a table are numbered.
pub(crate) struct Numbering {
    /// What the first row's number may be.
    pub(crate) first: RangeInclusive<u16>,
    /// Most numbers that may be missing before the first row.
    pub(crate) late: u16,
    /// Most numbers that may be missing in one place.
    pub(crate) gap: u16,
    /// Whether every number has its row: then a row without a number that ends the table goes on from the row before.
    pub(crate) tail: bool,
}

/// Most lines in one place that are no row at all.
const EXTRA: i32 = 2;

/// The best chain that ends with a row: how many rows, how many are missing in it or too many, the row before.
type Chain = (usize, i32, Option<usize>);

/// The number of each row, where it is certain. `stated` are the numbers that could be read.
pub(crate) fn place(stated: &[Option<u16>], numbering: &Numbering) -> Vec<Option<u16>> {
    let chain = longest_chain(stated, numbering);
    let mut placed = vec![None; stated.len()];
    chain.iter().for_each(|row| placed[*row] = stated[*row]);
    // Where the rows between two of the chain are exactly as many as the numbers, each has its own.
    for pair in chain.windows(2) {
        if let (Some(from), Some(to)) = (placed[pair[0]], placed[pair[1]])
            && usize::from(to - from) == pair[1] - pair[0]
        {
            (from..to).zip(&mut placed[pair[0]..]).for_each(|(number, row)| *row = Some(number));
        }
    }
    if let (Some(first), Some(last)) = (chain.first(), chain.last()) {
        let before = placed[*first].and_then(|number| number.checked_sub(u16::try_from(*first).ok()?));
        if let Some(base) = before.filter(|base| numbering.first.contains(base)) {
            (base..).zip(&mut placed[..*first]).for_each(|(number, row)| *row = Some(number));
        }
        let behind = placed[*last].map(|number| number.saturating_add(1)..).filter(|_| numbering.tail);
        for (number, row) in behind.into_iter().flatten().zip(*last + 1..stated.len()) {
            if stated[row].is_some() {
                break;
            }
            placed[row] = Some(number);
        }
    }
    placed
}

/// The rows of the longest chain, in order; of equally long ones that with the fewest rows missing or too many.
fn longest_chain(stated: &[Option<u16>], numbering: &Numbering) -> Vec<usize> {
    // By how much a row's number is ahead of its position: the same in the whole of an undamaged table.
    let ahead = |row: usize| Some(i32::from((*stated.get(row)?)?) - i32::try_from(row).ok()?);
    let sound = (0..stated.len()).all(|row| ahead(row).is_some() && ahead(row) == ahead(0));
    let (low, high) = (i32::from(*numbering.first.start()), i32::from(*numbering.first.end()));
    if sound && ahead(0).is_some_and(|ahead| (low..=high).contains(&ahead)) {
        return (0..stated.len()).collect();
    }
    let mut best: Vec<Option<Chain>> = Vec::with_capacity(stated.len());
    for row in 0..stated.len() {
        let chain = ahead(row).and_then(|own| {
            let begins = (low - EXTRA..=high + i32::from(numbering.late)).contains(&own);
            let alone = begins.then_some((1, (own - high).max(low - own).max(0), None));
            let behind = best.iter().enumerate().filter_map(|(before, chain)| {
                let (rows, off, _) = (*chain)?;
                let skipped = own - ahead(before)?;
                let near = (-EXTRA..=i32::from(numbering.gap)).contains(&skipped);
                (near && stated[row] > stated[before]).then_some((
                    rows + 1,
                    off + skipped.abs(),
                    Some(before),
                ))
            });
            alone.into_iter().chain(behind).max_by_key(|(rows, off, _)| (*rows, -off))
        });
        best.push(chain);
    }
    let mut chain = Vec::new();
    let longest = best.iter().enumerate().filter_map(|(row, chain)| Some((row, (*chain)?)));
    let mut next = longest.max_by_key(|(_, (rows, off, _))| (*rows, -off)).map(|(row, _)| row);
    while let Some(row) = next {
        chain.push(row);
        next = best[row].and_then(|(_, _, before)| before);
    }
    chain.reverse();
    // Nothing behind a last row confirms its number: far ahead of the others, it is more likely a wrong one.
    let before = chain.iter().rev().nth(1).map_or(Some(high), |before| ahead(*before));
    let skipped = chain.last().and_then(|last| Some(ahead(*last)? - before?));
    if numbering.tail && skipped > Some(1) {
        chain.pop();
    }
    chain
}

#[cfg(test)]
mod tests {
    use super::*;

    const CELLS: Numbering = Numbering { first: 0..=1, late: 0, gap: 8, tail: true };
    const MODULES: Numbering = Numbering { first: 1..=1, late: 8, gap: 8, tail: true };
    const X: Option<u16> = None;

    fn placed<const N: usize>(stated: [Option<u16>; N], numbering: &Numbering) -> [Option<u16>; N] {
        place(&stated, numbering).try_into().expect("a number a row")
    }

    #[test]
    fn sound_numbers_stay_as_they_are() {
        for first in [0, 1] {
            let stated = [first, first + 1, first + 2].map(Some);
            assert_eq!(placed(stated, &CELLS), stated);
        }
    }

    #[test]
    fn rows_without_a_number_are_placed_between_their_neighbours() {
        assert_eq!(placed([Some(0), X, Some(2)], &CELLS), [0, 1, 2].map(Some));
        assert_eq!(placed([X, Some(1), Some(2)], &CELLS), [0, 1, 2].map(Some));
        assert_eq!(placed([X, Some(2), Some(3)], &CELLS), [1, 2, 3].map(Some));
        assert_eq!(placed([Some(1), Some(2), X], &MODULES), [1, 2, 3].map(Some));
        let ends_open = Numbering { tail: false, ..MODULES };
        assert_eq!(placed([Some(1), Some(2), X], &ends_open), [Some(1), Some(2), X]);
        assert_eq!(placed([Some(0), X, Some(3)], &CELLS), [Some(0), X, Some(3)], "cell 1 or cell 2");
    }

    #[test]
    fn missing_rows_leave_gaps_and_shift_nothing() {
        assert_eq!(placed([0, 1, 3, 4].map(Some), &CELLS), [0, 1, 3, 4].map(Some));
        assert_eq!(placed([2, 3].map(Some), &MODULES), [2, 3].map(Some));
        assert_eq!(placed([2, 3].map(Some), &CELLS), [X; 2], "cells begin with 0 or 1");
    }

    #[test]
    fn a_wrong_number_costs_that_number_alone() {
        assert_eq!(placed([0, 1, 12, 3, 4].map(Some), &CELLS), [0, 1, 2, 3, 4].map(Some));
        assert_eq!(placed([0, 2, 2, 3].map(Some), &CELLS), [0, 1, 2, 3].map(Some));
        assert_eq!(placed([1, 2, 7].map(Some), &MODULES), [Some(1), Some(2), X]);
        assert_eq!(placed([7].map(Some), &MODULES), [X]);
        assert_eq!(placed([], &MODULES), []);
        assert_eq!(placed([1, 2, 7].map(Some), &Numbering { tail: false, ..MODULES }), [1, 2, 7].map(Some));
        assert_eq!(placed([0, 1, 2, 75].map(Some), &CELLS), [Some(0), Some(1), Some(2), X]);
        assert_eq!(placed([0, 1, 1, 2].map(Some), &CELLS)[3], Some(2), "one row is printed twice");
        assert_eq!(placed([X, Some(1), Some(2)], &MODULES), [X, Some(1), Some(2)], "a line that is no row");
    }
}
