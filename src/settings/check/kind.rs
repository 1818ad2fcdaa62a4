//! What a setting may be: how a text becomes its value, and whether a value fits.

use std::{borrow::Cow, ops::RangeInclusive, time::Duration};

use figment::value::Value;

/// What a setting may be.
#[derive(Debug)]
pub enum Kind {
    /// `true` or `false`.
    Flag,
    /// A whole number in a range.
    Number(RangeInclusive<i64>),
    /// One of these whole numbers.
    OneOf(&'static [i64]),
    /// A duration in a range of milliseconds; where `off` is set also `"0s"`, which it explains.
    Duration {
        /// Least and most, in milliseconds.
        range: RangeInclusive<u64>,
        /// What `"0s"` means, where it is allowed.
        off: Option<&'static str>,
    },
    /// One of these words.
    Word(&'static [&'static str]),
    /// A text of a certain form.
    Text(Form),
    /// A file or folder.
    Path(Base),
    /// A file or folder, or the empty text for none.
    OptionalPath(Base),
    /// A text that is never shown.
    Secret,
    /// `"auto"`, or what follows.
    Auto(&'static Kind),
}

/// The form of a text.
#[derive(Debug)]
pub struct Form {
    /// In words, with an example.
    pub(crate) expected: &'static str,
    /// Whether a text has it.
    pub(crate) fits: fn(&str) -> bool,
}

/// Any text.
pub(crate) const ANY_TEXT: Form = Form { expected: "a text", fits: |_| true };

/// Any text but the empty one.
pub(crate) const SOME_TEXT: Form =
    Form { expected: "a text that is not empty", fits: |text| !text.is_empty() };

/// Where a relative path begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Base {
    /// Where the service runs: `data_dir` itself.
    Current,
    /// In `data_dir`: what the service writes.
    Data,
    /// Beside the settings' file: what people lay there for the service to read.
    Settings,
}

/// Why a value does not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// What would fit.
    pub(crate) expected: String,
    /// What there was; of a secret only its type.
    pub(crate) found: String,
}

impl Kind {
    /// Whether the value must never be shown.
    #[must_use]
    pub(crate) fn is_secret(&self) -> bool {
        matches!(self, Self::Secret)
    }

    /// Makes a value of a text from a variable, the command line or a table, guided by what is wanted.
    ///
    /// # Errors
    /// When the text does not fit.
    pub fn read(&self, text: &str) -> Result<Value, Mismatch> {
        let value = self.typed(text);
        self.check(&value)?;
        Ok(value)
    }

    /// The text as this kind's type; left a text, which then does not fit, where it can't be.
    fn typed(&self, text: &str) -> Value {
        match self {
            Self::Flag => text.parse().map_or_else(|_| text.into(), |flag: bool| flag.into()),
            Self::Number(_) | Self::OneOf(_) => {
                text.parse().map_or_else(|_| text.into(), |number: i64| number.into())
            }
            Self::Auto(inner) if text != "auto" => inner.typed(text),
            _ => text.into(),
        }
    }

    /// Whether a value fits.
    ///
    /// # Errors
    /// With what was expected and what was found.
    pub(crate) fn check(&self, value: &Value) -> Result<(), Mismatch> {
        if self.fits(value) {
            return Ok(());
        }
        Err(Mismatch { expected: self.expected().into_owned(), found: self.found(value) })
    }

    fn fits(&self, value: &Value) -> bool {
        let text = value.as_str();
        let number = || value.to_i128().and_then(|number| i64::try_from(number).ok());
        match self {
            Self::Flag => matches!(value, Value::Bool(..)),
            Self::Number(range) => number().is_some_and(|number| range.contains(&number)),
            Self::OneOf(numbers) => number().is_some_and(|number| numbers.contains(&number)),
            Self::Duration { range, off } => {
                text.and_then(|text| humantime::parse_duration(text).ok()).is_some_and(|duration| {
                    let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
                    range.contains(&millis) || (off.is_some() && duration.is_zero())
                })
            }
            Self::Word(words) => text.is_some_and(|text| words.contains(&text)),
            Self::Text(form) => text.is_some_and(form.fits),
            Self::Path(_) => text.is_some_and(|text| !text.is_empty() && !text.contains('\0')),
            Self::OptionalPath(_) => text.is_some_and(|text| !text.contains('\0')),
            Self::Secret => text.is_some(),
            Self::Auto(inner) => text == Some("auto") || inner.fits(value),
        }
    }

    /// What fits, in words.
    #[must_use]
    pub(crate) fn expected(&self) -> Cow<'static, str> {
        let list = |words: Vec<String>| words.join(", ");
        match self {
            Self::Flag => "true or false".into(),
            Self::Number(range) => format!("a whole number from {} to {}", range.start(), range.end()).into(),
            Self::OneOf(numbers) => {
                format!("one of {}", list(numbers.iter().map(ToString::to_string).collect())).into()
            }
            Self::Duration { range, off } => {
                let [least, most] = [range.start(), range.end()]
                    .map(|millis| humantime::format_duration(Duration::from_millis(*millis)));
                let off = off.map(|meaning| format!(", or \"0s\": {meaning}")).unwrap_or_default();
                format!("a duration such as \"500ms\", \"10s\" or \"7d\", from {least} to {most}{off}").into()
            }
            Self::Word(words) => {
                format!("one of {}", list(words.iter().map(|word| format!("{word:?}")).collect())).into()
            }
            Self::Text(form) => form.expected.into(),
            Self::Path(_) => "a path".into(),
            Self::OptionalPath(_) => "a path, or \"\" for none".into(),
            Self::Secret => "a text (in quotes)".into(),
            Self::Auto(inner) => format!("\"auto\" or {}", inner.expected()).into(),
        }
    }

    fn found(&self, value: &Value) -> String {
        match value {
            _ if self.is_secret() => format!("{} (hidden)", type_name(value)),
            Value::String(_, text) => format!("{:?}", without_secrets(text)),
            Value::Num(_, number) => {
                let number =
                    number.to_i128().map(|n| n.to_string()).or(number.to_f64().map(|n| n.to_string()));
                format!("the number {}", number.unwrap_or_default())
            }
            Value::Bool(_, flag) => flag.to_string(),
            _ => type_name(value).to_owned(),
        }
    }
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::String(..) => "a text",
        Value::Bool(..) => "true or false without quotes",
        Value::Num(..) => "a number without quotes",
        Value::Char(..) => "a date without quotes",
        Value::Array(..) => "a list",
        Value::Dict(..) => "a section",
        Value::Empty(..) => "nothing",
    }
}

/// A URL may hold a password before its `@` or behind its `?`, where it does not belong: errors leave both out.
fn without_secrets(text: &str) -> String {
    let (scheme, rest) = match text.split_once("://") {
        Some((scheme, rest)) => (format!("{scheme}://"), rest),
        None => (String::new(), text),
    };
    let rest = rest.rsplit_once('@').map_or(rest.to_owned(), |(_, host)| format!("(hidden)@{host}"));
    let rest = rest.split_once('?').map_or(rest.clone(), |(address, _)| format!("{address}?(hidden)"));
    scheme + &rest
}
