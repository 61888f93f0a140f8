//! The docs page: all that it loads is ours.

use crate::harness::TestApi;

#[tokio::test]
async fn the_page_and_what_it_loads_come_from_here() {
    let door = TestApi::open(&[]).await;
    let page = door.get("/api/docs").await;
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{policy}");
    assert!(!policy.contains("http") && !policy.contains('*') && !policy.contains("eval"), "{policy}");
    let html = String::from_utf8(page.body).unwrap();
    let scripts: Vec<&str> = html.split("<script src=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert_eq!(html.matches("<script").count(), scripts.len(), "none stands in the page");
    assert!(scripts[0].starts_with("docs/reader.js?") && scripts[1] == "docs/start.js", "{scripts:?}");
    assert!(!html.contains("://"), "{html}");

    let reader = door.get("/api/docs/reader.js").await;
    assert_eq!(reader.header("content-type"), Some("text/javascript; charset=utf-8"));
    assert!(reader.header("cache-control").unwrap().contains("immutable"));
    assert!(reader.body.len() > 1_000_000, "the whole reader");
    let start = String::from_utf8(door.get("/api/docs/start.js").await.body).unwrap();
    assert!(start.contains("'openapi.json'") && !start.contains("://"), "{start}");
    assert_eq!(door.get("/api/docs/").await.status, 404, "from there its scripts would not be found");
}

#[tokio::test]
async fn the_guide_tells_what_portals_must_know() {
    let door = TestApi::open(&[]).await;
    let guide = door.get("/api/openapi.json").await.json()["info"]["description"].as_str().unwrap().to_owned();
    for part in [
        "accepted, not delivered",
        "| 1. field `callback_origin`",
        "| 2. header `X-AppHandoff-Callback-Origin`",
        "| 3. header `Origin`",
        "| 4. header `Referer`",
        "CALLBACK_ORIGINS",
        "Supabase's redirect allow list",
        "history.replaceState",
        "Never answer it with a redirect",
        "Count down from `retryAfter`",
    ] {
        assert!(guide.contains(part), "{part}");
    }
}

#[tokio::test]
async fn the_document_is_served_as_json_and_as_yaml() {
    let door = TestApi::open(&[]).await;
    for (path, content_type, text) in [
        ("/api/openapi.json", "application/json", api::document::json()),
        ("/api/openapi.yaml", "application/yaml", api::document::yaml()),
    ] {
        let answer = door.get(path).await;
        assert_eq!((answer.status, answer.header("content-type")), (200, Some(content_type)));
        assert_eq!(String::from_utf8(answer.body).unwrap(), text);
    }
}
