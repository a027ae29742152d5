//! Whether a value fits a schema that [`super::keywords`] has let pass.

use serde_json::{Map, Value};

use super::keywords::{resolve, types};

/// Schemas within schemas, and references: deeper ones go round in a circle.
const DEPTH_MAX: usize = 64;

/// Says where in the value what is wrong, first things first.
pub fn validate(schema: &Value, value: &Value) -> Result<(), String> {
    let at = At { root: schema, path: String::new(), depth: 0 };
    at.fits(schema, value)
}

struct At<'a> {
    root: &'a Value,
    path: String,
    depth: usize,
}

impl<'a> At<'a> {
    fn wrong<T>(&self, why: impl std::fmt::Display) -> Result<T, String> {
        Err(if self.path.is_empty() { why.to_string() } else { format!("{}: {why}", self.path) })
    }

    fn below(&self, name: impl std::fmt::Display) -> At<'a> {
        At { root: self.root, path: format!("{}/{name}", self.path), depth: self.depth + 1 }
    }

    fn same(&self) -> At<'a> {
        At { root: self.root, path: self.path.clone(), depth: self.depth + 1 }
    }

    fn fits(&self, schema: &Value, value: &Value) -> Result<(), String> {
        if self.depth > DEPTH_MAX {
            return self.wrong(format!("the schema goes deeper than {DEPTH_MAX}"));
        }
        let keywords = match schema {
            Value::Object(keywords) => keywords,
            Value::Bool(false) => return self.wrong("nothing is allowed here"),
            _ => return Ok(()),
        };
        if let Some(target) = keywords.get("$ref").and_then(Value::as_str)
            && let Some(schema) = resolve(self.root, target)
        {
            self.same().fits(schema, value)?;
        }
        self.kind(keywords, value)?;
        match value {
            Value::Number(_) => self.number(keywords, value)?,
            Value::String(text) => {
                self.counted(keywords, "Length", "characters", text.chars().count())?;
            }
            Value::Array(items) => self.array(keywords, items)?,
            Value::Object(fields) => self.object(keywords, fields)?,
            Value::Null | Value::Bool(_) => {}
        }
        self.combined(keywords, value)
    }

    fn kind(&self, keywords: &Map<String, Value>, value: &Value) -> Result<(), String> {
        if let Some(names) = keywords.get("type").and_then(types)
            && !names.iter().any(|name| is(value, name))
        {
            let place = if self.path.is_empty() { "the value is" } else { "is" };
            let wanted = names.iter().map(|name| article(name)).collect::<Vec<_>>().join(" or ");
            return self.wrong(format!("{place} {}, not {wanted}", article(name_of(value))));
        }
        if let Some(only) = keywords.get("const")
            && only != value
        {
            return self.wrong(format!("{value} is not {only}"));
        }
        match keywords.get("enum").and_then(Value::as_array) {
            Some(all) if !all.contains(value) => {
                self.wrong(format!("{value} is none of {}", Value::Array(all.clone())))
            }
            _ => Ok(()),
        }
    }

    fn number(&self, keywords: &Map<String, Value>, value: &Value) -> Result<(), String> {
        let number = value.as_f64().unwrap_or(f64::NAN);
        type Holds = fn(f64, f64) -> bool;
        let rules: [(&str, &str, Holds); 5] = [
            ("minimum", "is less than", |n, bound| n >= bound),
            ("maximum", "is more than", |n, bound| n <= bound),
            ("exclusiveMinimum", "is not above", |n, bound| n > bound),
            ("exclusiveMaximum", "is not below", |n, bound| n < bound),
            ("multipleOf", "is no", |n, step| (n / step).fract() == 0.0),
        ];
        for (keyword, fault, holds) in rules {
            if let Some(bound) = keywords.get(keyword)
                && !holds(number, bound.as_f64().unwrap_or(f64::NAN))
            {
                return self.wrong(format!("{value} {fault} {keyword} {bound}"));
            }
        }
        Ok(())
    }

    /// `minX` and `maxX` of a length.
    fn counted(
        &self,
        keywords: &Map<String, Value>,
        what: &str,
        things: &str,
        count: usize,
    ) -> Result<(), String> {
        let bound = |end| keywords.get(&format!("{end}{what}")).and_then(Value::as_u64);
        let count = count as u64;
        match (bound("min"), bound("max")) {
            (Some(min), _) if count < min => {
                self.wrong(format!("{count} {things} are less than min{what} {min}"))
            }
            (_, Some(max)) if count > max => {
                self.wrong(format!("{count} {things} are more than max{what} {max}"))
            }
            _ => Ok(()),
        }
    }

    fn array(&self, keywords: &Map<String, Value>, items: &[Value]) -> Result<(), String> {
        self.counted(keywords, "Items", "items", items.len())?;
        if let Some(schema) = keywords.get("items") {
            for (n, item) in items.iter().enumerate() {
                self.below(n).fits(schema, item)?;
            }
        }
        if keywords.get("uniqueItems") == Some(&Value::Bool(true)) {
            for (n, item) in items.iter().enumerate() {
                if items[..n].contains(item) {
                    return self.below(n).wrong(format!("{item} is there already"));
                }
            }
        }
        Ok(())
    }

    fn object(
        &self,
        keywords: &Map<String, Value>,
        fields: &Map<String, Value>,
    ) -> Result<(), String> {
        self.counted(keywords, "Properties", "properties", fields.len())?;
        let required = keywords.get("required").and_then(Value::as_array);
        for name in required.into_iter().flatten().filter_map(Value::as_str) {
            if !fields.contains_key(name) {
                return self.wrong(format!("\"{name}\" is required"));
            }
        }
        let known = keywords.get("properties").and_then(Value::as_object);
        for (name, value) in fields {
            match (known.and_then(|known| known.get(name)), keywords.get("additionalProperties")) {
                (Some(schema), _) => self.below(name).fits(schema, value)?,
                (None, Some(Value::Bool(false))) => {
                    return self.below(name).wrong("no such property is allowed");
                }
                (None, Some(schema)) => self.below(name).fits(schema, value)?,
                (None, None) => {}
            }
        }
        Ok(())
    }

    fn combined(&self, keywords: &Map<String, Value>, value: &Value) -> Result<(), String> {
        let schemas = |name| keywords.get(name).and_then(Value::as_array);
        for schema in schemas("allOf").into_iter().flatten() {
            self.same().fits(schema, value)?;
        }
        let fitting = |all: &[Value]| {
            all.iter().filter(|schema| self.same().fits(schema, value).is_ok()).count()
        };
        if let Some(all) = schemas("anyOf")
            && fitting(all) == 0
        {
            return self.wrong("fits none of anyOf");
        }
        if let Some(all) = schemas("oneOf") {
            let count = fitting(all);
            if count != 1 {
                return self.wrong(format!("fits {count} of oneOf, not one"));
            }
        }
        match keywords.get("not") {
            Some(schema) if self.same().fits(schema, value).is_ok() => {
                self.wrong("fits what it must not")
            }
            _ => Ok(()),
        }
    }
}

fn is(value: &Value, name: &str) -> bool {
    match name {
        "number" => value.is_number(),
        "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
        other => name_of(value) == other,
    }
}

fn name_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn article(name: &str) -> String {
    match name {
        "null" => name.to_owned(),
        "array" | "integer" | "object" => format!("an {name}"),
        _ => format!("a {name}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::validate;

    fn wrong(schema: Value, value: Value) -> Option<String> {
        super::super::keywords::check(&schema).expect("a schema");
        validate(&schema, &value).err()
    }

    fn fits(schema: Value, value: Value) -> bool {
        wrong(schema, value).is_none()
    }

    #[test]
    fn numbers_have_bounds_and_steps() {
        assert!(fits(json!({"minimum": 1, "maximum": 1}), json!(1)));
        assert!(!fits(json!({"exclusiveMinimum": 1}), json!(1)));
        assert!(!fits(json!({"exclusiveMaximum": 1}), json!(1)));
        assert!(
            fits(json!({"multipleOf": 5}), json!(15)) && !fits(json!({"multipleOf": 5}), json!(7))
        );
        assert!(fits(json!({"type": "integer"}), json!(2.0)));
        assert!(!fits(json!({"type": "integer"}), json!(2.5)));
        assert!(fits(json!({"minimum": 5}), json!("text")), "a bound is for numbers only");
    }

    #[test]
    fn texts_and_arrays_are_counted() {
        assert!(fits(json!({"maxLength": 2}), json!("äö")), "in characters");
        assert!(!fits(json!({"minLength": 3}), json!("äö")));
        assert!(!fits(json!({"maxItems": 1}), json!([1, 2])));
        let repeated = wrong(json!({"uniqueItems": true}), json!([1, {"a": 2}, {"a": 2}]));
        assert_eq!(repeated.as_deref(), Some(r#"/2: {"a":2} is there already"#));
        let item = wrong(json!({"items": {"type": "string"}}), json!(["a", null]));
        assert_eq!(item.as_deref(), Some("/1: is null, not a string"));
    }

    #[test]
    fn choices_and_combinations() {
        assert!(
            fits(json!({"enum": ["a", 1]}), json!(1)) && !fits(json!({"enum": ["a"]}), json!(1))
        );
        assert!(!fits(json!({"const": {"a": 1}}), json!({"a": 2})));
        let two = json!({"oneOf": [{"type": "number"}, {"minimum": 3}]});
        assert!(fits(two.clone(), json!(1)) && !fits(two, json!(5)));
        assert!(!fits(json!({"anyOf": [{"type": "null"}, {"type": "array"}]}), json!({})));
        assert!(!fits(json!({"allOf": [true, false]}), json!({})));
        assert!(!fits(json!({"not": {"type": "null"}}), json!(null)));
        assert!(fits(json!({"type": ["null", "string"]}), json!(null)));
        assert!(!fits(json!({"additionalProperties": {"type": "null"}}), json!({"a": 1})));
        assert!(!fits(json!({"minProperties": 1}), json!({})));
    }

    #[test]
    fn a_circle_of_references_ends() {
        let endless = json!({"$defs": {"a": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"});
        let why = wrong(endless, json!(1)).expect("too deep");
        assert!(why.contains("deeper than 64"), "{why}");
    }
}
