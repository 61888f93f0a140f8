//! The documentation page and the served OpenAPI document.

use crate::harness::TestApi;

#[tokio::test]
async fn the_page_loads_scripts_only_from_this_server() {
    let api = TestApi::start(&[]).await;
    let page = api.get("/api/docs").await;
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{policy}");
    assert!(!policy.contains("http") && !policy.contains('*') && !policy.contains("eval"), "{policy}");
    let html = String::from_utf8(page.body).unwrap();
    let scripts: Vec<&str> = html.split("<script src=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert_eq!(html.matches("<script").count(), scripts.len(), "no inline script");
    assert!(scripts[0].starts_with("docs/reader.js?") && scripts[1] == "docs/start.js", "{scripts:?}");
    assert!(!html.contains("://"), "{html}");

    let reader = api.get("/api/docs/reader.js").await;
    assert_eq!(reader.header("content-type"), Some("text/javascript; charset=utf-8"));
    assert!(reader.header("cache-control").unwrap().contains("immutable"));
    assert!(reader.body.len() > 1_000_000, "the whole reader");
    let start = String::from_utf8(api.get("/api/docs/start.js").await.body).unwrap();
    assert!(start.contains("'openapi.json'") && !start.contains("://"), "{start}");
    assert_eq!(api.get("/api/docs/").await.status, 404, "with a final slash, the relative script URLs would be wrong");
}

#[tokio::test]
async fn the_root_and_the_base_url_redirect_to_the_page() {
    let api = TestApi::start(&[]).await;
    for (path, location) in [("/", "api/docs"), ("/api", "api/docs"), ("/api/", "docs")] {
        let response = api.get(path).await;
        assert_eq!((response.status, response.header("location")), (307, Some(location)), "{path}");
    }
    assert_eq!(api.get("/api/unknown").await.status, 404);
}

#[tokio::test]
async fn the_guide_contains_the_rules_for_portals() {
    let api = TestApi::start(&[]).await;
    let guide = api.get("/api/openapi.json").await.json()["info"]["description"].as_str().unwrap().to_owned();
    for part in [
        "accepted, not delivered",
        "| 1. field `callback_origin`",
        "| 2. header `X-AppHandoff-Callback-Origin`",
        "| 3. header `Origin`",
        "| 4. header `Referer`",
        "CALLBACK_ORIGINS",
        "Supabase's redirect allow list",
        "history.replaceState",
        "Never answer a request for this page with a redirect",
        "Count down from `retryAfter`",
    ] {
        assert!(guide.contains(part), "{part}");
    }
}

#[tokio::test]
async fn the_document_is_served_as_json_and_as_yaml() {
    let api = TestApi::start(&[]).await;
    let json = api.get("/api/openapi.json").await;
    assert_eq!((json.status, json.header("content-type")), (200, Some("application/json")));
    let yaml = api.get("/api/openapi.yaml").await;
    assert_eq!((yaml.status, yaml.header("content-type")), (200, Some("application/yaml")));
    assert_eq!(serde_yaml::from_slice::<serde_json::Value>(&yaml.body).unwrap(), json.json());
}
