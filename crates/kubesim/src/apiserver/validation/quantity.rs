//! Quantities of resources: `500m`, `1Gi`, `2e3` (apimachinery/pkg/api/resource).

/// The suffixes of a quantity and what they multiply by.
const SUFFIXES: &[(&str, f64)] = &[
    ("Ki", 1024.0),
    ("Mi", 1_048_576.0),
    ("Gi", 1_073_741_824.0),
    ("Ti", 1_099_511_627_776.0),
    ("Pi", 1_125_899_906_842_624.0),
    ("Ei", 1_152_921_504_606_846_976.0),
    ("n", 1e-9),
    ("u", 1e-6),
    ("m", 1e-3),
    ("k", 1e3),
    ("M", 1e6),
    ("G", 1e9),
    ("T", 1e12),
    ("P", 1e15),
    ("E", 1e18),
];

/// The value of a quantity; nothing if it is none.
pub(in crate::apiserver) fn parse(text: &str) -> Option<f64> {
    let plain = |text: &str| {
        let legal = text.bytes().all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b)) && text.bytes().any(|b| b.is_ascii_digit());
        if legal { text.parse::<f64>().ok().filter(|number| number.is_finite()) } else { None }
    };
    if let Some(number) = plain(text) {
        return Some(number);
    }
    let (suffix, factor) = SUFFIXES.iter().find(|(suffix, _)| text.ends_with(suffix))?;
    plain(text.strip_suffix(suffix)?).map(|number| number * factor)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("500m", Some(0.5))]
    #[case("1Gi", Some(1_073_741_824.0))]
    #[case("2e3", Some(2_000.0))]
    #[case("-1", Some(-1.0))]
    #[case("1E", Some(1e18))]
    #[case("x", None)]
    #[case("1X", None)]
    #[case("", None)]
    #[case("inf", None)]
    fn quantities(#[case] text: &str, #[case] value: Option<f64>) {
        assert_eq!(parse(text), value);
    }
}
