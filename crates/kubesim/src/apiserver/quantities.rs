//! The quantities in an object: what is none is refused, and lists of resources are stored in canonical form
//! (apimachinery/pkg/api/resource, `pkg/apis/core/v1/defaults.go:SetDefaults_ResourceList`).

use serde_json::Value;

use crate::quantity::{Amount, InvalidQuantity};

/// The fields that hold a list of resources.
const LISTS: [&str; 5] = ["limits", "requests", "overhead", "capacity", "allocatable"];

/// The fields that hold one quantity, each with the field that it is in.
const SINGLE: [(&str, &str); 2] = [("emptyDir", "sizeLimit"), ("resourceFieldRef", "divisor")];

/// Writes the quantities of all lists of resources in canonical form, at most to thousandths.
///
/// # Errors
/// If there is a quantity that is none.
pub(super) fn canonicalise(object: &mut Value) -> Result<(), InvalidQuantity> {
    match object {
        Value::Array(items) => items.iter_mut().try_for_each(canonicalise),
        Value::Object(fields) => fields.iter_mut().try_for_each(|(name, value)| field(name, value)),
        _ => Ok(()),
    }
}

fn field(name: &str, value: &mut Value) -> Result<(), InvalidQuantity> {
    if let (Value::Object(list), true) = (&mut *value, LISTS.contains(&name)) {
        return list.values_mut().try_for_each(canonicalise_one);
    }
    if let Some((_, single)) = SINGLE.iter().find(|(outer, _)| *outer == name)
        && let Some(text) = value[*single].as_str()
    {
        text.parse::<Amount>()?;
    }
    canonicalise(value)
}

/// The cap of a quantity is ours, so that what reaches it stays as it was written.
fn canonicalise_one(quantity: &mut Value) -> Result<(), InvalidQuantity> {
    let Some(text) = quantity.as_str() else { return Ok(()) };
    let amount = text.trim().parse::<Amount>()?;
    if !amount.is_most() {
        *quantity = Value::String(amount.rounded().to_string());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[test]
    fn lists_of_resources_are_written_in_canonical_form() {
        let spec = |cpu: &str, memory: &str| {
            json!({"spec": {"template": {"spec": {"containers": [{"resources": {
                "requests": {"cpu": cpu, "memory": memory}, "limits": {"cpu": cpu, "memory": memory},
            }}]}}}})
        };
        let mut object = spec("1000m", "0.5Gi");
        assert_eq!(canonicalise(&mut object), Ok(()));
        assert_eq!(object, spec("1", "512Mi"));
    }

    #[rstest]
    #[case::list(json!({"requests": {"cpu": "64Mb"}}))]
    #[case::size(json!({"volumes": [{"emptyDir": {"sizeLimit": "x"}}]}))]
    #[case::divisor(json!({"env": [{"valueFrom": {"resourceFieldRef": {"divisor": "x"}}}]}))]
    fn what_is_no_quantity_is_refused(#[case] mut object: Value) {
        assert_eq!(canonicalise(&mut object), Err(InvalidQuantity::Form));
    }

    #[test]
    fn labels_are_no_quantities() {
        let mut object = json!({"metadata": {"labels": {"limits": "x", "divisor": "y"}}});
        assert_eq!(canonicalise(&mut object), Ok(()));
    }
}
