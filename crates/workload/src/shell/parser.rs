//! Scripts as operations with jumps, so that a script can stop at a `sleep` anywhere in its loops.

use super::{
    Problem,
    lexer::{Lexer, Part, Redirect, Token, Word, is_name, unknown},
};

/// One step of a script.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Op {
    Run(Simple),
    Jump(usize),
    /// A jump if the command before succeeded, or did not.
    JumpIf {
        success: bool,
        to: usize,
    },
    /// Success becomes failure, and failure success.
    Not,
    /// As if a command had succeeded.
    Succeed,
    /// Begins to go through the values of words.
    Enter(Vec<Word>),
    /// Gives the next value to a variable, or goes on where there is none.
    Next {
        name: String,
        end: usize,
    },
    /// Forgets the values.
    Leave,
    Complain(Problem),
}

/// A command with its arguments.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Simple {
    pub(super) assignments: Vec<(String, Word)>,
    pub(super) words: Vec<Word>,
    pub(super) redirects: Vec<Redirect>,
}

impl Simple {
    /// A command of these words as they are.
    pub(super) fn of(words: Vec<String>) -> Self {
        Self { words: words.into_iter().map(|word| vec![Part::Text(word)]).collect(), ..Self::default() }
    }
}

/// Reads a script.
pub(super) fn parse(text: &str) -> Result<Vec<Op>, Problem> {
    parse_nested(text, 0)
}

/// Reads a script that stands in another one.
pub(super) fn parse_nested(text: &str, depth: u8) -> Result<Vec<Op>, Problem> {
    let mut parser = Parser { lexer: Lexer::new(text, depth), ahead: Token::End, ops: Vec::new(), loops: Vec::new(), depth: 0 };
    parser.advance()?;
    parser.list(&[])?;
    Ok(parser.ops)
}

/// A loop around the command that is being read: where its next turn begins, and the jumps to its end.
struct Loop {
    top: usize,
    breaks: Vec<usize>,
}

struct Parser<'a> {
    lexer: Lexer<'a>,
    ahead: Token,
    ops: Vec<Op>,
    loops: Vec<Loop>,
    depth: u8,
}

/// A jump whose place is not known yet.
const OPEN: usize = usize::MAX;
/// How deep commands may be nested.
const DEEPEST: u8 = 64;

/// Words with a meaning of their own in a real shell, at a command's place.
const UNKNOWN: [&str; 16] = [
    ".", "alias", "case", "cd", "eval", "function", "local", "read", "return", "select", "set", "shift", "trap", "umask", "unset",
    "wait",
];
/// Words that end a list.
const ENDS: [&str; 8] = ["then", "elif", "else", "fi", "do", "done", "}", "esac"];

impl Parser<'_> {
    fn advance(&mut self) -> Result<Token, Problem> {
        let next = self.lexer.token()?;
        Ok(std::mem::replace(&mut self.ahead, next))
    }

    /// The word ahead, if it is one without quotes and expansions.
    fn keyword(&self) -> Option<&str> {
        match &self.ahead {
            Token::Word(word) => match &word[..] {
                [Part::Text(text)] => Some(text),
                _ => None,
            },
            _ => None,
        }
    }

    /// Commands up to one of these words, which is left ahead, or to the end of the script if there are none.
    fn list(&mut self, ends: &[&str]) -> Result<(), Problem> {
        let mut any = false;
        loop {
            while self.ahead == Token::Line || any && self.ahead == Token::Semicolon {
                self.advance()?;
            }
            match self.keyword() {
                Some(word) if ends.contains(&word) && any => return Ok(()),
                Some(word) if ENDS.contains(&word) => return Err(unexpected(word)),
                _ => {}
            }
            if self.ahead == Token::End {
                return if ends.is_empty() { Ok(()) } else { Err(unexpected("end of the script")) };
            }
            self.and_or()?;
            any = true;
            match self.ahead {
                Token::Semicolon | Token::Line | Token::End => {}
                _ => return Err(unexpected("word")),
            }
        }
    }

    /// Commands joined by `&&` and `||`.
    fn and_or(&mut self) -> Result<(), Problem> {
        self.command()?;
        while matches!(self.ahead, Token::And | Token::Or) {
            let success = self.ahead == Token::Or;
            self.advance()?;
            while self.ahead == Token::Line {
                self.advance()?;
            }
            let jump = self.push(Op::JumpIf { success, to: OPEN });
            self.command()?;
            self.land(jump);
        }
        Ok(())
    }

    fn command(&mut self) -> Result<(), Problem> {
        if self.depth >= DEEPEST {
            return unknown("commands nested so deep");
        }
        self.depth += 1;
        let read = self.any_command();
        self.depth -= 1;
        read
    }

    fn any_command(&mut self) -> Result<(), Problem> {
        let keyword = self.keyword().unwrap_or_default().to_owned();
        match keyword.as_str() {
            "!" => {
                self.advance()?;
                self.command()?;
                self.push(Op::Not);
            }
            "{" => {
                self.advance()?;
                self.list(&["}"])?;
                self.advance()?;
                self.no_redirect()?;
            }
            "if" => self.condition()?,
            "while" | "until" => self.repetition(keyword == "while")?,
            "for" => self.iteration()?,
            "break" | "continue" => self.leave(keyword == "break")?,
            word if ENDS.contains(&word) => return Err(unexpected(word)),
            word if UNKNOWN.contains(&word) => return unknown(word),
            _ => self.simple()?,
        }
        Ok(())
    }

    fn condition(&mut self) -> Result<(), Problem> {
        let mut ends = Vec::new();
        loop {
            // `if` or `elif`
            self.advance()?;
            self.list(&["then"])?;
            self.advance()?;
            let otherwise = self.push(Op::JumpIf { success: false, to: OPEN });
            self.list(&["elif", "else", "fi"])?;
            ends.push(self.push(Op::Jump(OPEN)));
            self.land(otherwise);
            match self.keyword() {
                Some("elif") => continue,
                Some("else") => {
                    self.advance()?;
                    self.list(&["fi"])?;
                }
                _ => {
                    self.push(Op::Succeed);
                }
            }
            break;
        }
        self.advance()?;
        for jump in ends {
            self.land(jump);
        }
        self.no_redirect()
    }

    fn repetition(&mut self, success: bool) -> Result<(), Problem> {
        self.advance()?;
        let top = self.ops.len();
        self.list(&["do"])?;
        self.advance()?;
        let end = self.push(Op::JumpIf { success: !success, to: OPEN });
        self.body(top)?;
        self.land(end);
        self.push(Op::Succeed);
        self.no_redirect()
    }

    fn iteration(&mut self) -> Result<(), Problem> {
        self.advance()?;
        let name = self.keyword().filter(|name| is_name(name)).map(str::to_owned).ok_or_else(|| unexpected("for"))?;
        self.advance()?;
        if self.keyword() != Some("in") {
            return unknown("for without in");
        }
        self.advance()?;
        let mut words = Vec::new();
        while let Token::Word(_) = self.ahead {
            if let Token::Word(word) = self.advance()? {
                words.push(word);
            }
        }
        while matches!(self.ahead, Token::Semicolon | Token::Line) {
            self.advance()?;
        }
        if self.keyword() != Some("do") {
            return Err(unexpected("for"));
        }
        self.advance()?;
        self.push(Op::Enter(words));
        let top = self.push(Op::Next { name, end: OPEN });
        self.body(top)?;
        self.land(top);
        self.push(Op::Leave);
        self.no_redirect()
    }

    /// The commands of a loop up to its `done`, and the jump back to its top. Those who break out land behind it.
    fn body(&mut self, top: usize) -> Result<(), Problem> {
        self.loops.push(Loop { top, breaks: Vec::new() });
        self.list(&["done"])?;
        self.advance()?;
        self.push(Op::Jump(top));
        let breaks = self.loops.pop().map(|ended| ended.breaks).unwrap_or_default();
        for jump in breaks {
            self.land(jump);
        }
        Ok(())
    }

    fn leave(&mut self, breaks: bool) -> Result<(), Problem> {
        self.advance()?;
        if matches!(self.ahead, Token::Word(_)) {
            return unknown("break N");
        }
        let jump = self.push(Op::Jump(OPEN));
        let Some(inner) = self.loops.last_mut() else { return unknown("break outside of a loop") };
        if breaks {
            inner.breaks.push(jump);
        } else {
            self.ops[jump] = Op::Jump(inner.top);
        }
        Ok(())
    }

    fn simple(&mut self) -> Result<(), Problem> {
        let mut command = Simple::default();
        while matches!(self.ahead, Token::Word(_) | Token::Redirect(_)) {
            match self.advance()? {
                Token::Word(word) => match assignment(&word).filter(|_| command.words.is_empty()) {
                    Some(assignment) => command.assignments.push(assignment),
                    None => command.words.push(word),
                },
                Token::Redirect(redirect) => command.redirects.push(redirect),
                _ => {}
            }
        }
        if command == Simple::default() {
            return Err(Problem::Syntax("syntax error: a command is missing".to_owned()));
        }
        self.push(Op::Run(command));
        Ok(())
    }

    /// The output of a whole loop or condition goes where its commands' goes.
    fn no_redirect(&self) -> Result<(), Problem> {
        if matches!(self.ahead, Token::Redirect(_)) { unknown("a redirection of several commands") } else { Ok(()) }
    }

    /// Adds an operation; its place.
    fn push(&mut self, op: Op) -> usize {
        self.ops.push(op);
        self.ops.len() - 1
    }

    /// Lets a jump lead to the next operation.
    fn land(&mut self, jump: usize) {
        let here = self.ops.len();
        match &mut self.ops[jump] {
            Op::Jump(to) | Op::JumpIf { to, .. } | Op::Next { end: to, .. } => *to = here,
            _ => {}
        }
    }
}

/// `NAME=VALUE`
fn assignment(word: &Word) -> Option<(String, Word)> {
    let (Part::Text(first), rest) = word.split_first()? else { return None };
    let (name, value) = first.split_once('=').filter(|(name, _)| is_name(name))?;
    let mut parts = vec![Part::Text(value.to_owned())];
    parts.extend(rest.iter().cloned());
    Some((name.to_owned(), parts))
}

fn unexpected(word: &str) -> Problem {
    Problem::Syntax(format!("syntax error: unexpected {word}"))
}
