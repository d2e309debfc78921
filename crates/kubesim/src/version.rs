//! The version of Kubernetes that is simulated.

use std::{fmt, str::FromStr};

/// A version of Kubernetes, 1.34 to 1.37, that decides where behaviour changed between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    minor: u8,
    patch: u8,
}

/// A text that is not a version that kubesim knows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a version of Kubernetes that can be simulated: use 1.34 to 1.37, such as `v1.37.2`")]
pub struct UnknownVersion(String);

impl Version {
    /// The newest that is simulated, and the default.
    pub const LATEST: Self = Self { minor: 37, patch: 2 };

    /// Whether this is 1.`minor` or later: the way to ask for a difference in behaviour.
    pub fn at_least(self, minor: u8) -> bool {
        self.minor >= minor
    }

    /// The minor version: 37 of 1.37.2.
    pub fn minor(self) -> u8 {
        self.minor
    }
}

impl Default for Version {
    fn default() -> Self {
        Self::LATEST
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v1.{}.{}", self.minor, self.patch)
    }
}

impl FromStr for Version {
    type Err = UnknownVersion;

    /// Reads `v1.37.2`, `1.37.2`, `v1.37` or `1.37`.
    fn from_str(text: &str) -> Result<Self, UnknownVersion> {
        let unknown = || UnknownVersion(text.to_owned());
        let numbers = text.strip_prefix('v').unwrap_or(text).split('.').map(str::parse::<u8>);
        let numbers: Vec<u8> = numbers.collect::<Result<_, _>>().map_err(|_| unknown())?;
        match numbers[..] {
            [1, minor @ 34..=37] => Ok(Self { minor, patch: 0 }),
            [1, minor @ 34..=37, patch] => Ok(Self { minor, patch }),
            _ => Err(unknown()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_they_are_printed() {
        assert_eq!("v1.37.2".parse(), Ok(Version::LATEST));
        assert_eq!("1.34".parse::<Version>().unwrap().to_string(), "v1.34.0");
        assert!(Version::LATEST.at_least(35) && !"v1.34.4".parse::<Version>().unwrap().at_least(35));
        for wrong in ["", "v2.0.0", "1.33", "1.38", "1.37.2.1", "latest", "1.-37"] {
            assert!(wrong.parse::<Version>().is_err(), "{wrong}");
        }
    }
}
