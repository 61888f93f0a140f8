//! Settings of the stand-in for Supabase Auth.

use super::allow_list::AllowList;
use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

/// Settings of the stand-in. The names in parentheses are Supabase's own settings.
#[derive(Clone, Debug)]
pub struct SupabaseSettings {
    /// The address to listen on. Port 0 selects a free port.
    pub listen: SocketAddr,
    /// The only key that may generate links.
    pub service_role_key: String,
    /// A valid key that may not generate links. With this key, the response is 403 `not_admin`.
    pub anon_key: String,
    /// Whether to act like the hosted product's gateway, which also requires the `apikey` header.
    pub gateway: bool,
    /// The URL to which a link redirects if its `redirect_to` is not allowed (SITE_URL).
    pub site_url: String,
    /// The allowed redirects, as globs (URI_ALLOW_LIST).
    pub uri_allow_list: Vec<String>,
    /// The origin of the links. If it is empty, the links have the stand-in's own address.
    pub external_url: String,
    /// The path of the links (MAILER_URLPATHS_*). The stand-in serves only `/auth/v1/verify`, like a gateway that
    /// routes only `/auth/v1`: links with the real server's default path, `/verify`, get a 404.
    pub verify_path: String,
    /// How long a link works (MAILER_OTP_EXP).
    pub otp_exp: Duration,
    /// Number of digits of the one-time code created with each link, 6 to 10 (MAILER_OTP_LENGTH).
    pub otp_length: usize,
    /// A before_user_created hook that rejects every new user with this status and message.
    pub hook_rejects: Option<(u16, String)>,
}

impl Default for SupabaseSettings {
    fn default() -> Self {
        SupabaseSettings {
            listen: (Ipv4Addr::LOCALHOST, 0).into(),
            service_role_key: "sandbox-service-role-key".into(),
            anon_key: "sandbox-anon-key".into(),
            gateway: true,
            site_url: "https://www.example.org".into(),
            uri_allow_list: [
                "https://example.com/auth/callback",
                r"https://example.com/auth/callback\?**",
                "http://localhost:*/**",
            ]
            .map(str::to_owned)
            .to_vec(),
            external_url: String::new(),
            verify_path: "/auth/v1/verify".into(),
            otp_exp: Duration::from_hours(1),
            otp_length: 6,
            hook_rejects: None,
        }
    }
}

impl SupabaseSettings {
    pub(super) fn allow_list(&self) -> AllowList {
        AllowList { site_url: self.site_url.clone(), entries: self.uri_allow_list.clone() }
    }
}
