//! The API as a Postman collection (format 2.1), made from its OpenAPI document.
use serde_json::{Value, json};

/// The collection for the document.
pub fn postman(api: &Value) -> Value {
    let folder = |tag: &Value| {
        let name = tag["name"].as_str().unwrap_or_default();
        json!({
            "name": name,
            "description": tag["description"],
            "item": operations(api).filter(|one| one.tag() == name).map(|one| one.item(api)).collect::<Vec<_>>(),
        })
    };
    json!({
        "info": {
            "name": format!("{} {}", text(&api["info"]["title"]), text(&api["info"]["version"])),
            "description": api["info"]["description"],
            "schema": "https://schema.getpostman.com/json/collection/v2.1.0/collection.json",
        },
        "auth": {
            "type": "bearer",
            "bearer": [{ "key": "token", "value": "{{token}}", "type": "string" }],
        },
        "variable": [
            { "key": "host", "value": "http://127.0.0.1:8081" },
            { "key": "token", "value": "" },
        ],
        "item": api["tags"].as_array().into_iter().flatten().map(folder).collect::<Vec<_>>(),
    })
}

struct Operation<'a> {
    path: &'a str,
    method: &'a str,
    own: &'a Value,
}

fn operations(api: &Value) -> impl Iterator<Item = Operation<'_>> {
    let paths = api["paths"].as_object().into_iter().flatten();
    paths.flat_map(|(path, item)| {
        let methods = item.as_object().into_iter().flatten();
        methods.map(move |(method, own)| Operation { path, method, own })
    })
}

impl Operation<'_> {
    fn tag(&self) -> &str {
        text(&self.own["tags"][0])
    }

    fn item(&self, api: &Value) -> Value {
        let mut request = json!({
            "method": self.method.to_uppercase(),
            "description": self.own["description"],
            "header": [],
            "url": self.url(),
        });
        let body = &self.own["requestBody"]["content"]["application/json"]["schema"];
        if !body.is_null() {
            request["header"] = json!([{ "key": "content-type", "value": "application/json" }]);
            let sample = serde_json::to_string_pretty(&sample(api, body)).expect("JSON");
            request["body"] = json!({
                "mode": "raw", "raw": sample, "options": { "raw": { "language": "json" } },
            });
        }
        json!({ "name": self.own["summary"], "request": request })
    }

    /// Postman writes variables of a path as `:name`.
    fn url(&self) -> Value {
        let parts: Vec<String> = self
            .path
            .trim_start_matches('/')
            .split('/')
            .map(|part| match part.strip_prefix('{') {
                Some(name) => format!(":{}", name.trim_end_matches('}')),
                None => part.to_owned(),
            })
            .collect();
        let (mut query, mut variables) = (Vec::new(), Vec::new());
        for one in self.own["parameters"].as_array().into_iter().flatten() {
            let entry =
                json!({ "key": one["name"], "value": "", "description": one["description"] });
            match text(&one["in"]) {
                "path" => variables.push(entry),
                _ => {
                    let mut entry = entry;
                    entry["disabled"] = json!(true);
                    query.push(entry);
                }
            }
        }
        json!({
            "raw": format!("{{{{host}}}}/{}", parts.join("/")),
            "host": ["{{host}}"],
            "path": parts,
            "query": query,
            "variable": variables,
        })
    }
}

/// A document of the schema's shape, for a person to fill in.
fn sample(api: &Value, schema: &Value) -> Value {
    if let Some(name) = schema["$ref"].as_str() {
        return sample(api, &api["components"]["schemas"][name.rsplit('/').next().unwrap_or("")]);
    }
    if let Some(any) = schema["oneOf"].as_array() {
        return any
            .iter()
            .find(|one| one["type"] != "null")
            .map_or(Value::Null, |one| sample(api, one));
    }
    match schema["properties"].as_object() {
        Some(fields) => {
            fields.iter().map(|(name, field)| (name.clone(), sample(api, field))).collect()
        }
        None => Value::Null,
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
