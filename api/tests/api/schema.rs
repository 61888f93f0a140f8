//! As much of OpenAPI's schemas as our document uses: enough to hold an answer against it.

use serde_json::{Value, json};

/// Panics where a value does not meet a schema of the document.
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
    let right_type = match schema["type"].as_str() {
        None => true,
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("boolean") => value.is_boolean(),
        Some("number") => value.is_number(),
        Some(other) => panic!("{other} is not among the types that our document uses"),
    };
    assert!(right_type, "{value} is no {schema}");
    if let Some(text) = value.as_str() {
        let length = json!(text.chars().count());
        let (least, most) = (&schema["minLength"], &schema["maxLength"]);
        assert!(least.as_u64() <= length.as_u64(), "{text} is shorter than {least}");
        assert!(most.is_null() || length.as_u64() <= most.as_u64(), "{text} is longer than {most}");
        let pattern = schema["pattern"].as_str().unwrap_or_default();
        assert!(regex::Regex::new(pattern).unwrap().is_match(text), "{text} does not match {pattern}");
    }
    if let Some(least) = schema["minimum"].as_f64() {
        assert!(value.as_f64().unwrap() >= least, "{value} is less than {least}");
    }
    if let Some(allowed) = schema["enum"].as_array() {
        assert!(allowed.contains(value), "{value} is not one of {allowed:?}");
    }
    for name in schema["required"].as_array().into_iter().flatten() {
        assert!(!value[name.as_str().unwrap()].is_null(), "{value} lacks {name}");
    }
    for item in value.as_array().into_iter().flatten() {
        assert_valid(document, &schema["items"], item);
    }
    for (name, field) in value.as_object().into_iter().flatten() {
        let known = &schema["properties"][name];
        let known = if known.is_null() { &schema["additionalProperties"] } else { known };
        // An undocumented field of ours is a mistake, though OpenAPI would let it pass.
        assert!(schema["type"].is_null() || !known.is_null(), "{name} is not in {schema}");
        assert_valid(document, known, field);
    }
}
