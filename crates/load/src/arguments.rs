//! The command line: `--name value`, `--switch`, and bare words.

use std::str::FromStr;

use crate::error::LoadError;

/// What is left of the command line; whoever takes an option removes it.
pub(crate) struct Arguments {
    words: Vec<String>,
}

impl Arguments {
    pub(crate) fn new(words: Vec<String>) -> Self {
        Self { words }
    }

    /// Takes `--name value`, if given.
    pub(crate) fn option<T: FromStr>(&mut self, name: &str) -> Result<Option<T>, LoadError> {
        let Some(at) = self.words.iter().position(|word| word == name) else { return Ok(None) };
        self.words.remove(at);
        if at == self.words.len() {
            return Err(LoadError::Usage(format!("{name} wants a value")));
        }
        let value = self.words.remove(at);
        parsed(&value, name).map(Some)
    }

    /// Takes `--name`, if given.
    pub(crate) fn switch(&mut self, name: &str) -> bool {
        let Some(at) = self.words.iter().position(|word| word == name) else { return false };
        self.words.remove(at);
        true
    }

    /// Takes the first bare word; call it after every option was taken.
    pub(crate) fn word<T: FromStr>(&mut self, name: &str) -> Result<Option<T>, LoadError> {
        let Some(at) = self.words.iter().position(|word| !word.starts_with("--")) else {
            return Ok(None);
        };
        let value = self.words.remove(at);
        parsed(&value, name).map(Some)
    }

    /// Refuses whatever nobody took.
    pub(crate) fn finish(self) -> Result<(), LoadError> {
        match self.words.first() {
            None => Ok(()),
            Some(word) => Err(LoadError::Usage(format!("`{word}` means nothing here; see --help"))),
        }
    }
}

fn parsed<T: FromStr>(value: &str, name: &str) -> Result<T, LoadError> {
    // 1_000_000 is easier to read than 1000000.
    // Numbers may be written as in a program; what is no number is taken as it is.
    let is_number = value.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_');
    let plain = if is_number { value.replace('_', "") } else { value.to_owned() };
    plain
        .parse()
        .or_else(|_| value.parse())
        .map_err(|_| LoadError::Usage(format!("{name}: `{value}` is not a value that it takes")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn arguments(line: &str) -> Arguments {
        Arguments::new(line.split_whitespace().map(str::to_owned).collect())
    }

    #[test]
    fn options_switches_and_words_are_taken_in_any_order() {
        let mut given = arguments("--tls 1_000 --size 16");
        assert_eq!(given.option::<usize>("--size").unwrap(), Some(16));
        assert!(given.switch("--tls"));
        assert!(!given.switch("--tls"));
        assert_eq!(given.word::<usize>("count").unwrap(), Some(1000));
        given.finish().unwrap();
    }

    #[test]
    fn what_nobody_took_is_refused_by_name() {
        let error = arguments("--sizes 16").finish().unwrap_err();
        assert!(error.to_string().contains("--sizes"));
    }

    #[test]
    fn a_value_that_is_missing_or_wrong_is_refused() {
        assert!(arguments("--size").option::<usize>("--size").is_err());
        assert!(arguments("--size big").option::<usize>("--size").is_err());
    }
}
