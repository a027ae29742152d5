//! Which keywords a schema may have, and of what kind their values are.

use serde_json::Value;

/// Values of this plugin's keywords.
enum Kind {
    Annotation,
    Schema,
    Schemas,
    SchemaMap,
    Number,
    Count,
    Any,
    Values,
    Names,
    Truth,
    Types,
    Reference,
}

/// Types of JSON as a schema names them.
pub const TYPES: [&str; 7] = ["null", "boolean", "integer", "number", "string", "array", "object"];

fn kind(keyword: &str) -> Option<Kind> {
    Some(match keyword {
        "$schema" | "$id" | "$comment" | "title" | "description" | "default" | "examples"
        | "deprecated" | "readOnly" | "writeOnly" => Kind::Annotation,
        "items" | "additionalProperties" | "not" => Kind::Schema,
        "allOf" | "anyOf" | "oneOf" => Kind::Schemas,
        "properties" | "$defs" => Kind::SchemaMap,
        "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" | "multipleOf" => {
            Kind::Number
        }
        "minLength" | "maxLength" | "minItems" | "maxItems" | "minProperties" | "maxProperties" => {
            Kind::Count
        }
        "const" => Kind::Any,
        "enum" => Kind::Values,
        "required" => Kind::Names,
        "uniqueItems" => Kind::Truth,
        "type" => Kind::Types,
        "$ref" => Kind::Reference,
        _ => return None,
    })
}

/// Says where and why a schema cannot be used.
pub fn check(schema: &Value) -> Result<(), String> {
    check_at(schema, schema, "")
}

fn check_at(root: &Value, schema: &Value, at: &str) -> Result<(), String> {
    let Value::Object(keywords) = schema else {
        let place = if at.is_empty() { "it" } else { at };
        return if schema.is_boolean() { Ok(()) } else { Err(format!("{place} is no schema")) };
    };
    for (keyword, value) in keywords {
        let place = || if at.is_empty() { "/" } else { at };
        let Some(kind) = kind(keyword) else {
            return Err(format!("{}: keyword \"{keyword}\" is not supported", place()));
        };
        let inner = format!("{at}/{keyword}");
        let fits = match kind {
            Kind::Annotation | Kind::Any => true,
            Kind::Schema => return_first(check_at(root, value, &inner))?,
            Kind::Schemas => match value.as_array() {
                Some(schemas) if !schemas.is_empty() => {
                    for (n, schema) in schemas.iter().enumerate() {
                        check_at(root, schema, &format!("{inner}/{n}"))?;
                    }
                    true
                }
                _ => false,
            },
            Kind::SchemaMap => match value.as_object() {
                Some(schemas) => {
                    for (name, schema) in schemas {
                        check_at(root, schema, &format!("{inner}/{name}"))?;
                    }
                    true
                }
                None => false,
            },
            Kind::Number => value.as_f64().is_some_and(|n| keyword != "multipleOf" || n > 0.0),
            Kind::Count => value.as_u64().is_some(),
            Kind::Values => value.is_array(),
            Kind::Names => value.as_array().is_some_and(|names| names.iter().all(Value::is_string)),
            Kind::Truth => value.is_boolean(),
            Kind::Types => types(value).is_some(),
            Kind::Reference => value.as_str().is_some_and(|to| resolve(root, to).is_some()),
        };
        if !fits {
            return Err(format!("{}: \"{keyword}\" cannot be {value}", place()));
        }
    }
    Ok(())
}

fn return_first(checked: Result<(), String>) -> Result<bool, String> {
    checked.map(|()| true)
}

/// The names that `type` allows; none when one of them is no type.
pub fn types(value: &Value) -> Option<Vec<&str>> {
    let names: Vec<&str> = match value {
        Value::String(name) => vec![name],
        Value::Array(names) => names.iter().map(Value::as_str).collect::<Option<_>>()?,
        _ => return None,
    };
    names.iter().all(|name| TYPES.contains(name)).then_some(names)
}

/// What a reference within the schema points to.
pub fn resolve<'a>(root: &'a Value, reference: &str) -> Option<&'a Value> {
    root.pointer(reference.strip_prefix('#')?)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::check;

    #[test]
    fn a_schema_that_cannot_be_meant_is_told_by_place() {
        for (schema, why) in [
            (json!([]), "it is no schema"),
            (json!({"type": "text"}), "/: \"type\" cannot be \"text\""),
            (json!({"items": {"minItems": -1}}), "/items: \"minItems\" cannot be -1"),
            (json!({"allOf": [true, 3]}), "/allOf/1 is no schema"),
            (json!({"allOf": []}), "/: \"allOf\" cannot be []"),
            (json!({"multipleOf": 0}), "/: \"multipleOf\" cannot be 0"),
            (json!({"$ref": "#/$defs/x"}), "/: \"$ref\" cannot be \"#/$defs/x\""),
            (json!({"$ref": "other.json"}), "/: \"$ref\" cannot be \"other.json\""),
        ] {
            assert_eq!(check(&schema), Err(why.to_owned()));
        }
        assert_eq!(check(&json!({"$defs": {"x": true}, "$ref": "#/$defs/x"})), Ok(()));
    }
}
