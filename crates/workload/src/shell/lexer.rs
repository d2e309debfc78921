//! The words and signs of a script.

use std::{iter::Peekable, mem, str::Chars};

use super::{
    Problem,
    parser::{self, Op},
};

/// A word: its parts, one after the other.
pub(super) type Word = Vec<Part>;

/// A part of a word. What is not quoted and comes out of an expansion is split at blanks.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Part {
    /// A text as it is.
    Text(String),
    /// A variable, and what stands for it if it is not set or empty.
    Variable { name: String, default: String, quoted: bool },
    /// What a script writes.
    Output { script: Vec<Op>, quoted: bool },
    /// The value of an arithmetic expression.
    Arithmetic(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Descriptor {
    Output = 0,
    Errors = 1,
}

/// Where output goes.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Target {
    File(Word),
    /// Where another output goes.
    Descriptor(Descriptor),
}

/// A redirection of output.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Redirect {
    pub(super) from: Descriptor,
    pub(super) append: bool,
    pub(super) target: Target,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    Word(Word),
    Redirect(Redirect),
    Semicolon,
    Line,
    And,
    Or,
    End,
}

pub(super) struct Lexer<'a> {
    chars: Peekable<Chars<'a>>,
    /// How deep the substitutions are nested around this script.
    depth: u8,
}

/// A script in a script in a script … ends somewhere.
const DEEPEST: u8 = 8;

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str, depth: u8) -> Self {
        Self { chars: text.chars().peekable(), depth }
    }

    pub(super) fn token(&mut self) -> Result<Token, Problem> {
        while self.chars.next_if(|c| matches!(c, ' ' | '\t' | '\r')).is_some() {}
        match self.chars.peek() {
            None => return Ok(Token::End),
            Some('#') => while self.chars.next_if(|c| *c != '\n').is_some() {},
            Some(_) => {}
        }
        let Some(c) = self.chars.peek().copied() else { return Ok(Token::End) };
        match c {
            '\n' => {
                self.chars.next();
                Ok(Token::Line)
            }
            ';' => {
                self.chars.next();
                if self.chars.peek() == Some(&';') { unknown(";;") } else { Ok(Token::Semicolon) }
            }
            '&' => {
                self.chars.next();
                if self.chars.next_if_eq(&'&').is_some() { Ok(Token::And) } else { unknown("&") }
            }
            '|' => {
                self.chars.next();
                if self.chars.next_if_eq(&'|').is_some() { Ok(Token::Or) } else { unknown("|") }
            }
            '<' | '(' | ')' => unknown(&c.to_string()),
            '>' => {
                self.chars.next();
                self.redirect(Descriptor::Output)
            }
            _ => self.word_or_redirect(),
        }
    }

    fn word_or_redirect(&mut self) -> Result<Token, Problem> {
        let word = self.word()?;
        if self.chars.peek() != Some(&'>') {
            return Ok(Token::Word(word));
        }
        let from = match &word[..] {
            [Part::Text(text)] if text == "1" => Descriptor::Output,
            [Part::Text(text)] if text == "2" => Descriptor::Errors,
            _ => return Ok(Token::Word(word)),
        };
        self.chars.next();
        self.redirect(from)
    }

    fn redirect(&mut self, from: Descriptor) -> Result<Token, Problem> {
        let append = self.chars.next_if_eq(&'>').is_some();
        if !append && self.chars.next_if_eq(&'&').is_some() {
            let to = match self.chars.next() {
                Some('1') => Descriptor::Output,
                Some('2') => Descriptor::Errors,
                _ => return unknown(">&"),
            };
            return Ok(Token::Redirect(Redirect { from, append, target: Target::Descriptor(to) }));
        }
        while self.chars.next_if(|c| matches!(c, ' ' | '\t')).is_some() {}
        let word = self.word()?;
        if word.is_empty() {
            return Err(Problem::Syntax("syntax error: a redirection without a file".to_owned()));
        }
        Ok(Token::Redirect(Redirect { from, append, target: Target::File(word) }))
    }

    /// The next word; one of no parts if there is none.
    fn word(&mut self) -> Result<Word, Problem> {
        let mut word = Word::new();
        let mut text = String::new();
        while let Some(c) = self.chars.peek().copied() {
            if matches!(c, ' ' | '\t' | '\r' | '\n' | ';' | '&' | '|' | '<' | '>' | '(' | ')') {
                break;
            }
            self.chars.next();
            match c {
                '\'' => {
                    end_text(&mut text, &mut word);
                    word.push(Part::Text(self.until('\'')?));
                }
                '"' => {
                    end_text(&mut text, &mut word);
                    self.quotation(&mut word)?;
                }
                '\\' => text.extend(self.chars.next().filter(|c| *c != '\n')),
                '$' | '`' => {
                    end_text(&mut text, &mut word);
                    word.push(self.expansion(c, false)?);
                }
                '*' | '?' => return unknown(&c.to_string()),
                // `[` alone is a command.
                '[' if !(word.is_empty() && text.is_empty() && self.at_blank()) => return unknown("["),
                c => text.push(c),
            }
        }
        end_text(&mut text, &mut word);
        Ok(word)
    }

    fn at_blank(&mut self) -> bool {
        self.chars.peek().is_none_or(|c| c.is_whitespace())
    }

    fn until(&mut self, end: char) -> Result<String, Problem> {
        let mut text = String::new();
        loop {
            match self.chars.next() {
                None => return Err(unterminated(end)),
                Some(c) if c == end => return Ok(text),
                Some(c) => text.push(c),
            }
        }
    }

    fn quotation(&mut self, word: &mut Word) -> Result<(), Problem> {
        let mut text = String::new();
        loop {
            match self.chars.next().ok_or_else(|| unterminated('"'))? {
                '"' => {
                    // A word may be empty when it is quoted.
                    word.push(Part::Text(text));
                    return Ok(());
                }
                c @ ('$' | '`') => {
                    word.push(Part::Text(mem::take(&mut text)));
                    word.push(self.expansion(c, true)?);
                }
                '\\' => match self.chars.next().ok_or_else(|| unterminated('"'))? {
                    c @ ('"' | '\\' | '$' | '`') => text.push(c),
                    '\n' => {}
                    c => text.extend(['\\', c]),
                },
                c => text.push(c),
            }
        }
    }

    /// What comes after a `$` or a backquote.
    fn expansion(&mut self, sign: char, quoted: bool) -> Result<Part, Problem> {
        if sign == '`' {
            let text = self.until('`')?;
            return self.output(&text, quoted);
        }
        match self.chars.peek().copied() {
            Some('(') => {
                let text = self.parenthesised()?;
                match text.strip_prefix('(').and_then(|text| text.strip_suffix(')')) {
                    Some(expression) => Ok(Part::Arithmetic(expression.to_owned())),
                    None => self.output(&text, quoted),
                }
            }
            Some('{') => {
                self.chars.next();
                let text = self.until('}')?;
                let (name, default) = text.split_once(":-").unwrap_or((&text, ""));
                if !is_name(name) && !is_special(name) || default.contains(['$', '`', '"', '\'']) {
                    return unknown(&format!("${{{text}}}"));
                }
                Ok(Part::Variable { name: name.to_owned(), default: default.to_owned(), quoted })
            }
            Some(c) if is_special(&c.to_string()) => {
                self.chars.next();
                Ok(Part::Variable { name: c.to_string(), default: String::new(), quoted })
            }
            Some(c @ ('@' | '*' | '!' | '-' | '\'')) => unknown(&format!("${c}")),
            _ => {
                let mut name = String::new();
                while let Some(c) = self.chars.next_if(|c| c.is_ascii_alphanumeric() || *c == '_') {
                    name.push(c);
                }
                if name.is_empty() {
                    return Ok(Part::Text("$".to_owned()));
                }
                Ok(Part::Variable { name, default: String::new(), quoted })
            }
        }
    }

    fn output(&self, text: &str, quoted: bool) -> Result<Part, Problem> {
        if self.depth >= DEEPEST {
            return unknown("$(");
        }
        Ok(Part::Output { script: parser::parse_nested(text, self.depth + 1)?, quoted })
    }

    /// The text in parentheses that match.
    fn parenthesised(&mut self) -> Result<String, Problem> {
        self.chars.next();
        let mut text = String::new();
        let (mut open, mut quote) = (1, None);
        loop {
            let c = self.chars.next().ok_or_else(|| unterminated('('))?;
            match (quote, c) {
                (Some(end), c) if c == end => quote = None,
                (None, '\'' | '"') => quote = Some(c),
                (None, '(') => open += 1,
                (None, ')') => open -= 1,
                _ => {}
            }
            if open == 0 {
                return Ok(text);
            }
            text.push(c);
        }
    }
}

fn end_text(text: &mut String, word: &mut Word) {
    if !text.is_empty() {
        word.push(Part::Text(mem::take(text)));
    }
}

pub(super) fn is_name(text: &str) -> bool {
    let mut chars = text.chars();
    chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_') && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Parameters that are no names: `$?`, `$#`, `$$`, `$0` to `$9`.
fn is_special(text: &str) -> bool {
    matches!(text.as_bytes(), [b'?' | b'#' | b'$' | b'0'..=b'9'])
}

fn unterminated(quote: char) -> Problem {
    Problem::Syntax(format!("syntax error: unterminated {quote}"))
}

pub(super) fn unknown<T>(what: &str) -> Result<T, Problem> {
    Err(Problem::Unknown(what.to_owned()))
}
