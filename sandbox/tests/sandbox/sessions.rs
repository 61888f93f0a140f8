//! Tests of the stand-in's sessions: the user of an access token, sign-out, and what pages from other origins may call.

use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use sandbox::{SupabaseAuth, SupabaseSettings, client};
use serde_json::{Value, json};

const ADA: &str = "ada@example.com";

struct People {
    auth: SupabaseAuth,
    client: Client,
}

impl People {
    async fn new(settings: SupabaseSettings) -> People {
        People { auth: SupabaseAuth::start(settings).await.unwrap(), client: client().unwrap() }
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}/auth/v1/{path}", self.auth.url()))
    }

    /// Signs in, and returns the access token.
    async fn sign_in(&self, email: &str) -> String {
        let key = "sandbox-service-role-key";
        let body = json!({"type": "magiclink", "email": email});
        let request = self.request(Method::POST, "admin/generate_link").bearer_auth(key).header("apikey", key);
        let link: Value = request.json(&body).send().await.unwrap().json().await.unwrap();
        let body = json!({"type": "email", "token_hash": link["hashed_token"]});
        let answer = self.request(Method::POST, "verify").json(&body).send().await.unwrap();
        let session: Value = answer.json().await.unwrap();
        session["access_token"].as_str().unwrap().to_owned()
    }

    async fn user(&self, token: &str) -> (StatusCode, Value) {
        let request = self.request(Method::GET, "user").header("apikey", "sandbox-anon-key").bearer_auth(token);
        let answer = request.send().await.unwrap();
        (answer.status(), answer.json().await.unwrap())
    }

    async fn sign_out(&self, token: &str, scope: &str) -> StatusCode {
        let request = self.request(Method::POST, &format!("logout?scope={scope}"));
        request.header("apikey", "sandbox-anon-key").bearer_auth(token).send().await.unwrap().status()
    }
}

#[tokio::test]
async fn an_access_token_identifies_its_user_until_sign_out() {
    let people = People::new(SupabaseSettings::default()).await;
    let (first, second, eve) =
        (people.sign_in(ADA).await, people.sign_in(ADA).await, people.sign_in("eve@example.com").await);
    for (token, email) in [(&first, ADA), (&second, ADA), (&eve, "eve@example.com")] {
        let (status, user) = people.user(token).await;
        assert_eq!((status, &user["email"]), (StatusCode::OK, &json!(email)));
        assert_eq!(user["identities"].as_array().unwrap().len(), 1);
    }

    assert_eq!(people.sign_out(&first, "local").await, StatusCode::NO_CONTENT);
    let (status, error) = people.user(&first).await;
    assert_eq!((status, &error["error_code"]), (StatusCode::FORBIDDEN, &json!("session_not_found")));
    assert_eq!(people.user(&second).await.0, StatusCode::OK);

    let third = people.sign_in(ADA).await;
    assert_eq!(people.sign_out(&third, "others").await, StatusCode::NO_CONTENT);
    assert_eq!(people.user(&second).await.0, StatusCode::FORBIDDEN);
    assert_eq!(people.sign_out(&third, "everywhere").await, StatusCode::BAD_REQUEST);
    assert_eq!(people.sign_out(&third, "global").await, StatusCode::NO_CONTENT);
    assert_eq!(people.user(&third).await.0, StatusCode::FORBIDDEN);
    assert_eq!(people.user(&eve).await.0, StatusCode::OK);
}

#[tokio::test]
async fn a_made_up_token_and_a_banned_user_are_refused() {
    let people = People::new(SupabaseSettings::default()).await;
    let token = people.sign_in(ADA).await;
    let (signed, _) = token.rsplit_once('.').unwrap();
    for made_up in ["x", "a.b.c", &format!("{signed}."), &format!("{signed}.c2FuZGJveA")] {
        let (status, error) = people.user(made_up).await;
        assert_eq!((status, &error["error_code"]), (StatusCode::FORBIDDEN, &json!("bad_jwt")), "{made_up}");
    }
    let without = people.request(Method::GET, "user").header("apikey", "sandbox-anon-key").send().await.unwrap();
    assert_eq!(without.status(), StatusCode::UNAUTHORIZED);
    for key in [None, Some("another-key")] {
        let request = people.request(Method::GET, "user").bearer_auth(&token);
        let request = key.into_iter().fold(request, |request, key| request.header("apikey", key));
        assert_eq!(request.send().await.unwrap().status(), StatusCode::UNAUTHORIZED, "{key:?}");
    }
    people.auth.ban(ADA);
    let (status, error) = people.user(&token).await;
    assert_eq!((status, &error["error_code"]), (StatusCode::FORBIDDEN, &json!("user_banned")));
}

async fn preflight(people: &People, headers: &str) -> Response {
    let request = people.request(Method::OPTIONS, "verify").header("origin", "https://portal.example.com");
    let request = request.header("access-control-request-method", "POST");
    request.header("access-control-request-headers", headers).send().await.unwrap()
}

#[tokio::test]
async fn cors_allows_every_origin_but_allows_the_apikey_header_only_behind_a_gateway() {
    for gateway in [true, false] {
        let people = People::new(SupabaseSettings { gateway, ..SupabaseSettings::default() }).await;
        for (headers, allowed) in [("content-type", true), ("apikey,content-type", gateway)] {
            let answer = preflight(&people, headers).await;
            assert_eq!(answer.status(), StatusCode::NO_CONTENT);
            assert_eq!(answer.headers().contains_key("access-control-allow-origin"), allowed, "{gateway} {headers}");
        }
        // Pages from other origins can read error responses, too.
        let body = json!({"type": "email", "email": ADA, "token": "1234567890"});
        let request = people.request(Method::POST, "verify").header("origin", "https://portal.example.com");
        let answer = request.json(&body).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::FORBIDDEN);
        assert_eq!(answer.headers()["access-control-allow-origin"], "*");
        // Like a real server, the stand-in responds with 405 to an OPTIONS request that is not a preflight.
        let answer = people.request(Method::OPTIONS, "verify").send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED);
    }
}
