//! Values that have no keys.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

/// Scalars: a name, what it is, its schema.
macro_rules! scalars {
    ($($name:ident: $about:literal, $schema:tt;)*) => {
        $(
            pub(super) struct $name;

            impl JsonSchema for $name {
                fn schema_name() -> Cow<'static, str> {
                    stringify!($name).into()
                }

                fn json_schema(_: &mut SchemaGenerator) -> Schema {
                    let mut schema = json_schema!($schema);
                    schema.insert("description".to_owned(), $about.into());
                    schema
                }
            }
        )*
    };
}

scalars! {
    Text: "A text; a number or Boolean is taken as it is written.", {"type": ["string", "number", "boolean"]};
    Match: "What a value must be: a text that is equal, `/a regular expression/`, or whole numbers as `1..3`, `>=2`, `<=2`, `>2`, `<2`.",
        {"type": ["string", "number", "boolean"]};
    FieldMatch: "What a field must be: as a match; `null` for a field that is not set.", {"type": ["string", "number", "boolean", "null"]};
    PartMatch: "A part of the text, or `/a regular expression/`.", {"type": ["string", "number", "boolean"]};
    Count: "How many: `3`, `3..4`, `>=3`, `<=3`.", {"type": ["string", "integer"], "minimum": 0, "pattern": r"^([0-9]+|[0-9]+\.\.[0-9]+|[<>]=?[0-9]+)$"};
    Duration: "A duration in Go's syntax: `15s`, `1m30s`, `500ms`; at most a day.",
        {"type": "string", "pattern": r"^([0-9]+\.?[0-9]*(h|m|s|ms|us|µs|ns))+$"};
    Window: "From when until when, counted from the step's action: `20s..30s`.",
        {"type": "string", "pattern": r"^([0-9]+\.?[0-9]*(h|m|s|ms|us|µs|ns))+ *\.\. *([0-9]+\.?[0-9]*(h|m|s|ms|us|µs|ns))+$"};
    Name: "The name of an object.", {"type": ["string", "integer"], "pattern": r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"};
    Manifest: "A manifest, named relative to the nearest folder `manifests` above the scenario.", {"type": "string", "pattern": r"\.(yaml|yml|json)$"};
    Selector: "A label selector: `app=web,tier!=cache,canary,!old`, `app in (web, api)`.", {"type": "string"};
    Target: "The kind and name of an object: `pod/web`; the name may be a pattern: `pod//^web-/`.", {"type": "string", "pattern": "^[^/]+/."};
    ShortReference: "The kind and name of an object: `pod/web`, `deploy/web`, `Widget.v1.example.com/web`.", {"type": "string", "pattern": "^[^/]+/[^/]+$"};
}
