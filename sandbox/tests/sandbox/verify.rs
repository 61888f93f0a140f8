//! The stand-in's `/verify`, called with the token hash and the code of a link. The expected responses were observed on
//! a real server.

use sandbox::{SupabaseAuth, SupabaseSettings, client};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha224};

const ADA: &str = "ada@example.com";
const CALLBACK_URL: &str = "http://localhost:5173/auth/callback?next=%2Fexample";

/// Makes a link of this type.
async fn make(auth: &SupabaseAuth, kind: &str, email: &str) -> Value {
    let key = "sandbox-service-role-key";
    let url = format!("{}/auth/v1/admin/generate_link", auth.url());
    let body = json!({"type": kind, "email": email, "redirect_to": CALLBACK_URL});
    let request = client().unwrap().post(url).bearer_auth(key).header("apikey", key).json(&body);
    request.send().await.unwrap().json().await.unwrap()
}

async fn start() -> SupabaseAuth {
    SupabaseAuth::start(SupabaseSettings::default()).await.unwrap()
}

fn text<'a>(link: &'a Value, field: &str) -> &'a str {
    link[field].as_str().unwrap()
}

/// The `/verify` URL that the confirm page's button opens for this link, with this type.
fn opened_as(auth: &SupabaseAuth, link: &Value, kind: &str) -> String {
    let hash = text(link, "hashed_token");
    format!("{}/auth/v1/verify?token={hash}&type={kind}&redirect_to=http%3A%2F%2Flocalhost%3A5173%2F", auth.url())
}

#[tokio::test]
async fn the_hash_is_computed_from_the_address_and_the_code_for_every_code_length() {
    let auth = start().await;
    for digits in [6, 8, 10] {
        auth.set_otp_length(digits);
        let link = make(&auth, "magiclink", ADA).await;
        let code = text(&link, "email_otp");
        assert!(code.len() == digits && code.bytes().all(|byte| byte.is_ascii_digit()), "{code}");
        let hash: String = Sha224::digest(format!("{ADA}{code}")).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(text(&link, "hashed_token"), hash);
        assert!(text(&link, "action_link").contains(&format!("token={hash}&")));
        assert!(auth.live_codes().iter().any(|live| live == code) && auth.live_token_hashes().contains(&hash));
    }
}

#[tokio::test]
async fn type_email_opens_links_of_every_kind() {
    for (kind, is_known) in [("magiclink", true), ("magiclink", false), ("recovery", true), ("signup", false)] {
        let auth = start().await;
        if is_known {
            auth.add_confirmed_user(ADA);
        }
        let link = make(&auth, kind, ADA).await;
        let outcome = auth.verify(&opened_as(&auth, &link, "email")).await.unwrap();
        assert!(outcome.signed_in(), "{kind}: {outcome:?}");
        assert_eq!(auth.verify(&opened_as(&auth, &link, "email")).await.unwrap().code, "otp_expired");

        let link = make(&auth, "magiclink", ADA).await;
        assert_eq!(auth.verify_token_hash(text(&link, "hashed_token")).await.unwrap(), "signed_in", "{kind}");
        let link = make(&auth, "magiclink", ADA).await;
        assert_eq!(auth.verify_code(ADA, text(&link, "email_otp")).await.unwrap(), "signed_in", "{kind}");
    }
}

#[tokio::test]
async fn using_either_the_hash_or_the_code_of_a_link_invalidates_both() {
    for is_known in [true, false] {
        for used in ["hash by GET", "hash by POST", "code"] {
            let auth = start().await;
            if is_known {
                auth.add_confirmed_user(ADA);
            }
            let link = make(&auth, "magiclink", ADA).await;
            let (hash, code) = (text(&link, "hashed_token"), text(&link, "email_otp"));
            let outcome = match used {
                "hash by GET" => auth.verify(&opened_as(&auth, &link, "email")).await.unwrap().code,
                "hash by POST" => auth.verify_token_hash(hash).await.unwrap(),
                _ => auth.verify_code(ADA, code).await.unwrap(),
            };
            assert_eq!(outcome, "signed_in", "{used}");
            assert_eq!(auth.verify_token_hash(hash).await.unwrap(), "otp_expired", "{used}");
            assert_eq!(auth.verify_code(ADA, code).await.unwrap(), "otp_expired", "{used}");
            assert_eq!(auth.verify(&opened_as(&auth, &link, "email")).await.unwrap().code, "otp_expired", "{used}");
        }
    }
}

#[tokio::test]
async fn the_case_of_the_address_does_not_matter_but_a_space_in_the_code_does() {
    let auth = start().await;
    let link = make(&auth, "magiclink", ADA).await;
    let code = text(&link, "email_otp");
    let (start, end) = code.split_at(3);
    assert_eq!(auth.verify_code(ADA, &format!("{start} {end}")).await.unwrap(), "otp_expired");
    assert_eq!(auth.verify_code("eve@example.com", code).await.unwrap(), "otp_expired");
    assert_eq!(auth.verify_code("Ada@Example.com", code).await.unwrap(), "signed_in");
}

#[tokio::test]
async fn a_head_request_with_type_email_does_not_use_up_the_link() {
    let auth = start().await;
    let link = make(&auth, "magiclink", ADA).await;
    let url = opened_as(&auth, &link, "email");
    let answer = client().unwrap().head(&url).send().await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.text().await.unwrap().as_str()), (405, ""));
    assert!(auth.verify(&url).await.unwrap().signed_in());
}
