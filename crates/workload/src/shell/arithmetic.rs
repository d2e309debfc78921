//! `$((…))`: whole numbers, variables, `+ - * / %`, comparisons and parentheses.

/// How deep parentheses and signs may be nested.
const DEEPEST: u8 = 64;

/// The value of an expression; nothing if it is none or cannot be computed.
pub(super) fn value(text: &str, variable: &dyn Fn(&str) -> String) -> Option<i64> {
    let mut expression = Expression { rest: text, variable, depth: 0 };
    let value = expression.comparison()?;
    expression.rest.trim_start().is_empty().then_some(value)
}

struct Expression<'a> {
    rest: &'a str,
    variable: &'a dyn Fn(&str) -> String,
    depth: u8,
}

impl Expression<'_> {
    /// Takes the first of these signs that comes next.
    fn take(&mut self, signs: &[&'static str]) -> Option<&'static str> {
        self.rest = self.rest.trim_start();
        let sign = *signs.iter().find(|sign| self.rest.starts_with(**sign))?;
        self.rest = &self.rest[sign.len()..];
        Some(sign)
    }

    fn comparison(&mut self) -> Option<i64> {
        let mut left = self.sum()?;
        while let Some(sign) = self.take(&["==", "!=", "<=", ">=", "<", ">"]) {
            let right = self.sum()?;
            left = i64::from(match sign {
                "==" => left == right,
                "!=" => left != right,
                "<=" => left <= right,
                ">=" => left >= right,
                "<" => left < right,
                _ => left > right,
            });
        }
        Some(left)
    }

    fn sum(&mut self) -> Option<i64> {
        let mut left = self.product()?;
        while let Some(sign) = self.take(&["+", "-"]) {
            let right = self.product()?;
            left = if sign == "+" { left.wrapping_add(right) } else { left.wrapping_sub(right) };
        }
        Some(left)
    }

    fn product(&mut self) -> Option<i64> {
        let mut left = self.operand()?;
        while let Some(sign) = self.take(&["*", "/", "%"]) {
            let right = self.operand()?;
            left = match sign {
                "*" => left.wrapping_mul(right),
                "/" => left.checked_div(right)?,
                _ => left.checked_rem(right)?,
            };
        }
        Some(left)
    }

    fn operand(&mut self) -> Option<i64> {
        self.depth = self.depth.checked_add(1).filter(|depth| *depth <= DEEPEST)?;
        let value = match self.take(&["(", "-", "+"]) {
            Some("(") => {
                let value = self.comparison()?;
                self.take(&[")"])?;
                value
            }
            Some("-") => self.operand()?.checked_neg()?,
            Some(_) => self.operand()?,
            None => self.number()?,
        };
        self.depth -= 1;
        Some(value)
    }

    /// A number, or a variable with or without its `$`; one that is not set is 0.
    fn number(&mut self) -> Option<i64> {
        let text = self.rest.strip_prefix('$').unwrap_or(self.rest);
        let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
        let (word, rest) = text.split_at(end);
        self.rest = rest;
        if word.starts_with(|c: char| c.is_ascii_digit()) {
            return word.parse().ok();
        }
        let value = (self.variable)(Some(word).filter(|word| !word.is_empty())?);
        if value.trim().is_empty() { Some(0) } else { value.trim().parse().ok() }
    }
}
