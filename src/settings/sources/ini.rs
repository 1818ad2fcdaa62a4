//! Parses INI files as Python's `ConfigParser` does, for `pytes_serial.cfg`.
//!
//! The first `=` or `:` is the delimiter; option names are case-insensitive, section names are not; a line that begins
//! with `#` or `;` is a comment, but after a value both belong to it; a line that is indented deeper than its option
//! continues the value; values are trimmed; an option in `[DEFAULT]` applies to each section.

use std::collections::BTreeSet;

#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Ini {
    pub(crate) options: Vec<OptionLine>,
    pub(crate) errors: Vec<IniError>,
    /// Sections and names of the options.
    known: BTreeSet<(String, String)>,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct OptionLine {
    pub(crate) section: String,
    /// In lower case.
    pub(crate) name: String,
    pub(crate) value: String,
    /// From 1.
    pub(crate) line: usize,
}

/// An invalid line; without its text, which may be part of a password.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct IniError {
    pub(crate) line: usize,
    pub(crate) what: &'static str,
}

const DEFAULT: &str = "DEFAULT";

impl Ini {
    /// Parses a text; invalid lines become errors.
    pub(crate) fn parse(text: &str) -> Self {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text).replace("\r\n", "\n").replace('\r', "\n");
        let mut ini = Self::default();
        let mut section: Option<String> = None;
        // The indentation of the last option, if it can be continued.
        let mut open_option: Option<usize> = None;
        for (at, line) in text.split('\n').enumerate() {
            let (line_number, content) = (at + 1, line.trim());
            if content.starts_with(['#', ';']) {
                continue;
            }
            let indent = line.chars().take_while(|c| c.is_whitespace()).count();
            let is_continuation = open_option.is_some_and(|depth| content.is_empty() || indent > depth);
            if is_continuation && let Some(option) = ini.options.last_mut() {
                option.value.push('\n');
                option.value.push_str(content);
            } else if content.is_empty() {
                // Nothing to continue.
            } else if let Some(header) = header(content) {
                section = Some(header.to_owned());
                open_option = None;
            } else {
                open_option = None;
                let added = match &section {
                    Some(section) => ini.add(section, content, line_number),
                    None => Err("expected a section header such as [serial] before it"),
                };
                match added {
                    Ok(()) => open_option = Some(indent),
                    Err(what) => ini.errors.push(IniError { line: line_number, what }),
                }
            }
        }
        for option in &mut ini.options {
            option.value.truncate(option.value.trim_end().len());
        }
        ini
    }

    fn add(&mut self, section: &str, content: &str, line: usize) -> Result<(), &'static str> {
        let (name, value) = content.split_once(['=', ':']).ok_or("expected `option = value`")?;
        let (name, value) = (name.trim().to_lowercase(), value.trim().to_owned());
        if name.is_empty() {
            return Err("expected a name before the =");
        }
        if !self.known.insert((section.to_owned(), name.clone())) {
            return Err("this option occurs twice in its section; remove one");
        }
        self.options.push(OptionLine { section: section.to_owned(), name, value, line });
        Ok(())
    }

    /// Finds an option in the section, else in `[DEFAULT]`.
    pub(crate) fn get(&self, section: &str, name: &str) -> Option<&OptionLine> {
        let in_section = |section: &str| {
            self.options.iter().find(|o| o.section == section && o.name.eq_ignore_ascii_case(name))
        };
        in_section(section).or_else(|| in_section(DEFAULT))
    }
}

/// The text between the brackets; what follows them is ignored.
fn header(content: &str) -> Option<&str> {
    let inside = content.strip_prefix('[')?;
    inside.rfind(']').filter(|end| *end > 0).and_then(|end| inside.get(..end))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(text: &str) -> Vec<String> {
        Ini::parse(text)
            .options
            .into_iter()
            .map(|o| format!("{}.{}={}", o.section, o.name, o.value))
            .collect()
    }

    #[test]
    fn the_first_delimiter_counts_and_what_follows_belongs_to_the_value() {
        assert_eq!(values("[s]\na = b:c=d ; e # f\nG: h\ni=\n"), ["s.a=b:c=d ; e # f", "s.g=h", "s.i="]);
    }

    #[test]
    fn deeper_lines_continue_a_value_across_comments_and_blank_lines() {
        assert_eq!(values("[s]\n a = 1\n  2\n# no\n\n  3\n b = 4\n\n"), ["s.a=1\n2\n\n3", "s.b=4"]);
    }

    #[test]
    fn sections_keep_their_case_and_what_follows_them_is_ignored() {
        assert_eq!(
            values("[Maria DB connection] x\nHost=h\n[mqtt]\nhost=i\n"),
            ["Maria DB connection.host=h", "mqtt.host=i"]
        );
    }

    #[test]
    fn invalid_lines_are_reported_and_the_others_read() {
        let ini = Ini::parse("a=1\n[s]\nnothing\n=2\nb=3\nB=4\n");
        assert_eq!(ini.errors.iter().map(|error| error.line).collect::<Vec<_>>(), [1, 3, 4, 6]);
        assert_eq!(ini.get("s", "B").map(|option| option.value.as_str()), Some("3"));
    }

    #[test]
    fn the_largest_allowed_file_is_read_within_seconds() {
        let options: String = (0..60_000).map(|number| format!("q{number} = 1\n")).collect();
        let start = std::time::Instant::now();
        assert_eq!(Ini::parse(&format!("[s]\n{options}")).options.len(), 60_000);
        assert!(start.elapsed() < std::time::Duration::from_secs(5), "{:?}", start.elapsed());
    }
}
