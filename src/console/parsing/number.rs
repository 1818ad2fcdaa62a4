//! Parses numbers, units and times as consoles print them; strictly, so that damage is detected.

use jiff::civil::DateTime;

use crate::model::event_word::EventWord;

/// A whole number with an optional sign.
pub(crate) fn integer(token: &str) -> Option<i64> {
    let digits = token.strip_prefix(['-', '+']).unwrap_or(token);
    let plain = !digits.is_empty() && digits.len() <= 15 && digits.bytes().all(|b| b.is_ascii_digit());
    let magnitude = plain.then(|| digits.bytes().fold(0i64, |sum, b| sum * 10 + i64::from(b - b'0')))?;
    Some(if token.starts_with('-') { -magnitude } else { magnitude })
}

/// A whole number and its unit, with or without a blank between them: `92 %`, `50691mV`, `-90A`. The unit is whatever
/// follows the number, possibly nothing.
pub(crate) fn amount(text: &str) -> Option<(i64, &str)> {
    let text = text.trim();
    let is_number = |c: char| c.is_ascii_digit() || matches!(c, '-' | '+');
    let end = text.find(|c| !is_number(c)).unwrap_or(text.len());
    Some((integer(&text[..end])?, text[end..].trim_start()))
}

/// A whole number that fits 32 bits.
pub(crate) fn small(token: &str) -> Option<i32> {
    integer(token).and_then(|value| value.try_into().ok())
}

/// `96%`, also `107%`.
pub(crate) fn percent(token: &str) -> Option<i32> {
    small(token.strip_suffix('%')?)
}

/// `2026-07-17` `01:20:56`, also with a two-digit year. `Some(None)` means the right format but no calendar date:
/// batteries whose clock was never set print `2000-00-00 00:00:00`.
pub(crate) fn date_time(date: &str, time: &str) -> Option<Option<DateTime>> {
    // Two digits each: a lost digit would make it a different time.
    let two = |part: &str| part.len() == 2;
    if !date.split('-').skip(1).chain(time.split(':')).all(two) {
        return None;
    }
    let [year, month, day] = parts(date, '-')?;
    let [hour, minute, second] = parts(time, ':')?;
    let year = if year < 100 { year + 2000 } else { year };
    let small = |value: i16| i8::try_from(value).ok();
    let date_time = (|| {
        DateTime::new(year, small(month)?, small(day)?, small(hour)?, small(minute)?, small(second)?, 0).ok()
    })();
    Some(date_time)
}

fn parts(text: &str, separator: char) -> Option<[i16; 3]> {
    let mut parts = text.split(separator);
    let mut next = || -> Option<i16> {
        let part = parts.next()?;
        (part.len() <= 4 && part.bytes().all(|b| b.is_ascii_digit())).then(|| part.parse().ok())?
    };
    let three = [next()?, next()?, next()?];
    parts.next().is_none().then_some(three)
}

/// An event word: a number, followed by the names of its bits (protocol, section 11).
///
/// `0x…` and anything with a letter is hexadecimal. Digits alone may be hexadecimal or decimal, since some firmware
/// reportedly mixes both: the interpretation with fewer bits wins, because events occur singly or in pairs, and
/// hexadecimal, the usual format, if both have the same number of bits. `2000` is 0x2000, `8192` is 8192. Decision 0003
/// lists the values that this misinterprets.
pub(crate) fn event_word(value: &str) -> Option<EventWord> {
    let mut tokens = value.split_ascii_whitespace();
    let number = tokens.next()?;
    let bits = match number.strip_prefix("0x").or_else(|| number.strip_prefix("0X")) {
        Some(digits) => hexadecimal(digits)?,
        None => match (hexadecimal(number), decimal(number)) {
            (Some(hexadecimal), Some(decimal)) if decimal.count_ones() < hexadecimal.count_ones() => decimal,
            (hexadecimal, decimal) => hexadecimal.or(decimal)?,
        },
    };
    tokens
        .all(is_plain)
        .then(|| EventWord::printed(bits, value.trim_start().strip_prefix(number).unwrap_or("")))
}

fn hexadecimal(digits: &str) -> Option<u32> {
    let plain = digits.bytes().all(|b| b.is_ascii_hexdigit());
    plain.then(|| u32::from_str_radix(digits, 16).ok())?
}

fn decimal(digits: &str) -> Option<u32> {
    let plain = digits.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| digits.parse().ok())?
}

/// Whether a token has only letters, digits and the punctuation that occurs in names.
pub(crate) fn is_plain(token: &str) -> bool {
    !token.is_empty()
        && token.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b'/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_with_other_characters_are_rejected() {
        assert_eq!(integer("-2185"), Some(-2185));
        for damaged in ["", "-", "33x6", "3 3", "0x1", "+-1", "12345678901234567", "3.3"] {
            assert_eq!(integer(damaged), None, "{damaged}");
        }
        assert_eq!(percent("107%"), Some(107));
        assert_eq!(percent("96"), None);
    }

    #[test]
    fn a_unit_may_follow_its_number_without_a_blank() {
        assert_eq!(amount("50691mV"), Some((50_691, "mV")));
        assert_eq!(amount(" -90 A "), Some((-90, "A")));
        assert_eq!(amount("12"), Some((12, "")));
        assert_eq!(amount("33x6"), Some((33, "x6")));
        assert_eq!(amount("3 3mV"), Some((3, "3mV")));
        for damaged in ["", "mV", "5-1mV", "--5", "x6"] {
            assert_eq!(amount(damaged), None, "{damaged}");
        }
    }

    #[test]
    fn an_unset_clock_is_not_damage() {
        assert_eq!(date_time("2000-00-00", "00:00:00"), Some(None));
        assert!(date_time("26-07-17", "01:20:56").is_some_and(|time| time.is_some_and(|t| t.year() == 2026)));
        assert_eq!(date_time("2026-07-1x", "01:20:56"), None);
        assert_eq!(date_time("2026-07", "01:20:56"), None);
    }

    #[test]
    fn event_words_are_parsed_in_every_notation() {
        let bits = |text| event_word(text).map(|word| word.bits);
        assert_eq!(bits("0x2000     COULFULL"), Some(0x2000));
        assert_eq!(bits("2000"), Some(0x2000));
        assert_eq!(bits("8192"), Some(0x2000));
        assert_eq!(bits("8193"), Some(0x2001));
        assert_eq!(bits("2a"), Some(0x2a));
        assert_eq!(bits("80000000"), Some(0x8000_0000));
        assert_eq!(bits("2147483648"), Some(0x8000_0000));
        assert_eq!(bits("00000000"), Some(0));
        assert_eq!(bits("0x"), None);
        assert_eq!(bits("-4"), None);
        assert_eq!(bits("4294967296"), None);
        assert_eq!(bits("0xZ"), None);
        assert_eq!(bits("0x123456789"), None);
        let word = event_word("0x6        BHV BVNOR").expect("a word");
        assert_eq!((word.bits, word.names.join(" ")), (6, "BHV BVNOR".to_owned()));
    }

    /// The number of words with `count` bits, and those that are parsed as another word. Only words printed in digits
    /// count.
    fn misread(count: u32, print: fn(u32) -> String) -> (usize, Vec<u32>) {
        fn words(count: u32, below: u32) -> Vec<u32> {
            if count == 0 {
                return vec![0];
            }
            let highest = |shift| words(count - 1, shift).into_iter().map(move |rest| rest | 1 << shift);
            (0..below).flat_map(highest).collect()
        }
        let mut all = words(count, u32::BITS);
        all.retain(|bits| print(*bits).bytes().all(|byte| byte.is_ascii_digit()));
        let wrong =
            all.iter().filter(|bits| event_word(&print(**bits)).is_none_or(|word| word.bits != **bits));
        (all.len(), wrong.copied().collect())
    }

    #[test]
    fn digits_are_misinterpreted_only_as_decision_0003_lists() {
        let (hexadecimal, decimal) = (|bits| format!("{bits:x}"), |bits: u32| bits.to_string());
        assert_eq!(misread(1, hexadecimal), (32, vec![]));
        assert_eq!(misread(1, decimal), (32, vec![]));
        assert_eq!(misread(2, hexadecimal), (480, vec![]));
        let (all, mut wrong) = misread(2, decimal);
        wrong.sort_unstable();
        assert_eq!((all, wrong), (496, vec![10, 12, 18, 20, 24, 40, 48, 80, 1040, 2080, 4100, 8200]));
        let of_three = |print| {
            let (all, wrong) = misread(3, print);
            (wrong.len(), all)
        };
        assert_eq!((of_three(hexadecimal), of_three(decimal)), ((24, 4488), (76, 4960)));
    }
}
