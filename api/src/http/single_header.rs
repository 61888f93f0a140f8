//! Request headers that may have only one value.

use poem::http::{HeaderMap, HeaderName};

/// The value of a header, or `None` if the header is missing, not ASCII text, or repeated with different values.
pub(crate) fn single_header<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?;
    if values.any(|other| other != first) { None } else { first.to_str().ok() }
}
