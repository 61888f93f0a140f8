//! How long a caller should wait before the next try, rounded up to whole seconds, and at least one second.

use std::{borrow::Cow, time::Duration};

use poem::http::HeaderValue;
use poem_openapi::{
    registry::{MetaSchema, MetaSchemaRef},
    types::{ParseError, ParseFromJSON, ParseResult, ToJSON, Type},
};
use serde_json::Value;

/// Seconds for the `Retry-After` header (RFC 9110 §10.2.3) and the error object's `retryAfter`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RetryAfter(u64);

impl RetryAfter {
    /// The wait in seconds, at least 1.
    pub(crate) fn seconds(self) -> u64 {
        self.0
    }

    /// The value of the `Retry-After` header.
    pub(crate) fn header_value(self) -> HeaderValue {
        HeaderValue::from(self.0)
    }
}

impl From<Duration> for RetryAfter {
    fn from(wait: Duration) -> Self {
        // Round up: a caller that retries a moment too early would be rejected again.
        Self((wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1))
    }
}

/// The type in the document is `number`, as in the published reference. poem-openapi's default would be `integer`.
impl Type for RetryAfter {
    const IS_REQUIRED: bool = true;
    type RawValueType = Self;
    type RawElementValueType = Self;

    fn name() -> Cow<'static, str> {
        "number".into()
    }

    fn schema_ref() -> MetaSchemaRef {
        MetaSchemaRef::Inline(Box::new(MetaSchema { minimum: Some(1.0), ..MetaSchema::new("number") }))
    }

    fn as_raw_value(&self) -> Option<&Self> {
        Some(self)
    }

    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
        Box::new(std::iter::once(self))
    }
}

impl ParseFromJSON for RetryAfter {
    fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
        value.as_ref().and_then(Value::as_u64).map(Self).ok_or_else(ParseError::expected_input)
    }
}

impl ToJSON for RetryAfter {
    fn to_json(&self) -> Option<Value> {
        Some(self.0.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_rounded_up_to_whole_seconds_and_is_at_least_one() {
        for (milliseconds, seconds) in [(0, 1), (1, 1), (999, 1), (1_000, 1), (1_001, 2), (59_500, 60)] {
            assert_eq!(RetryAfter::from(Duration::from_millis(milliseconds)).seconds(), seconds);
        }
    }
}
