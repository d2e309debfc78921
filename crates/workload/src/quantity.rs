//! Durations and sizes as a person writes them: `1m30s`, `50MiB`.

use std::{fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A text that is neither a duration nor a size where one was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not {expected}")]
pub struct InvalidQuantity {
    text: String,
    expected: &'static str,
}

/// A length of time, written as `10s`, `500ms`, `1m30s` or `2h`; whole milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Span(pub Duration);

/// An amount of memory in bytes, written as `50MiB` (or Kubernetes' `50Mi`), `64KiB`, `1GiB` or `4096`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Size(pub u64);

const SPAN: &str = "a duration such as 10s, 500ms or 1m30s";
const SIZE: &str = "a size such as 50MiB, 64Ki or 4096";

/// Units in the order in which they may follow each other, in milliseconds.
const SPAN_UNITS: [(&str, u64); 4] = [("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];
const SIZE_UNITS: [(&str, u64); 7] =
    [("", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("Ki", 1 << 10), ("Mi", 1 << 20), ("Gi", 1 << 30)];

impl FromStr for Span {
    type Err = InvalidQuantity;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        millis(text)
            .map(|millis| Self(Duration::from_millis(millis)))
            .ok_or_else(|| InvalidQuantity { text: text.into(), expected: SPAN })
    }
}

fn millis(text: &str) -> Option<u64> {
    let mut rest = text;
    let mut total = 0_u64;
    let mut units = SPAN_UNITS.iter();
    while !rest.is_empty() {
        let (number, after) = split_number(rest)?;
        let unit = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        // Advancing one iterator makes a unit that repeats or goes back an error.
        let (_, factor) = units.find(|(name, _)| *name == &after[..unit])?;
        total = total.checked_add(number.checked_mul(*factor)?)?;
        rest = &after[unit..];
    }
    (!text.is_empty()).then_some(total)
}

impl FromStr for Size {
    type Err = InvalidQuantity;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        split_number(text)
            .and_then(|(number, unit)| {
                let (_, factor) = SIZE_UNITS.iter().find(|(name, _)| *name == unit)?;
                number.checked_mul(*factor)
            })
            .map(Self)
            .ok_or_else(|| InvalidQuantity { text: text.into(), expected: SIZE })
    }
}

fn split_number(text: &str) -> Option<(u64, &str)> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    Some((text[..digits].parse().ok()?, &text[digits..]))
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        if rest == 0 {
            return f.write_str("0s");
        }
        for (unit, factor) in SPAN_UNITS {
            if rest >= factor {
                write!(f, "{}{unit}", rest / factor)?;
                rest %= factor;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fits = |(_, factor): &&(&str, u64)| self.0 != 0 && self.0.is_multiple_of(*factor);
        let (unit, factor) = SIZE_UNITS[..4].iter().rev().find(fits).unwrap_or(&SIZE_UNITS[0]);
        write!(f, "{}{unit}", self.0 / factor)
    }
}

impl From<Span> for Duration {
    fn from(span: Span) -> Self {
        span.0
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Text { expected: SPAN, parse: Span::from_str })
    }
}

impl Serialize for Size {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Text { expected: SIZE, parse: Size::from_str })
    }
}

/// Reads a quantity from a string, or from a whole number (which YAML has already made one).
struct Text<T> {
    expected: &'static str,
    parse: fn(&str) -> Result<T, InvalidQuantity>,
}

impl<T> de::Visitor<'_> for Text<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expected)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        (self.parse)(text).map_err(E::custom)
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<T, E> {
        self.visit_str(&number.to_string())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("10s", 10_000)]
    #[case("500ms", 500)]
    #[case("1m30s", 90_000)]
    #[case("2h1ms", 7_200_001)]
    #[case("0s", 0)]
    fn reads_spans(#[case] text: &str, #[case] millis: u64) {
        assert_eq!(text.parse::<Span>().unwrap().0, Duration::from_millis(millis));
    }

    #[rstest]
    fn refuses_what_is_no_span(
        #[values("", "10", "s", "1s1m", "1s1s", "-1s", "1.5s", "10 s", "99999999999999999999s", "9999999999999999h")] text: &str,
    ) {
        assert!(text.parse::<Span>().is_err());
    }

    #[rstest]
    #[case("50MiB", 52_428_800)]
    #[case("50Mi", 52_428_800)]
    #[case("4096", 4096)]
    fn reads_sizes(#[case] text: &str, #[case] bytes: u64) {
        assert_eq!(text.parse::<Size>().unwrap().0, bytes);
    }

    #[rstest]
    fn refuses_what_is_no_size(#[values("", "MiB", "1MB", "1.5Gi", "99999999999Gi")] text: &str) {
        assert!(text.parse::<Size>().is_err());
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_back(millis in 0..u64::MAX / 2, bytes: u64) {
            let span = Span(Duration::from_millis(millis));
            prop_assert_eq!(span.to_string().parse(), Ok(span));
            prop_assert_eq!(Size(bytes).to_string().parse(), Ok(Size(bytes)));
        }

        #[test]
        fn no_text_panics(text: String) {
            let _ = text.parse::<Span>();
            let _ = text.parse::<Size>();
        }
    }
}
