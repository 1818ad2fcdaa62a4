//! Setters shared by several tables, so that a column is one line of data.

/// Creates a setter for a [`TableColumn`](crate::console::parsing::table::TableColumn): the kind of value, then the
/// field that stores it.
macro_rules! set {
    (mv $field:ident) => {
        |row, value| {
            row.$field = Some(Millivolts(small(value.first).ok_or("a whole number of mV")?));
            Ok(())
        }
    };
    (ma $field:ident) => {
        |row, value| {
            row.$field = Some(Milliamps(small(value.first).ok_or("a whole number of mA")?));
            Ok(())
        }
    };
    (mc $field:ident) => {
        |row, value| {
            row.$field =
                Some(Millicelsius(small(value.first).ok_or("a whole number of thousandths of a degree")?));
            Ok(())
        }
    };
    (percent $field:ident) => {
        |row, value| {
            row.$field = Some(Percent(percent(value.first).ok_or("a percentage like 96%")?));
            Ok(())
        }
    };
    (id $field:ident) => {
        |row, value| {
            row.$field =
                Some(small(value.first).and_then(|id| u16::try_from(id).ok()).ok_or("a cell number")?);
            Ok(())
        }
    };
    (word $field:ident) => {
        |row, value| {
            row.$field = Some(state_word(value.first)?);
            Ok(())
        }
    };
    (text $field:ident) => {
        |row, value| {
            row.$field = Some(plain_text(value.first)?);
            Ok(())
        }
    };
    (charge $soc:ident $amount:ident) => {
        |row, value| {
            if !value.first.is_empty() {
                row.$soc = Some(Percent(percent(value.first).ok_or("a percentage like 96%")?));
            }
            row.$amount = $crate::console::parsing::setters::charge(value)?;
            Ok(())
        }
    };
    (energy $field:ident) => {
        |row, value| {
            row.$field = $crate::console::parsing::setters::energy(value)?;
            Ok(())
        }
    };
    (date_time $field:ident) => {
        |row, value| {
            row.$field = date_time(value.first, value.second).ok_or("a date and a time")?;
            Ok(())
        }
    };
}
pub(crate) use set;

use crate::console::parsing::number::{integer, is_plain};
use crate::console::parsing::table::RawValue;
use crate::model::units::{MilliampHours, MilliwattHours};
use crate::model::word::Word;

/// A state word: a letter, then letters, digits and a few punctuation marks. A number would come from a neighbouring
/// column.
pub(crate) fn state_word(token: &str) -> Result<Word, &'static str> {
    if is_plain(token) && token.starts_with(|c: char| c.is_ascii_alphabetic()) {
        Ok(Word::new(token))
    } else {
        Err("a word")
    }
}

/// A barcode or a model.
pub(crate) fn plain_text(token: &str) -> Result<String, &'static str> {
    if is_plain(token) { Ok(token.to_owned()) } else { Err("letters and digits") }
}

/// The amount of a charge; `None` if the column has only a percentage.
pub(crate) fn charge(value: RawValue<'_>) -> Result<Option<MilliampHours>, &'static str> {
    const EXPECTED: &str = "a whole number of mAH";
    match (value.second, value.unit) {
        ("", _) => Ok(None),
        (amount, "" | "mAH") => Ok(Some(MilliampHours(integer(amount).ok_or(EXPECTED)?))),
        _ => Err(EXPECTED),
    }
}

/// The amount of an energy; some firmware counts in whole watt-hours.
pub(crate) fn energy(value: RawValue<'_>) -> Result<Option<MilliwattHours>, &'static str> {
    const EXPECTED: &str = "a whole number of mWH or WH";
    let each = match (value.second, value.unit) {
        ("", _) => return Ok(None),
        (_, "" | "mWH") => 1,
        (_, "WH") => 1000,
        _ => return Err(EXPECTED),
    };
    let amount = integer(value.second).and_then(|amount| amount.checked_mul(each));
    amount.map(|amount| Some(MilliwattHours(amount))).ok_or(EXPECTED)
}
