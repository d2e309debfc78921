//! Words with values in them.

use std::sync::Arc;

use super::{
    Problem, Shell, arithmetic,
    lexer::{Part, Word, unknown},
    parser::Op,
};
use crate::process::{Effect, Output};

/// A substitution does at most so many steps, and takes no time.
const STEPS: u32 = 10_000;
/// The longest value, in bytes.
const LONGEST: usize = 1 << 20;

impl Shell {
    /// The values of words: one may be several, or none.
    pub(super) fn expand_all(&mut self, words: &[Word]) -> Result<Vec<String>, Problem> {
        let mut all = Vec::new();
        for word in words {
            self.expand(word, &mut all)?;
        }
        Ok(all)
    }

    /// The value of a word that is not split.
    pub(super) fn expand_one(&mut self, word: &Word) -> Result<String, Problem> {
        let mut value = String::new();
        for part in word {
            value.push_str(&self.value(part)?);
        }
        Ok(value)
    }

    fn expand(&mut self, word: &Word, all: &mut Vec<String>) -> Result<(), Problem> {
        let mut current: Option<String> = None;
        for part in word {
            let value = self.value(part)?;
            let is_split = matches!(part, Part::Variable { quoted: false, .. } | Part::Output { quoted: false, .. });
            if !is_split {
                current.get_or_insert_default().push_str(&value);
                continue;
            }
            if value.starts_with(char::is_whitespace) {
                all.extend(current.take());
            }
            let mut pieces = value.split_whitespace().peekable();
            while let Some(piece) = pieces.next() {
                current.get_or_insert_default().push_str(piece);
                if pieces.peek().is_some() || value.ends_with(char::is_whitespace) {
                    all.extend(current.take());
                }
            }
        }
        all.extend(current);
        Ok(())
    }

    fn value(&mut self, part: &Part) -> Result<String, Problem> {
        let value = self.any_value(part)?;
        if value.len() > LONGEST { unknown("a text of such a length") } else { Ok(value) }
    }

    fn any_value(&mut self, part: &Part) -> Result<String, Problem> {
        match part {
            Part::Text(text) => Ok(text.clone()),
            Part::Variable { name, default, .. } => {
                let value = self.parameter(name);
                Ok(if value.is_empty() { default.clone() } else { value })
            }
            Part::Output { script, .. } => self.substitute(script),
            Part::Arithmetic(expression) => {
                let value = arithmetic::value(expression, &|name| self.parameter(name));
                value.map(|value| value.to_string()).map_or_else(|| unknown(&format!("$(({expression}))")), Ok)
            }
        }
    }

    fn parameter(&self, name: &str) -> String {
        match name {
            "?" => self.status.to_string(),
            "#" => self.arguments.len().saturating_sub(1).to_string(),
            // As PID 1 of its container.
            "$" => "1".to_owned(),
            _ => match name.parse::<usize>() {
                Ok(index) => self.arguments.get(index).cloned().unwrap_or_default(),
                Err(_) => self.variables.get(name).cloned().unwrap_or_default(),
            },
        }
    }

    /// What a script writes, without the newlines at its end.
    fn substitute(&mut self, script: &[Op]) -> Result<String, Problem> {
        let at = self.wake.unwrap_or_default();
        let mut inner = Self {
            script: Arc::from(script),
            next: 0,
            wake: Some(at),
            loops: Vec::new(),
            line: String::new(),
            busy: 0,
            ..self.clone()
        };
        let mut output = Output::new(0);
        for _ in 0..STEPS {
            if output.has_exited() {
                break;
            }
            inner.step(at, &mut output);
            if inner.wake != Some(at) {
                return unknown("$(…) that takes time");
            }
        }
        if let Some(problem) = inner.problem {
            return Err(problem);
        }
        self.status = inner.status;
        let lines = output.effects().iter().filter_map(|effect| match effect {
            Effect::Log(line) => Some(line.as_str()),
            _ => None,
        });
        Ok(lines.collect::<Vec<_>>().join("\n").trim_end_matches('\n').to_owned())
    }
}
