//! The kinds of settings: how a text becomes a value, and which values are allowed.

use std::{borrow::Cow, ops::RangeInclusive, time::Duration};

use figment::value::Value;

#[derive(Debug)]
pub enum SettingKind {
    Bool,
    Number(RangeInclusive<i64>),
    OneOf(&'static [i64]),
    /// A duration; also `"0s"` if `off` is set.
    Duration {
        /// In milliseconds.
        range: RangeInclusive<u64>,
        /// What `"0s"` means, if it is allowed.
        off: Option<&'static str>,
    },
    Choice(&'static [&'static str]),
    Text(TextFormat),
    Path(PathBase),
    /// Empty for none.
    OptionalPath(PathBase),
    /// Never shown.
    Secret,
    /// `"auto"`, or a value of the inner kind.
    Auto(&'static SettingKind),
}

#[derive(Debug)]
pub struct TextFormat {
    /// A description with an example, for error messages.
    pub(crate) expected: &'static str,
    pub(crate) fits: fn(&str) -> bool,
}

pub(crate) const ANY_TEXT: TextFormat = TextFormat { expected: "a text", fits: |_| true };

pub(crate) const NON_EMPTY_TEXT: TextFormat =
    TextFormat { expected: "a text that is not empty", fits: |text| !text.is_empty() };

/// The folder against which a relative path is resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathBase {
    /// The current directory, for `data_dir` itself.
    Current,
    /// `data_dir`, for files that the service writes.
    Data,
    /// The folder of the configuration file, for files that the user provides.
    Settings,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    pub(crate) expected: String,
    /// For a secret only its type.
    pub(crate) found: String,
}

impl SettingKind {
    #[must_use]
    pub(crate) fn is_secret(&self) -> bool {
        matches!(self, Self::Secret)
    }

    /// Converts a text from a variable, the command line or `pytes_serial.cfg`.
    pub fn parse(&self, text: &str) -> Result<Value, Mismatch> {
        let value = self.typed(text);
        self.check(&value)?;
        Ok(value)
    }

    /// The text as a value of this kind's type; if that is impossible it stays a text, which the check then rejects.
    fn typed(&self, text: &str) -> Value {
        match self {
            Self::Bool => text.parse().map_or_else(|_| text.into(), |flag: bool| flag.into()),
            Self::Number(_) | Self::OneOf(_) => {
                text.parse().map_or_else(|_| text.into(), |number: i64| number.into())
            }
            Self::Auto(inner) if text != "auto" => inner.typed(text),
            _ => text.into(),
        }
    }

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
            Self::Bool => matches!(value, Value::Bool(..)),
            Self::Number(range) => number().is_some_and(|number| range.contains(&number)),
            Self::OneOf(numbers) => number().is_some_and(|number| numbers.contains(&number)),
            Self::Duration { range, off } => {
                text.and_then(|text| humantime::parse_duration(text).ok()).is_some_and(|duration| {
                    let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
                    range.contains(&millis) || (off.is_some() && duration.is_zero())
                })
            }
            Self::Choice(words) => text.is_some_and(|text| words.contains(&text)),
            Self::Text(form) => text.is_some_and(form.fits),
            Self::Path(_) => text.is_some_and(|text| !text.is_empty() && !text.contains('\0')),
            Self::OptionalPath(_) => text.is_some_and(|text| !text.contains('\0')),
            Self::Secret => text.is_some(),
            Self::Auto(inner) => text == Some("auto") || inner.fits(value),
        }
    }

    /// Describes the allowed values.
    #[must_use]
    pub(crate) fn expected(&self) -> Cow<'static, str> {
        let list = |words: Vec<String>| words.join(", ");
        match self {
            Self::Bool => "true or false".into(),
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
            Self::Choice(words) => {
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

/// Hides what a URL has before its `@` and after its `?`, since users put passwords there by mistake.
fn without_secrets(text: &str) -> String {
    let (scheme, rest) = match text.split_once("://") {
        Some((scheme, rest)) => (format!("{scheme}://"), rest),
        None => (String::new(), text),
    };
    let rest = rest.rsplit_once('@').map_or(rest.to_owned(), |(_, host)| format!("(hidden)@{host}"));
    let rest = rest.split_once('?').map_or(rest.clone(), |(address, _)| format!("{address}?(hidden)"));
    scheme + &rest
}
