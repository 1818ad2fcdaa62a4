//! Setters that several tables share, so that a column is one line of data.

/// Makes a setter for [`super::table::Column`]: the value's kind, then the field it goes to.
macro_rules! set {
    (mv $field:ident) => {
        |row, cut| {
            row.$field = Some(Millivolts(small(cut.first).ok_or("a whole number of mV")?));
            Ok(())
        }
    };
    (ma $field:ident) => {
        |row, cut| {
            row.$field = Some(Milliamps(small(cut.first).ok_or("a whole number of mA")?));
            Ok(())
        }
    };
    (mc $field:ident) => {
        |row, cut| {
            row.$field =
                Some(Millicelsius(small(cut.first).ok_or("a whole number of thousandths of a degree")?));
            Ok(())
        }
    };
    (percent $field:ident) => {
        |row, cut| {
            row.$field = Some(Percent(percent(cut.first).ok_or("a percentage like 96%")?));
            Ok(())
        }
    };
    (id $field:ident) => {
        |row, cut| {
            row.$field =
                Some(small(cut.first).and_then(|id| u16::try_from(id).ok()).ok_or("the number of a cell")?);
            Ok(())
        }
    };
    (word $field:ident) => {
        |row, cut| {
            row.$field = Some(state_word(cut.first)?);
            Ok(())
        }
    };
    (text $field:ident) => {
        |row, cut| {
            row.$field = Some(plain_text(cut.first)?);
            Ok(())
        }
    };
    (charge $soc:ident $amount:ident) => {
        |row, cut| {
            if !cut.first.is_empty() {
                row.$soc = Some(Percent(percent(cut.first).ok_or("a percentage like 96%")?));
            }
            row.$amount = $crate::console::parsing::setters::charge(cut)?;
            Ok(())
        }
    };
    (energy $field:ident) => {
        |row, cut| {
            row.$field = $crate::console::parsing::setters::energy(cut)?;
            Ok(())
        }
    };
    (stamp $field:ident) => {
        |row, cut| {
            row.$field = date_time(cut.first, cut.second).ok_or("a date and a time")?;
            Ok(())
        }
    };
}
pub(crate) use set;

use crate::console::parsing::number::{integer, is_plain};
use crate::console::parsing::table::Cut;
use crate::model::units::{MilliampHours, MilliwattHours};
use crate::model::word::Word;

/// A state word: a letter, then letters, digits and the few marks that occur in them. A number is none: it
/// comes from the column beside.
pub(crate) fn state_word(token: &str) -> Result<Word, &'static str> {
    if is_plain(token) && token.starts_with(|c: char| c.is_ascii_alphabetic()) {
        Ok(Word::new(token))
    } else {
        Err("a word")
    }
}

/// A barcode or a type: letters, digits, dashes.
pub(crate) fn plain_text(token: &str) -> Result<String, &'static str> {
    if is_plain(token) { Ok(token.to_owned()) } else { Err("letters and digits") }
}

/// The amount of a charge; nothing where the column holds a percentage alone.
pub(crate) fn charge(cut: Cut<'_>) -> Result<Option<MilliampHours>, &'static str> {
    const EXPECTED: &str = "a whole number of mAH";
    match (cut.second, cut.unit) {
        ("", _) => Ok(None),
        (amount, "" | "mAH") => Ok(Some(MilliampHours(integer(amount).ok_or(EXPECTED)?))),
        _ => Err(EXPECTED),
    }
}

/// The same of an energy; some firmware counts in whole watt-hours.
pub(crate) fn energy(cut: Cut<'_>) -> Result<Option<MilliwattHours>, &'static str> {
    const EXPECTED: &str = "a whole number of mWH or WH";
    let each = match (cut.second, cut.unit) {
        ("", _) => return Ok(None),
        (_, "" | "mWH") => 1,
        (_, "WH") => 1000,
        _ => return Err(EXPECTED),
    };
    let amount = integer(cut.second).and_then(|amount| amount.checked_mul(each));
    amount.map(|amount| Some(MilliwattHours(amount))).ok_or(EXPECTED)
}
