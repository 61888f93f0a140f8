//! Serves the example portal (`openapi/examples/portal`) on a separate origin, so that browsers make real
//! cross-origin requests. The files are read for each request, so reloading a page shows changes.

use crate::{SupabaseSettings, html::escape, programs::workspace_root, server::Server};
use poem::{
    Endpoint, EndpointExt, IntoResponse, Request, Response,
    endpoint::make_sync,
    http::{StatusCode, header, uri::PathAndQuery},
    web::Redirect,
};
use serde_json::json;
use std::{
    fs, io,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};
use tokio::net::TcpListener;

const FOLDER: &str = "openapi/examples/portal";
/// The portal's name in the HTML files. Each portal replaces it with its own name.
const NAME: &str = "Example Portal";
const SCRIPTS: [&str; 12] = [
    "address.js",
    "api.js",
    "asked.js",
    "callback.js",
    "code.js",
    "config.js",
    "count-down.js",
    "member.js",
    "messages.js",
    "session.js",
    "sign-in.js",
    "supabase.js",
];

/// Settings of the portal.
#[derive(Clone, Debug)]
pub struct PortalSettings {
    /// The address to listen on. Port 0 selects a free port.
    pub listen: SocketAddr,
    /// The host in the portal's address: `localhost` or `127.0.0.1`. Requests for pages under the other host are
    /// redirected to this one.
    pub host: &'static str,
    /// The name that the pages show.
    pub name: String,
    /// The CSS colours of buttons and links, in light and in dark mode. `None` for the portal's default blue.
    pub accent: Option<(&'static str, &'static str)>,
    /// The api's base URL, such as `http://127.0.0.1:8080/api`.
    pub api: String,
    /// Seconds until a person may request a second mail.
    pub resend_after: u32,
    /// Supabase's URL, without `/auth/v1`.
    pub supabase_url: String,
    /// Supabase's public key.
    pub supabase_key: String,
    /// Whether mails contain a code (the worker's MAIL_CODE). If true, the portal has a field for the code.
    pub mails_show_code: bool,
}

impl Default for PortalSettings {
    fn default() -> Self {
        PortalSettings {
            listen: (Ipv4Addr::LOCALHOST, 0).into(),
            host: "localhost",
            name: NAME.into(),
            accent: None,
            api: "http://127.0.0.1:8080/api".into(),
            resend_after: 30,
            supabase_url: "http://127.0.0.1:8054".into(),
            supabase_key: SupabaseSettings::default().anon_key,
            mails_show_code: false,
        }
    }
}

/// The running portal. Dropping it stops it.
#[derive(Debug)]
pub struct Portal {
    server: Server,
    host: &'static str,
}

impl Portal {
    /// Starts the portal on the current runtime.
    ///
    /// # Errors
    /// The portal cannot listen on the address, for example because it is already in use.
    pub async fn start(settings: PortalSettings) -> io::Result<Portal> {
        let listener = TcpListener::bind(settings.listen).await?;
        let host = settings.host;
        Ok(Portal { server: Server::start(listener, pages(settings))?, host })
    }

    /// The portal's origin. By default, its host is `localhost`, because the stand-in for Supabase Auth and the api
    /// allow `http://localhost` on any port.
    pub fn url(&self) -> String {
        format!("http://{}:{}", self.host, self.server.address().port())
    }
}

fn pages(settings: PortalSettings) -> impl Endpoint + 'static {
    let settings = Arc::new(settings);
    make_sync(move |request: Request| page(&settings, &request)).boxed()
}

fn page(settings: &PortalSettings, request: &Request) -> Response {
    let (file, kind) = file_of(request.uri().path());
    if let Some(address) = own_address(settings.host, file, request) {
        return Redirect::temporary(address).into_response();
    }
    let content = match file {
        "config.js" => Ok(config(settings)),
        file => fs::read_to_string(workspace_root().join(FOLDER).join(file)).map(|text| own_look(settings, file, text)),
    };
    let Ok(content) = content else {
        return Response::builder()
            .status(StatusCode::INTERNAL_SERVER_ERROR)
            .body(format!("cannot read {FOLDER}/{file}"));
    };
    Response::builder()
        .content_type(kind)
        .header(header::CACHE_CONTROL, "no-store")
        .header(header::X_CONTENT_TYPE_OPTIONS, "nosniff")
        .header(header::CONTENT_SECURITY_POLICY, policy(settings))
        .body(content)
}

/// Puts the portal's own name and colours into a file.
fn own_look(settings: &PortalSettings, file: &str, text: String) -> String {
    match (file, settings.accent) {
        ("portal.css", Some((light, dark))) => format!(
            "{text}:root {{ --accent: {light}; --accent-deep: {light}; }}\n\
             @media (prefers-color-scheme: dark) {{ :root {{ --accent: {dark}; --accent-deep: {dark}; }} }}\n"
        ),
        (file, _) if file.ends_with(".html") => text.replace(NAME, &escape(&settings.name)),
        _ => text,
    }
}

/// The page's address under the portal's own host, if the request used the other host: 127.0.0.1 instead of localhost,
/// or the reverse. Browsers keep a session per host, and the api allows only one origin. The callback is never
/// redirected, because the redirect would pass on the tokens in its URL.
fn own_address(own: &str, file: &str, request: &Request) -> Option<String> {
    let host = request.header(header::HOST)?;
    let (name, port) = host.rsplit_once(':')?;
    let is_page = matches!(file, "index.html" | "member.html");
    let path = request.uri().path_and_query().map_or("/", PathAndQuery::as_str);
    (is_page && name != own).then(|| format!("http://{own}:{port}{path}"))
}

/// Returns the file and the content type for a path. Unknown paths show the page for people who are signed in. The
/// callback is a page and not a redirect, because a browser would pass the tokens on to the redirect's target.
fn file_of(path: &str) -> (&'static str, &'static str) {
    const HTML: &str = "text/html; charset=utf-8";
    let script = SCRIPTS.into_iter().find(|script| path.strip_prefix('/') == Some(script));
    match (path, script) {
        (_, Some(script)) => (script, "text/javascript; charset=utf-8"),
        ("/portal.css", _) => ("portal.css", "text/css; charset=utf-8"),
        ("/", _) => ("index.html", HTML),
        ("/auth/callback", _) => ("callback.html", HTML),
        _ => ("member.html", HTML),
    }
}

fn config(settings: &PortalSettings) -> String {
    let PortalSettings { api, resend_after, supabase_url, supabase_key, mails_show_code, .. } = settings;
    // JSON is valid JavaScript.
    let supabase = json!({"url": supabase_url, "key": supabase_key});
    [
        ("api", json!(api)),
        ("resendAfter", json!(resend_after)),
        ("supabase", supabase),
        ("mailsShowCode", json!(mails_show_code)),
    ]
    .map(|(name, value)| format!("export const {name} = {value};\n"))
    .concat()
}

/// Allows only the portal's own scripts and styles, images in `data:` URLs, and requests to the api and to Supabase.
fn policy(settings: &PortalSettings) -> String {
    let origin = |url: &str| url::Url::parse(url).map(|url| url.origin().ascii_serialization()).unwrap_or_default();
    let (api, supabase) = (origin(&settings.api), origin(&settings.supabase_url));
    format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src {api} {supabase}; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
}
