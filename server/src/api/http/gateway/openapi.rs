//! The OpenAPI document of the gateway, written from the descriptors, so that it cannot be behind.

use std::collections::BTreeMap;

use prost_reflect::{
    Cardinality, EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor, MethodDescriptor,
};
use serde_json::{Map, Value, json};

use super::paths;
use crate::api::version;

/// The whole document.
pub fn document() -> Value {
    let mut schemas = Schemas::default();
    let mut all = Map::new();
    for (path, method) in paths::all() {
        all.insert(path, json!({ "post": operation(&method, &mut schemas) }));
    }
    schemas.0.insert("Status".to_owned(), status());
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Portunus",
            "version": env!("CARGO_PKG_VERSION"),
            "description": format!(
                "etcd's v3 API (as of {}) and Portunus' own services as JSON over HTTP. Paths under \
                 /v3/ are found under /v3beta/ and /v3alpha/ too. Bytes are base64; 64-bit integers \
                 are strings in answers and either in requests; what is zero is left out of \
                 answers.",
                version::ETCD
            ),
        },
        "paths": all,
        "components": {
            "schemas": schemas.0,
            "securitySchemes": {
                "token": { "type": "apiKey", "in": "header", "name": "Authorization" },
            },
        },
        "security": [{}, { "token": [] }],
    })
}

fn operation(method: &MethodDescriptor, schemas: &mut Schemas) -> Value {
    let service = method.parent_service();
    let input = schemas.of(&method.input());
    let output = schemas.of(&method.output());
    let (answer, how) = match method.is_server_streaming() {
        false => (output, "The answer."),
        true => (
            json!({ "type": "object", "properties": { "result": output, "error": reference("Status") } }),
            "Answers as they come, each a line of JSON.",
        ),
    };
    let mut operation = json!({
        "operationId": format!("{}_{}", service.name(), method.name()),
        "tags": [service.full_name()],
        "requestBody": { "required": true, "content": { "application/json": { "schema": input } } },
        "responses": {
            "200": { "description": how, "content": { "application/json": { "schema": answer } } },
            "default": {
                "description": "A refusal or a failure.",
                "content": { "application/json": { "schema": reference("Status") } },
            },
        },
    });
    if let Some(text) = comment(method.parent_file().file_descriptor_proto(), method.path()) {
        operation["description"] = text.into();
    }
    operation
}

fn status() -> Value {
    json!({
        "type": "object",
        "properties": {
            "code": { "type": "integer", "description": "gRPC's code." },
            "message": { "type": "string" },
        },
    })
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

/// The messages that are mentioned, by full name.
#[derive(Default)]
struct Schemas(BTreeMap<String, Value>);

impl Schemas {
    fn of(&mut self, message: &MessageDescriptor) -> Value {
        let name = message.full_name();
        if !self.0.contains_key(name) {
            // Known before its fields are, since it may hold itself.
            self.0.insert(name.to_owned(), Value::Null);
            let fields =
                message.fields().map(|field| (field.name().to_owned(), self.field(&field)));
            let fields: Map<String, Value> = fields.collect();
            let mut schema = json!({ "type": "object", "properties": fields });
            let file = message.parent_file();
            if let Some(text) = comment(file.file_descriptor_proto(), message.path()) {
                schema["description"] = text.into();
            }
            self.0.insert(name.to_owned(), schema);
        }
        reference(name)
    }

    fn field(&mut self, field: &FieldDescriptor) -> Value {
        let mut schema = match field.kind() {
            Kind::Message(map) if field.is_map() => {
                let value = self.field(&map.map_entry_value_field());
                json!({ "type": "object", "additionalProperties": value })
            }
            kind => {
                let one = self.kind(&kind);
                match field.cardinality() {
                    Cardinality::Repeated => json!({ "type": "array", "items": one }),
                    _ => one,
                }
            }
        };
        let file = field.parent_message().parent_file();
        if let Some(text) = comment(file.file_descriptor_proto(), field.path()) {
            schema["description"] = text.into();
        }
        schema
    }

    fn kind(&mut self, kind: &Kind) -> Value {
        match kind {
            Kind::Message(message) => self.of(message),
            Kind::Enum(names) => enumeration(names),
            Kind::Bool => json!({ "type": "boolean" }),
            Kind::String => json!({ "type": "string" }),
            Kind::Bytes => json!({ "type": "string", "contentEncoding": "base64" }),
            Kind::Double | Kind::Float => json!({ "type": "number" }),
            Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => {
                json!({ "type": "string", "format": "int64" })
            }
            Kind::Uint64 | Kind::Fixed64 => json!({ "type": "string", "format": "uint64" }),
            Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 | Kind::Uint32 | Kind::Fixed32 => {
                json!({ "type": "integer" })
            }
        }
    }
}

fn enumeration(names: &EnumDescriptor) -> Value {
    let names: Vec<_> = names.values().map(|value| value.name().to_owned()).collect();
    json!({ "type": "string", "enum": names })
}

/// What the .proto file says above the thing at `path`.
fn comment(file: &prost_reflect::prost_types::FileDescriptorProto, path: &[i32]) -> Option<String> {
    let locations = &file.source_code_info.as_ref()?.location;
    let location = locations.iter().find(|location| location.path == path)?;
    let text = location.leading_comments.as_deref()?;
    let lines: Vec<_> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    (!lines.is_empty()).then(|| lines.join(" "))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::document;

    /// Every `$ref` within.
    fn references(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(fields) => {
                for (name, value) in fields {
                    match value.as_str().filter(|_| name == "$ref") {
                        Some(target) => found.push(target.to_owned()),
                        None => references(value, found),
                    }
                }
            }
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            _ => {}
        }
    }

    #[test]
    fn the_document_is_whole() {
        let document = document();
        let put = &document["paths"]["/v3/kv/put"]["post"];
        assert_eq!(put["operationId"], "KV_Put");
        let watch = &document["paths"]["/v3/watch"]["post"]["responses"]["200"];
        let line = &watch["content"]["application/json"]["schema"]["properties"];
        assert_eq!(line["result"]["$ref"], "#/components/schemas/etcdserverpb.WatchResponse");
        let schemas = &document["components"]["schemas"];
        let range = &schemas["etcdserverpb.RangeRequest"]["properties"];
        assert_eq!(range["key"]["contentEncoding"], "base64");
        assert_eq!(range["limit"]["format"], "int64");
        assert_eq!(range["sort_order"]["enum"][2], "DESCEND");
        let kvs = &schemas["etcdserverpb.RangeResponse"]["properties"]["kvs"];
        assert_eq!(kvs["items"]["$ref"], "#/components/schemas/mvccpb.KeyValue");
        let mut found = Vec::new();
        references(&document, &mut found);
        for target in found {
            let pointer = target.trim_start_matches('#');
            assert!(document.pointer(pointer).is_some(), "{target} leads nowhere");
        }
    }
}
