//! Refuses values that do not fit a JSON schema: a write policy whose configuration is the schema.
//!
//! It knows this part of draft 2020-12: `type` `enum` `const`, `properties` `required`
//! `additionalProperties` `minProperties` `maxProperties`, `items` `minItems` `maxItems`
//! `uniqueItems`, `minimum` `maximum` `exclusiveMinimum` `exclusiveMaximum` `multipleOf`,
//! `minLength` `maxLength`, `allOf` `anyOf` `oneOf` `not`, `$defs` and `$ref` within the schema.
//! Titles and the like are passed over. A schema with any other keyword, as `pattern` or `format`,
//! refuses every write and names it: a rule that would not be kept must not look as if it were.
//!
//! ```sh
//! portunus plugin deploy builtin:json-schema --write-policy users/ --config @schema.json
//! ```

mod keywords;
mod validate;

use portunus_sdk::prelude::*;
use serde_json::Value;

#[write_policy]
fn json_schema(cx: &Context, writes: &[Write]) -> Result {
    // Not `config_as`, which reads lines as well: a schema is JSON.
    let schema: Value = match serde_json::from_slice(cx.configuration()) {
        Ok(schema) => schema,
        Err(error) => return refuse(format!("configuration of {}: {error}", cx.name())),
    };
    if let Err(why) = keywords::check(&schema) {
        return refuse(format!("the schema cannot be used: {why}"));
    }
    for write in writes {
        let Some(value) = write.value() else { continue };
        let key = write.key_text();
        let value: Value = serde_json::from_slice(value)
            .map_err(|error| format!("{key}: not JSON: {error}"))
            .or_else(refuse)?;
        if let Err(wrong) = validate::validate(&schema, &value) {
            return refuse(format!("{key}: {wrong}"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use portunus_sdk::testing::{Client, Cluster, Plugin};

    use super::json_schema;

    fn deployed(schema: &str) -> Client {
        let cluster = Cluster::new();
        let plugin = Plugin::new("schema").under("users/").config(schema);
        cluster.deploy(plugin.write_policy(json_schema));
        cluster.anonymous()
    }

    const USER: &str = r##"{
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {
            "name": {"type": "string", "minLength": 1},
            "age": {"type": "integer", "minimum": 0},
            "boss": {"$ref": "#"}
        },
        "required": ["name"],
        "additionalProperties": false
    }"##;

    #[test]
    fn what_fits_is_written_and_the_rest_is_told_where_it_fails() {
        let client = deployed(USER);
        for value in [r#"{"name": "a"}"#, r#"{"name": "a", "boss": {"name": "b", "age": 3}}"#] {
            client.put("users/1", value).expect("fits");
        }
        for (value, why) in [
            (r#"{"name": "a", "age": -1}"#, "/age: -1 is less than minimum 0"),
            (r#"{"name": "a", "boss": {}}"#, r#"/boss: "name" is required"#),
            (r#"{"name": "a", "x": 1}"#, r#"/x: no such property is allowed"#),
            ("[]", "the value is an array, not an object"),
            ("{", "not JSON: EOF while parsing an object at line 1 column 1"),
        ] {
            let refused = client.put("users/1", value).expect_err(value).to_string();
            assert_eq!(refused, format!("refused by schema: users/1: {why}"));
        }
        assert_eq!(client.delete("users/1"), Ok(1), "deletes have no value");
    }

    #[test]
    fn a_schema_it_does_not_know_whole_refuses_everything() {
        let client = deployed(r#"{"properties": {"name": {"pattern": "^a"}}}"#);
        let refused = client.put("users/1", "{}").expect_err("refused").to_string();
        assert_eq!(
            refused,
            "refused by schema: the schema cannot be used: /properties/name: keyword \"pattern\" \
             is not supported"
        );
    }
}
