//! The OpenAPI document, made of the table of routes.

use serde_json::{Map, Value, json};

use super::problem::Code;
use super::routes::{ROUTES, Route};

/// What each parameter of a query is.
const PARAMETERS: &[(&str, &str)] = &[
    ("after", "After this position, or the energy with this id"),
    ("all", "Those too that something was decided about"),
    (
        "at",
        "As it was once this position was folded, or all before the first energy that is later than this time",
    ),
    ("before", "Before this position, or the energy with this id"),
    ("causation", "The id of the direct cause"),
    ("content", "The digest of content that they refer to"),
    ("correlation", "The id of the first ancestor"),
    ("expect", "The stream of the first one must be: any, none (empty), or at this version"),
    ("follow", "Go on with what is appended"),
    ("format", "How it is written, rather than by `Accept`: ndjson, json, msgpack or sse"),
    ("freshness", "exact: all that is in the log is folded first; cached: as it is kept"),
    ("from", "From this key on"),
    ("id", "Its id, a UUID: with an id the append can be repeated"),
    ("key", "This key alone"),
    ("lane", "Of this lane's key alone"),
    ("last", "The last so many"),
    ("limit", "At most so many"),
    ("plane", "The plane, which is else `main`"),
    ("prefix", "What begins so"),
    ("pulse", "Say every so many milliseconds that nothing was missed"),
    ("reverse", "The last one first"),
    ("since", "From this time on: RFC 3339, a date, milliseconds since 1970, or back from now, such as 2h"),
    ("spell", "Of this spell alone"),
    ("stream", "The stream, which is the entity that energies belong to"),
    ("tag", "TAG=VALUE; several: all of them"),
    ("time", "Their time: RFC 3339, a date, or milliseconds since 1970"),
    ("to", "Before this key"),
    ("topic", "A pattern: `*` is one token, `>` the rest; several: one of them"),
    ("ttl", "How long they are kept: forever, ephemeral, time:MS, last:N"),
    ("unless-after", "Energies up to this position do not count for the other conditions"),
    ("unless-stream", "Only if no energy belongs to this stream"),
    ("unless-tag", "Only if no energy has this tag: TAG=VALUE"),
    ("unless-topic", "Only if no energy has a topic that matches"),
    ("until", "Before this time"),
];

/// Parameters that may be given several times.
const REPEATED: [&str; 4] = ["topic", "tag", "unless-topic", "unless-tag"];

/// The document.
#[must_use]
pub fn document() -> Value {
    let mut paths = Map::new();
    for route in ROUTES {
        let path = paths.entry(route.path.replace("{*", "{")).or_insert_with(|| json!({}));
        path[route.method.to_lowercase()] = operation(route);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Sanctum",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "A log of energies, appended to, read and followed over HTTP.",
        },
        "paths": paths,
        "components": {
            "securitySchemes": { "token": { "type": "http", "scheme": "bearer" } },
            "schemas": { "Problem": problem() },
        },
    })
}

fn operation(route: &Route) -> Value {
    let parts = route.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let parts = parts.map(|name| {
        let name = name.trim_start_matches('*');
        json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } })
    });
    let query = route.parameters().map(|name| {
        let about = PARAMETERS.iter().find(|(known, _)| *known == name).map_or("", |(_, about)| about);
        let schema = match REPEATED.contains(&name) {
            true => json!({ "type": "array", "items": { "type": "string" } }),
            false => json!({ "type": "string" }),
        };
        json!({ "name": name, "in": "query", "description": about, "schema": schema })
    });
    let mut operation = json!({
        "summary": route.about,
        "parameters": parts.chain(query).collect::<Vec<_>>(),
        "responses": {
            "2XX": { "description": "Done." },
            "default": {
                "description": "A problem.",
                "content": { "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } },
            },
        },
    });
    if let Some(role) = route.role {
        operation["security"] = json!([{ "token": [] }]);
        operation["x-role"] = role.name().into();
    }
    operation
}

fn problem() -> Value {
    let codes: Vec<_> = Code::ALL.iter().map(|code| code.name()).collect();
    let about: String = Code::ALL
        .iter()
        .map(|code| format!("- `{}` ({}): {}\n", code.name(), code.status(), code.about()))
        .collect();
    json!({
        "type": "object",
        "required": ["title", "status", "code", "detail"],
        "properties": {
            "title": { "type": "string" },
            "status": { "type": "integer" },
            "code": { "type": "string", "enum": codes, "description": about },
            "detail": { "type": "string" },
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_parameter_is_described() {
        for route in ROUTES {
            for name in route.parameters() {
                assert!(PARAMETERS.iter().any(|(known, _)| *known == name), "{name}");
            }
        }
        for (name, _) in PARAMETERS {
            assert!(
                ROUTES.iter().any(|route| route.parameters().any(|used| used == *name)),
                "{name} is not used"
            );
        }
    }
}
