//! Who may ask: whoever bears the server's token (apiserver/pkg/endpoints/filters/authentication.go).

use std::{fmt::Write, sync::Arc};

use http::{HeaderMap, header};
use tokio_rustls::rustls::{Error, crypto::SecureRandom};

/// A bearer token of 256 random bits. Cheap to clone.
#[derive(Clone)]
pub(super) struct Token(Arc<str>);

impl Token {
    pub(super) fn generate(random: &dyn SecureRandom) -> Result<Self, Error> {
        let mut bytes = [0; 32];
        random.fill(&mut bytes)?;
        let mut digits = String::new();
        for byte in bytes {
            let _ = write!(digits, "{byte:02x}");
        }
        Ok(Self(digits.into()))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a request with these headers bears it. How long that takes tells nothing of the token.
    pub(super) fn is_borne_by(&self, headers: &HeaderMap) -> bool {
        let Some((scheme, token)) = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()?.split_once(' '))
        else {
            return false;
        };
        let (token, own) = (token.trim().as_bytes(), self.0.as_bytes());
        let difference = token.iter().zip(own).fold(0, |difference, (given, wanted)| difference | (given ^ wanted));
        scheme.eq_ignore_ascii_case("bearer") && token.len() == own.len() && difference == 0
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::its_own("Bearer 0af3", true)]
    #[case::any_case_of_the_scheme("bearer  0af3", true)]
    #[case::another("Bearer 0af4", false)]
    #[case::longer("Bearer 0af30", false)]
    #[case::shorter("Bearer 0af", false)]
    #[case::empty("Bearer ", false)]
    #[case::another_scheme("Basic 0af3", false)]
    #[case::no_scheme("0af3", false)]
    fn a_token_is_known(#[case] given: &'static str, #[case] is_known: bool) {
        let headers = HeaderMap::from_iter([(header::AUTHORIZATION, HeaderValue::from_static(given))]);
        assert_eq!(Token("0af3".into()).is_borne_by(&headers), is_known);
    }

    #[test]
    fn nobody_is_known_without_one() {
        assert!(!Token("0af3".into()).is_borne_by(&HeaderMap::new()));
    }
}
