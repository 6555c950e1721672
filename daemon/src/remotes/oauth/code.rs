//! Owns: a login with a browser on this machine: the authorization code with PKCE (RFC 7636), brought back to loopback (RFC 8252).
//! Must never know: where tokens are kept.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use mingle_core::limits;
use reqwest::Url;
use tokio::net::TcpListener;

use super::{
    ask::{Asker, Places},
    attempt::{Asked, Rest, Shown, chance, refused},
    listener::{self, Brought, Expects},
};
use crate::remotes::Problem;

pub(super) async fn begin(asker: &Asker, places: &Places, rest: Rest) -> Result<(Shown, Asked), Problem> {
    let Some(authorize) = places.authorize.clone() else {
        return Err(
            Problem::new("the service has no address where a browser agrees").hint("`mingle remote login REMOTE --device`")
        );
    };
    let listening = TcpListener::bind("127.0.0.1:0").await.and_then(|socket| Ok((socket.local_addr()?.port(), socket)));
    let (port, socket) = listening.map_err(|error| Problem::new(format!("no browser can come back to this machine: {error}")))?;
    let (back, state, verifier) = (format!("http://127.0.0.1:{port}/"), chance(), chance());
    let url = address(authorize, asker, &back, &state, &verifier);
    let expects = Expects { port, state, issuer: places.issuer.clone(), names_itself: places.names_itself };
    let (asker, places) = (asker.clone(), places.clone());
    let work = async move {
        let Brought { code, page } = listener::wait(socket, expects, rest).await?;
        let words =
            [("grant_type", "authorization_code"), ("code", &*code), ("redirect_uri", &*back), ("code_verifier", &*verifier)];
        match asker.grant(&places, &words).await {
            Ok(grant) => Ok((grant, Some(page))),
            Err(no) => {
                page.say(false).await;
                Err(refused(no))
            }
        }
    };
    Ok((Shown { url: url.into(), code: None, within: limits::LOGIN_TIME_MAX }, Box::pin(work)))
}

/// The address that a person opens.
fn address(mut url: Url, asker: &Asker, back: &str, state: &str, verifier: &str) -> Url {
    let hash = ring::digest::digest(&ring::digest::SHA256, verifier.as_bytes());
    let challenge = BASE64_URL_SAFE_NO_PAD.encode(hash.as_ref());
    let scopes = &asker.settings.scopes;
    {
        let mut query = url.query_pairs_mut();
        query.append_pair("response_type", "code").append_pair("client_id", &asker.settings.client_id);
        query.append_pair("redirect_uri", back).append_pair("state", state);
        query.append_pair("code_challenge", &challenge).append_pair("code_challenge_method", "S256");
        if !scopes.is_empty() {
            query.append_pair("scope", &scopes.join(" "));
        }
        if scopes.iter().any(|scope| scope == "offline_access") {
            // Without it no such token is given (OpenID Connect Core, 11).
            query.append_pair("prompt", "consent");
        }
    }
    url
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use mingle_core::time::Timestamp;

    use super::*;
    use crate::remotes::http::{Client, Patience};

    #[tokio::test]
    async fn an_address_asks_for_a_code_and_shows_only_the_hash() {
        let settings = toml::from_str("client_id = \"a b\"\nscopes = [\"openid\", \"offline_access\"]").unwrap();
        let http = Client::new(Patience::default()).unwrap();
        let now = Arc::new(|| Timestamp::from_unix_ms(0));
        let asker = Asker { http, now, config_dir: "/".into(), settings: Arc::new(settings), insecure: false };
        // The example of RFC 7636, appendix B.
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        let url = address("https://id.org/a?x=1".parse().unwrap(), &asker, "http://127.0.0.1:7/", "s", verifier);
        assert_eq!(
            url.as_str(),
            "https://id.org/a?x=1&response_type=code&client_id=a+b&redirect_uri=http%3A%2F%2F127.0.0.1%3A7%2F&state=s\
             &code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256&scope=openid+offline_access&prompt=consent"
        );
    }
}
