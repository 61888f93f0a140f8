//! Validates values against the parts of OpenAPI's schema language that our document uses.

use serde_json::{Value, json};

/// Panics if the value does not match the schema.
pub(crate) fn assert_valid(document: &Value, schema: &Value, value: &Value) {
    if let Some(reference) = schema["$ref"].as_str() {
        return assert_valid(document, document.pointer(&reference[1..]).unwrap(), value);
    }
    if value.is_null() && schema["nullable"] == true {
        return;
    }
    for part in schema["allOf"].as_array().into_iter().flatten() {
        assert_valid(document, part, value);
    }
    let has_right_type = match schema["type"].as_str() {
        None => true,
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("boolean") => value.is_boolean(),
        Some("number") => value.is_number(),
        Some(other) => panic!("the type {other} is not supported here"),
    };
    assert!(has_right_type, "{value} does not match {schema}");
    if let Some(text) = value.as_str() {
        let length = json!(text.chars().count());
        let (min, max) = (&schema["minLength"], &schema["maxLength"]);
        assert!(min.as_u64() <= length.as_u64(), "{text} is shorter than {min}");
        assert!(max.is_null() || length.as_u64() <= max.as_u64(), "{text} is longer than {max}");
        let pattern = schema["pattern"].as_str().unwrap_or_default();
        assert!(regex::Regex::new(pattern).unwrap().is_match(text), "{text} does not match {pattern}");
    }
    if let Some(min) = schema["minimum"].as_f64() {
        assert!(value.as_f64().unwrap() >= min, "{value} is less than {min}");
    }
    if let Some(allowed) = schema["enum"].as_array() {
        assert!(allowed.contains(value), "{value} is not one of {allowed:?}");
    }
    for name in schema["required"].as_array().into_iter().flatten() {
        assert!(!value[name.as_str().unwrap()].is_null(), "{name} is missing in {value}");
    }
    for item in value.as_array().into_iter().flatten() {
        assert_valid(document, &schema["items"], item);
    }
    for (name, field) in value.as_object().into_iter().flatten() {
        let field_schema = &schema["properties"][name];
        let field_schema = if field_schema.is_null() { &schema["additionalProperties"] } else { field_schema };
        // OpenAPI allows undocumented fields, but in our responses they are a mistake.
        assert!(schema["type"].is_null() || !field_schema.is_null(), "{name} is not in {schema}");
        assert_valid(document, field_schema, field);
    }
}
