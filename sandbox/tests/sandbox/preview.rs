//! Tests of the mailbox page's "Mails" tab: the worker renders the mails, and only the rendered files are served.

use std::fs;

use sandbox::{Mailgun, MailgunSettings, PortalFiles, Programs, client};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::mailgun::mailgun;

/// Starts a mailbox that shows the mails of `cargo dev`'s two portals.
async fn mailbox_of(files: &PortalFiles) -> Mailgun {
    let preview = files.preview(&Programs::build().await.unwrap().worker);
    Mailgun::start(MailgunSettings { preview: Some(preview), ..MailgunSettings::default() }).await.unwrap()
}

/// Requests a path, and returns the status, the header with this name, and the body.
async fn get(mailgun: &Mailgun, path: &str, header: &str) -> (u16, String, Vec<u8>) {
    let answer = client().unwrap().get(format!("{}{path}", mailgun.url())).send().await.unwrap();
    let header = answer.headers().get(header).map(|value| value.to_str().unwrap().to_owned());
    (answer.status().as_u16(), header.unwrap_or_default(), answer.bytes().await.unwrap().to_vec())
}

async fn text(mailgun: &Mailgun, path: &str) -> String {
    String::from_utf8(get(mailgun, path, "content-type").await.2).unwrap()
}

/// Requests exactly this path, and returns the status line of the response. An HTTP client would remove `..` from the
/// path.
async fn status_of(mailgun: &Mailgun, path: &str) -> String {
    let host = mailgun.url().replace("http://", "");
    let mut stream = TcpStream::connect(&host).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = vec![];
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer).lines().next().unwrap().to_owned()
}

#[tokio::test]
async fn all_mails_of_all_portals_are_rendered_and_only_their_files_are_served() {
    let files = PortalFiles::write("https://library.example.com").unwrap();
    let mailgun = mailbox_of(&files).await;
    let inbox = text(&mailgun, "/").await;
    assert!(inbox.contains("<a href=\"/\" aria-current=\"page\">Inbox</a><a href=\"/mails\">Mails</a>"), "{inbox}");
    assert_eq!(get(&mailgun, "/mails/library-de-link.txt", "").await.0, 404, "nothing has been rendered yet");

    let page = text(&mailgun, "/mails").await;
    assert!(page.contains("<a href=\"/\">Inbox</a><a href=\"/mails\" aria-current=\"page\">Mails</a>"), "{page}");
    assert!(page.contains("<h2>Example Portal (example)</h2>") && page.contains("<h2>Stadtbücherei (library)</h2>"));
    let frames: Vec<&str> = page
        .split("src=\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .filter(|src| src.contains("/shown/"))
        .collect();
    assert_eq!(frames.len(), 8 * 3 * 2, "8 languages, 3 styles, 2 modes: {page}");
    assert_eq!(page.matches("<iframe").count(), page.matches("sandbox=\"allow-same-origin allow-popups ").count());
    assert!(!page.contains("allow-scripts"));
    for frame in frames {
        let (status, policy, mail) = get(&mailgun, frame, "content-security-policy").await;
        assert_eq!(status, 200, "{frame}");
        assert!(
            policy.starts_with("default-src 'none'; ") && policy.contains("; sandbox allow-same-origin "),
            "{policy}"
        );
        assert!(!policy.contains("allow-scripts"), "{policy}");
        assert!(String::from_utf8(mail).unwrap().contains("<html lang="), "{frame}");
    }
    for (path, expected) in [
        ("/mails", "text/html; charset=utf-8"),
        ("/mails/shown/library-de-link-dark.html", "text/html; charset=utf-8"),
        ("/mails/library-de-link.txt", "text/plain; charset=utf-8"),
        ("/mails/library-de-link.headers", "text/plain; charset=utf-8"),
        ("/mails/library-logo.png", "image/png"),
        ("/mails/index.json", "application/json"),
        ("/preview.css", "text/css; charset=utf-8"),
        ("/preview.js", "text/javascript; charset=utf-8"),
    ] {
        let (status, media_type, _) = get(&mailgun, path, "content-type").await;
        assert_eq!((status, media_type.as_str()), (200, expected), "{path}");
    }
    for path in [
        "/mails/none.html",
        "/mails/shown",
        "/mails/shown/",
        "/mails/../portals.toml",
        "/mails/../../../../etc/passwd",
        "/mails/shown/../library-de-link.txt",
        "/mails/..%2f..%2f..%2fetc%2fpasswd",
        "/mails/%2e%2e/%2e%2e/etc/passwd",
        "/mails/%2fetc%2fpasswd",
        "/mails//etc/passwd",
    ] {
        assert_eq!(status_of(&mailgun, path).await, "HTTP/1.1 404 Not Found", "{path}");
    }
}

#[tokio::test]
async fn changed_files_are_rendered_and_mistakes_are_shown_instead_of_mails() {
    let files = PortalFiles::write("https://library.example.com").unwrap();
    let mailgun = mailbox_of(&files).await;
    fs::write(files.templates().join("en/words.ftl"), "mail-button = Let <me> in\n").unwrap();
    assert!(text(&mailgun, "/mails").await.contains("24 mails"));
    let mail = text(&mailgun, "/mails/shown/example-en-link-light.html").await;
    assert!(mail.contains(">Let &lt;me&gt; in</a>"), "{mail}");

    let portals = fs::read_to_string(files.portals()).unwrap();
    fs::write(files.portals(), portals.replace("#7a1f5c", "<b>")).unwrap();
    fs::write(files.templates().join("sign_in.html"), "no link").unwrap();
    let page = text(&mailgun, "/mails").await;
    assert!(page.contains("<h2>The mails cannot be rendered</h2>") && !page.contains("<iframe"), "{page}");
    assert!(page.contains("`colour`: `&lt;b&gt;` is not a hex colour") && !page.contains("<b>"), "{page}");
    let open = text(&mailgun, "/mails/shown/example-en-link-light.html").await;
    assert_eq!(open, mail, "open pages keep their mails");
}

#[tokio::test]
async fn without_a_preview_command_there_is_no_mails_tab() {
    let mailgun = mailgun().await;
    assert!(!text(&mailgun, "/").await.contains("class=\"tabs\""));
    for path in ["/mails", "/mails/index.json", "/preview.js"] {
        assert_eq!(get(&mailgun, path, "").await.0, 404, "{path}");
    }
}

#[tokio::test]
async fn a_request_from_another_site_renders_nothing() {
    let files = PortalFiles::write("https://library.example.com").unwrap();
    let mailgun = mailbox_of(&files).await;
    let request = client().unwrap().get(format!("{}/mails", mailgun.url())).header("host", "rebound.example");
    assert_eq!(request.send().await.unwrap().status(), 403);
    assert_eq!(get(&mailgun, "/mails/index.json", "").await.0, 404);
}
