//! Recognises a POST that another site sent.

use poem::http::{HeaderMap, HeaderName, header};

use crate::http::single_header::single_header;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Whether the headers show that another site sent this POST. Browsers send `Origin` with every POST. A request with
/// neither `Origin` nor `Sec-Fetch-Site` does not come from a browser, so no site can have caused it.
pub(super) fn is_foreign(headers: &HeaderMap, own_origin: &str) -> bool {
    let has_foreign_origin =
        headers.contains_key(header::ORIGIN) && single_header(headers, &header::ORIGIN) != Some(own_origin);
    let fetch_site = single_header(headers, &SEC_FETCH_SITE);
    let is_cross_site = headers.contains_key(SEC_FETCH_SITE) && !matches!(fetch_site, Some("same-origin" | "none"));
    has_foreign_origin || is_cross_site
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_post_sent_by_another_site_is_recognised() {
        let own = "https://login.example.com";
        for (pairs, foreign) in [
            (vec![], false),
            (vec![("origin", own)], false),
            (vec![("origin", own), ("sec-fetch-site", "same-origin")], false),
            (vec![("sec-fetch-site", "none")], false),
            (vec![("origin", "https://evil.example")], true),
            (vec![("origin", "null")], true),
            (vec![("origin", own), ("origin", "https://evil.example")], true),
            (vec![("origin", "https://login.example.com.evil.example")], true),
            (vec![("origin", own), ("sec-fetch-site", "cross-site")], true),
            (vec![("sec-fetch-site", "same-site")], true),
            (vec![("sec-fetch-site", "?")], true),
        ] {
            let mut headers = HeaderMap::new();
            for (name, value) in &pairs {
                headers.append(*name, value.parse().unwrap());
            }
            assert_eq!(is_foreign(&headers, own), foreign, "{pairs:?}");
        }
    }
}
