//! Assigns numbers to the rows of a table, so that damaged, missing or misplaced rows never shift the others.
//!
//! Numbers increase by one from row to row, or by more where rows are missing. The longest such chain is trusted; a row
//! outside it gets a number only if its neighbours leave exactly as many numbers as there are rows.

use std::ops::RangeInclusive;

/// How the rows of a table are numbered.
pub(crate) struct Numbering {
    /// Allowed numbers of the first row.
    pub(crate) first: RangeInclusive<u16>,
    /// How many numbers may be missing before the first row.
    pub(crate) max_missing_start: u16,
    /// How many consecutive numbers may be missing.
    pub(crate) max_gap: u16,
    /// Whether every number has its row: then rows without a number at the end of the table continue the numbering.
    pub(crate) contiguous: bool,
}

/// How many consecutive lines may not be rows at all.
const MAX_EXTRA_LINES: i32 = 2;

/// The best chain that ends with a given row: its length, how many rows are missing or superfluous in it, and the
/// previous row.
type RowChain = (usize, i32, Option<usize>);

/// The number of each row, where it is certain. `stated` are the numbers that could be parsed.
pub(crate) fn assign_numbers(stated: &[Option<u16>], numbering: &Numbering) -> Vec<Option<u16>> {
    let chain = longest_chain(stated, numbering);
    let mut assigned = vec![None; stated.len()];
    chain.iter().for_each(|row| assigned[*row] = stated[*row]);
    // If there are as many rows as numbers between two rows of the chain, each row has its own number.
    for pair in chain.windows(2) {
        if let (Some(from), Some(to)) = (assigned[pair[0]], assigned[pair[1]])
            && usize::from(to - from) == pair[1] - pair[0]
        {
            (from..to).zip(&mut assigned[pair[0]..]).for_each(|(number, row)| *row = Some(number));
        }
    }
    if let (Some(first), Some(last)) = (chain.first(), chain.last()) {
        let start = assigned[*first].and_then(|number| number.checked_sub(u16::try_from(*first).ok()?));
        if let Some(start) = start.filter(|start| numbering.first.contains(start)) {
            (start..).zip(&mut assigned[..*first]).for_each(|(number, row)| *row = Some(number));
        }
        let rest = assigned[*last].map(|number| number.saturating_add(1)..).filter(|_| numbering.contiguous);
        for (number, row) in rest.into_iter().flatten().zip(*last + 1..stated.len()) {
            if stated[row].is_some() {
                break;
            }
            assigned[row] = Some(number);
        }
    }
    assigned
}

/// The rows of the longest chain, in order; of equally long ones, the one with the fewest missing or superfluous rows.
fn longest_chain(stated: &[Option<u16>], numbering: &Numbering) -> Vec<usize> {
    // How far a row's number is ahead of its position: constant throughout an undamaged table.
    let offset = |row: usize| Some(i32::from((*stated.get(row)?)?) - i32::try_from(row).ok()?);
    let undamaged = (0..stated.len()).all(|row| offset(row).is_some() && offset(row) == offset(0));
    let (low, high) = (i32::from(*numbering.first.start()), i32::from(*numbering.first.end()));
    if undamaged && offset(0).is_some_and(|offset| (low..=high).contains(&offset)) {
        return (0..stated.len()).collect();
    }
    let mut best: Vec<Option<RowChain>> = Vec::with_capacity(stated.len());
    for row in 0..stated.len() {
        let chain = offset(row).and_then(|own| {
            let may_start =
                (low - MAX_EXTRA_LINES..=high + i32::from(numbering.max_missing_start)).contains(&own);
            let alone = may_start.then_some((1, (own - high).max(low - own).max(0), None));
            let extended = best.iter().enumerate().filter_map(|(before, chain)| {
                let (rows, misfits, _) = (*chain)?;
                let skipped = own - offset(before)?;
                let near = (-MAX_EXTRA_LINES..=i32::from(numbering.max_gap)).contains(&skipped);
                (near && stated[row] > stated[before]).then_some((
                    rows + 1,
                    misfits + skipped.abs(),
                    Some(before),
                ))
            });
            alone.into_iter().chain(extended).max_by_key(|(rows, misfits, _)| (*rows, -misfits))
        });
        best.push(chain);
    }
    let mut chain = Vec::new();
    let longest = best.iter().enumerate().filter_map(|(row, chain)| Some((row, (*chain)?)));
    let mut next = longest.max_by_key(|(_, (rows, misfits, _))| (*rows, -misfits)).map(|(row, _)| row);
    while let Some(row) = next {
        chain.push(row);
        next = best[row].and_then(|(_, _, before)| before);
    }
    chain.reverse();
    // No later row confirms the last number, so a jump there is more likely a damaged number.
    let before = chain.iter().rev().nth(1).map_or(Some(high), |before| offset(*before));
    let skipped = chain.last().and_then(|last| Some(offset(*last)? - before?));
    if numbering.contiguous && skipped > Some(1) {
        chain.pop();
    }
    chain
}

#[cfg(test)]
mod tests {
    use super::*;

    const CELLS: Numbering = Numbering { first: 0..=1, max_missing_start: 0, max_gap: 8, contiguous: true };
    const MODULES: Numbering = Numbering { first: 1..=1, max_missing_start: 8, max_gap: 8, contiguous: true };
    const X: Option<u16> = None;

    fn assigned<const N: usize>(stated: [Option<u16>; N], numbering: &Numbering) -> [Option<u16>; N] {
        assign_numbers(&stated, numbering).try_into().expect("one number per row")
    }

    #[test]
    fn undamaged_numbers_are_unchanged() {
        for first in [0, 1] {
            let stated = [first, first + 1, first + 2].map(Some);
            assert_eq!(assigned(stated, &CELLS), stated);
        }
    }

    #[test]
    fn rows_without_a_number_are_numbered_by_their_neighbours() {
        assert_eq!(assigned([Some(0), X, Some(2)], &CELLS), [0, 1, 2].map(Some));
        assert_eq!(assigned([X, Some(1), Some(2)], &CELLS), [0, 1, 2].map(Some));
        assert_eq!(assigned([X, Some(2), Some(3)], &CELLS), [1, 2, 3].map(Some));
        assert_eq!(assigned([Some(1), Some(2), X], &MODULES), [1, 2, 3].map(Some));
        let not_contiguous = Numbering { contiguous: false, ..MODULES };
        assert_eq!(assigned([Some(1), Some(2), X], &not_contiguous), [Some(1), Some(2), X]);
        assert_eq!(assigned([Some(0), X, Some(3)], &CELLS), [Some(0), X, Some(3)], "cell 1 or cell 2");
    }

    #[test]
    fn missing_rows_leave_gaps_and_shift_no_other_row() {
        assert_eq!(assigned([0, 1, 3, 4].map(Some), &CELLS), [0, 1, 3, 4].map(Some));
        assert_eq!(assigned([2, 3].map(Some), &MODULES), [2, 3].map(Some));
        assert_eq!(assigned([2, 3].map(Some), &CELLS), [X; 2], "cells start with 0 or 1");
    }

    #[test]
    fn a_wrong_number_affects_only_its_own_row() {
        assert_eq!(assigned([0, 1, 12, 3, 4].map(Some), &CELLS), [0, 1, 2, 3, 4].map(Some));
        assert_eq!(assigned([0, 2, 2, 3].map(Some), &CELLS), [0, 1, 2, 3].map(Some));
        assert_eq!(assigned([1, 2, 7].map(Some), &MODULES), [Some(1), Some(2), X]);
        assert_eq!(assigned([7].map(Some), &MODULES), [X]);
        assert_eq!(assigned([], &MODULES), []);
        assert_eq!(
            assigned([1, 2, 7].map(Some), &Numbering { contiguous: false, ..MODULES }),
            [1, 2, 7].map(Some)
        );
        assert_eq!(assigned([0, 1, 2, 75].map(Some), &CELLS), [Some(0), Some(1), Some(2), X]);
        assert_eq!(assigned([0, 1, 1, 2].map(Some), &CELLS)[3], Some(2), "one row is printed twice");
        assert_eq!(
            assigned([X, Some(1), Some(2)], &MODULES),
            [X, Some(1), Some(2)],
            "the first line is not a row"
        );
    }
}
