//! Quantities of resources: `500m`, `1Gi`, `2e3` (apimachinery/pkg/api/resource/quantity.go).

use std::{fmt, str::FromStr};

/// One unit in billionths, which are the finest part of a quantity.
const UNIT: i128 = 1_000_000_000;

/// A thousandth of a unit.
const MILLI: i128 = 1_000_000;

/// The largest quantity: what a 64-bit integer holds.
const MOST: i128 = i64::MAX as i128 * UNIT;

/// So many significant digits count; with the largest factor, 2^60, they are within 128 bits.
const DIGITS: usize = 20;

/// The powers of 1000 and of 1024 that have a suffix, each with its exponent.
const DECIMAL: [(&str, i32); 10] =
    [("n", -9), ("u", -6), ("m", -3), ("", 0), ("k", 3), ("M", 6), ("G", 9), ("T", 12), ("P", 15), ("E", 18)];
const BINARY: [(&str, u32); 6] = [("Ki", 10), ("Mi", 20), ("Gi", 30), ("Ti", 40), ("Pi", 50), ("Ei", 60)];

/// An amount of a resource, and how it was written. What is finer than a billionth is rounded away from zero, what is
/// beyond 2^63-1 is that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Amount {
    billionths: i128,
    notation: Notation,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Notation {
    /// `500m`, `1G`.
    Decimal,
    /// `1Gi`.
    Binary,
    /// `1e9`.
    Exponent,
}

/// A text that is no quantity, worded as the real server words it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidQuantity {
    #[error("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'")]
    Form,
    #[error("unable to parse quantity's suffix")]
    Suffix,
}

impl Amount {
    /// In billionths of a unit.
    #[cfg(test)]
    pub(crate) fn billionths(self) -> i128 {
        self.billionths
    }

    /// In thousandths of a unit, rounded away from zero.
    pub(crate) fn thousandths(self) -> i128 {
        divide(self.billionths, MILLI)
    }

    /// In units, rounded away from zero.
    pub(crate) fn units(self) -> i64 {
        i64::try_from(divide(self.billionths, UNIT)).unwrap_or(i64::MAX)
    }

    /// Whether it is a whole number of units.
    pub(crate) fn is_whole(self) -> bool {
        self.billionths % UNIT == 0
    }

    /// Whether it is less than nothing.
    pub(crate) fn is_negative(self) -> bool {
        self.billionths < 0
    }

    /// The same rounded away from zero to thousandths, as lists of resources have it.
    pub(crate) fn rounded(self) -> Self {
        Self { billionths: self.thousandths() * MILLI, ..self }
    }

    /// Whether it is as much as a quantity can be, so that it may have been more.
    pub(crate) fn is_most(self) -> bool {
        self.billionths.abs() == MOST
    }
}

/// Rounds away from zero.
fn divide(dividend: i128, divisor: i128) -> i128 {
    let quotient = dividend / divisor;
    if dividend % divisor == 0 { quotient } else { quotient + dividend.signum() }
}

impl FromStr for Amount {
    type Err = InvalidQuantity;

    fn from_str(text: &str) -> Result<Self, InvalidQuantity> {
        if text.is_empty() {
            return Err(InvalidQuantity::Form);
        }
        let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
        let (whole, rest) = split_digits(unsigned);
        let (fraction, suffix) = match rest.strip_prefix('.') {
            Some(rest) => split_digits(rest),
            None => ("", rest),
        };
        let letters = suffix.trim_start_matches(|letter| "eEinumkKMGTP".contains(letter));
        let number = letters.strip_prefix(['+', '-']).unwrap_or(letters);
        if !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(InvalidQuantity::Form);
        }
        let (notation, exponent, shift) = factor(suffix).ok_or(InvalidQuantity::Suffix)?;
        let size = scaled(whole, fraction, exponent, shift);
        Ok(Self { billionths: if text.starts_with('-') { -size } else { size }, notation })
    }
}

fn split_digits(text: &str) -> (&str, &str) {
    text.split_at(text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len()))
}

/// What a suffix means: the power of ten and the power of two by which the number before it is multiplied.
fn factor(suffix: &str) -> Option<(Notation, i32, u32)> {
    if let Some((_, exponent)) = DECIMAL.iter().find(|(known, _)| *known == suffix) {
        return Some((Notation::Decimal, *exponent, 0));
    }
    if let Some((_, shift)) = BINARY.iter().find(|(known, _)| *known == suffix) {
        return Some((Notation::Binary, 0, *shift));
    }
    let exponent: i64 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
    // Beyond this everything is too large or too small.
    Some((Notation::Exponent, i32::try_from(exponent.clamp(-1_000_000, 1_000_000)).ok()?, 0))
}

/// `whole.fraction` times a power of ten and one of two, in billionths, at most the largest quantity.
fn scaled(whole: &str, fraction: &str, exponent: i32, shift: u32) -> i128 {
    let digits: String = [whole, fraction].concat().trim_start_matches('0').to_owned();
    let (kept, dropped) = digits.split_at(digits.len().min(DIGITS));
    let Ok(number) = kept.parse::<i128>() else { return 0 };
    let is_inexact = dropped.bytes().any(|digit| digit != b'0');
    let length = |text: &str| i64::try_from(text.len()).unwrap_or(i64::MAX);
    let exponent = i64::from(exponent) - length(fraction) + length(dropped) + 9;
    let number = number << shift;
    let power = u32::try_from(exponent.unsigned_abs()).ok().and_then(|exponent| 10_i128.checked_pow(exponent));
    let size = match power {
        Some(power) if exponent >= 0 => number.saturating_mul(power),
        Some(power) => divide(number, power).max(i128::from(is_inexact) + number / power),
        None if exponent >= 0 => MOST,
        None => 1,
    };
    size.min(MOST)
}

/// The canonical form: no fraction, and the largest suffix that needs none.
impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.billionths == 0 {
            return f.write_str("0");
        }
        let is_small = self.billionths.abs() < 1_024 * UNIT;
        if self.notation == Notation::Binary && self.is_whole() && !is_small {
            let (mut number, mut suffix) = (self.billionths / UNIT, "");
            for (next, _) in BINARY {
                if number % 1_024 != 0 {
                    break;
                }
                (number, suffix) = (number / 1_024, next);
            }
            return write!(f, "{number}{suffix}");
        }
        let (mut number, mut exponent) = (self.billionths, -9);
        while number % 1_000 == 0 && exponent < 18 {
            (number, exponent) = (number / 1_000, exponent + 3);
        }
        match DECIMAL.iter().find(|(_, power)| *power == exponent) {
            Some((suffix, _)) if self.notation != Notation::Exponent => write!(f, "{number}{suffix}"),
            _ if exponent == 0 => write!(f, "{number}"),
            _ => write!(f, "{number}e{exponent}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("0", 0)]
    #[case("1n", 1)]
    #[case("1u", 1_000)]
    #[case("500m", UNIT / 2)]
    #[case("1.5", 1_500_000_000)]
    #[case("+1", UNIT)]
    #[case("-1", -UNIT)]
    #[case("1k", 1_000 * UNIT)]
    #[case("1M", 1_000_000 * UNIT)]
    #[case("1G", 1_000_000_000 * UNIT)]
    #[case("1T", 1_000_000_000_000 * UNIT)]
    #[case("1P", 1_000_000_000_000_000 * UNIT)]
    #[case("1E", 1_000_000_000_000_000_000 * UNIT)]
    #[case("1Ki", UNIT << 10)]
    #[case("1Mi", UNIT << 20)]
    #[case("1.5Gi", (UNIT << 30) + (UNIT << 29))]
    #[case("1Ti", UNIT << 40)]
    #[case("1Pi", UNIT << 50)]
    #[case("1Ei", UNIT << 60)]
    #[case("2e3", 2_000 * UNIT)]
    #[case("1E-3", MILLI)]
    #[case::nothing_is_lost("1.000000000000000000000", UNIT)]
    #[case::rounded_up("0.1n", 1)]
    #[case::far_too_fine("1.5e-2147483648", 1)]
    #[case::too_large("1e40", MOST)]
    #[case::far_too_large("1e2147483648", MOST)]
    #[case::too_large_and_negative("-16Ei", -MOST)]
    #[case::many_digits("99999999999999999999999999999999999999999999", MOST)]
    fn quantities_are_read(#[case] text: &str, #[case] expected: i128) {
        assert_eq!(text.parse::<Amount>().map(Amount::billionths), Ok(expected));
    }

    #[rstest]
    #[case("", InvalidQuantity::Form)]
    #[case("abc", InvalidQuantity::Form)]
    #[case("64Mb", InvalidQuantity::Form)]
    #[case("1.2.3", InvalidQuantity::Form)]
    #[case("inf", InvalidQuantity::Form)]
    #[case("1Mk", InvalidQuantity::Suffix)]
    #[case("1e", InvalidQuantity::Suffix)]
    #[case("1e99999999999999999999", InvalidQuantity::Suffix)]
    fn what_is_no_quantity_is_refused(#[case] text: &str, #[case] expected: InvalidQuantity) {
        assert_eq!(text.parse::<Amount>(), Err(expected));
    }

    #[rstest]
    #[case("1000m", "1")]
    #[case("0.5", "500m")]
    #[case("1500m", "1500m")]
    #[case("2000", "2k")]
    #[case("128974848", "128974848")]
    #[case("0.5Gi", "512Mi")]
    #[case("1024Mi", "1Gi")]
    #[case("1536Mi", "1536Mi")]
    #[case("0.1Gi", "107374182400m")]
    #[case("512Ki", "512Ki")]
    #[case("0.5Ki", "512")]
    #[case("129e6", "129e6")]
    #[case("1e0", "1")]
    #[case("0Gi", "0")]
    #[case("-0.5", "-500m")]
    #[case("64Mi", "64Mi")]
    fn quantities_have_a_canonical_form(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(text.parse::<Amount>().unwrap().to_string(), expected);
    }

    #[rstest]
    #[case("0.0001", 1, 1)]
    #[case("100m", 100, 1)]
    #[case("64Mi", 67_108_864_000, 67_108_864)]
    #[case("-1500m", -1_500, -2)]
    fn amounts_are_rounded_away_from_zero(#[case] text: &str, #[case] thousandths: i128, #[case] units: i64) {
        let amount: Amount = text.parse().unwrap();
        assert_eq!((amount.thousandths(), amount.units()), (thousandths, units));
    }
}
