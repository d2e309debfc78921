//! Makes the JSON Schema of scenario files, for editors.

use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

use super::surface::Scenario;

/// The JSON Schema (draft 2020-12) of scenario files.
pub fn schema() -> Value {
    let mut schema = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<Scenario>();
    let document = schema.ensure_object();
    for definition in document.get_mut("$defs").and_then(Value::as_object_mut).into_iter().flat_map(|defs| defs.values_mut()) {
        without_null(definition);
    }
    let mut schema = schema.to_value();
    without_null(&mut schema);
    schema
}

/// A key that may be left out must not be there with nothing behind it.
fn without_null(definition: &mut Value) {
    let properties = definition.get_mut("properties").and_then(Value::as_object_mut);
    for property in properties.into_iter().flat_map(|properties| properties.values_mut()) {
        let Some(property) = property.as_object_mut() else { continue };
        if let Some(Value::Array(types)) = property.get_mut("type") {
            types.retain(|t| t != "null");
            if let [only] = &types[..] {
                let only = only.clone();
                property.insert("type".to_owned(), only);
            }
        }
        if let Some(Value::Array(options)) = property.get_mut("anyOf") {
            options.retain(|option| option != &json!({"type": "null"}));
            if let [only] = &options[..] {
                let only = only.clone();
                property.remove("anyOf");
                property.extend(only.as_object().cloned().unwrap_or_default());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use serde_json::Value;

    use super::schema;
    use crate::scenario::shapes;

    fn keys(definition: &Value) -> BTreeSet<&str> {
        definition["properties"].as_object().into_iter().flatten().map(|(key, _)| key.as_str()).collect()
    }

    #[test]
    fn schema_and_decoder_know_the_same_keys() {
        let schema = schema();
        let definitions = schema["$defs"].as_object().unwrap();
        let of_schema: BTreeMap<&str, BTreeSet<&str>> = definitions
            .iter()
            .map(|(name, definition)| (name.as_str(), definition))
            .chain([("Scenario", &schema)])
            .filter(|(_, definition)| definition["additionalProperties"] == false)
            .map(|(name, definition)| (name, keys(definition)))
            .collect();
        let of_decoder: BTreeMap<&str, BTreeSet<&str>> =
            shapes::ALL.iter().map(|shape| (shape.name, shape.keys.iter().copied().collect())).collect();
        assert_eq!(of_schema, of_decoder);
    }

    #[test]
    fn keys_that_belong_elsewhere_are_not_keys() {
        for shape in shapes::ALL {
            for (wrong, _) in shape.elsewhere {
                assert!(!shape.keys.contains(wrong), "{wrong} is a key of {}", shape.name);
            }
        }
    }
}
