//! Whom the client trusts, tried with certificates of a root that only these tests know: a request
//! never leaves for anybody else, nor does it follow a redirect out of its encryption.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use sortie_core::run::input::Billing;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::dialect::{Anthropic, Dialect};
use crate::keys::Key;

const PATIENT: Duration = Duration::from_secs(30);

/// A certificate and its key.
type Identity = (CertificateDer<'static>, PrivateKeyDer<'static>);

struct Authority {
    issuer: Issuer<'static, KeyPair>,
    root: CertificateDer<'static>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let root = params.self_signed(&key).unwrap().der().clone();
        Authority { issuer: Issuer::new(params, key), root }
    }

    fn certifies(&self, params: &CertificateParams) -> Identity {
        let key = KeyPair::generate().unwrap();
        (
            params.signed_by(&key, &self.issuer).unwrap().der().clone(),
            PrivateKeyDer::Pkcs8(key.serialize_der().into()),
        )
    }

    /// A client that trusts this authority and nobody else.
    fn client(&self) -> Client {
        let mut client = Client::new(PATIENT).unwrap();
        let root = reqwest::Certificate::from_der(&self.root).unwrap();
        client.local = builder(PATIENT).no_proxy().tls_certs_only([root]).build().unwrap();
        client
    }
}

fn named(name: &str) -> CertificateParams {
    CertificateParams::new([name.to_owned()]).unwrap()
}

fn acceptor((certificate, key): Identity) -> TlsAcceptor {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_no_client_auth().with_single_cert(vec![certificate], key).unwrap();
    TlsAcceptor::from(Arc::new(config))
}

/// What a call comes to at a server with this certificate, and the bytes of the request that came.
async fn call(client: &Client, identity: Identity, reply: String) -> (Returned, usize) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let acceptor = acceptor(identity);
    let serving = tokio::spawn(async move {
        let (socket, _) = listener.accept().await.unwrap();
        let Ok(mut socket) = acceptor.accept(socket).await else { return 0 };
        let mut request = Vec::new();
        while !request.ends_with(b"}") {
            if socket.read_buf(&mut request).await.unwrap_or(0) == 0 {
                return request.len();
            }
        }
        socket.write_all(reply.as_bytes()).await.unwrap();
        socket.shutdown().await.unwrap();
        request.len()
    });
    (asked(client, port).await, serving.await.unwrap())
}

async fn asked(client: &Client, port: u16) -> Returned {
    let (key, variant) = (Key::new("sk-test-0123456789").unwrap(), Anthropic.default_variant());
    let endpoint =
        Endpoint::new(&Anthropic, &format!("https://127.0.0.1:{port}"), variant, Some(key)).unwrap();
    let request = Request { prompt: "hello".to_owned(), max_tokens: 9, stream: true, ..Request::default() };
    let timeouts = Timeouts { connect: PATIENT, first_token: PATIENT, ..Timeouts::default() };
    client.call(&endpoint, &request, timeouts, PATIENT, drop).await
}

#[tokio::test]
async fn only_a_valid_certificate_of_a_trusted_authority_is_sent_a_request() {
    let authority = Authority::new();
    let client = authority.client();
    let refusal = || "HTTP/1.1 529 X\r\ncontent-length: 0\r\n\r\n".to_owned();
    let (returned, bytes) = call(&client, authority.certifies(&named("127.0.0.1")), refusal()).await;
    assert_eq!(returned.result.unwrap_err().class, Class::Overloaded);
    assert_ne!(bytes, 0);

    let mut expired = named("127.0.0.1");
    expired.not_before = date_time_ymd(2019, 1, 1);
    expired.not_after = date_time_ymd(2020, 1, 1);
    let key = KeyPair::generate().unwrap();
    let mut own = named("127.0.0.1");
    // Authorities are found by their names, and rcgen calls them all the same.
    own.distinguished_name.push(DnType::CommonName, "nobody");
    let own = own.self_signed(&key).unwrap().der().clone();
    let self_signed = (own, PrivateKeyDer::Pkcs8(key.serialize_der().into()));
    // The product's own roots, those of the system, know nothing of this authority.
    let usual = Client::new(PATIENT).unwrap();
    for (what, client, identity, why) in [
        ("expired", &client, authority.certifies(&expired), "expired"),
        ("self-signed", &client, self_signed, "UnknownIssuer"),
        ("of another name", &client, authority.certifies(&named("api.example")), "not valid for name"),
        ("of an unknown authority", &usual, authority.certifies(&named("127.0.0.1")), ""),
    ] {
        let (returned, bytes) = call(client, identity, refusal()).await;
        assert_eq!((bytes, returned.billing), (0, Billing::Nothing), "a certificate {what}");
        let failure = returned.result.unwrap_err();
        assert_eq!(failure.class, Class::Network, "a certificate {what}: {failure}");
        let message = &failure.message;
        assert!(
            message.starts_with("no connection: ") && message.contains(why),
            "a certificate {what}: {failure}"
        );
    }
}

/// The first answer of a server that knows TLS 1.1 at most: a `ServerHello` of that version (RFC 4346,
/// section 7.4.1.3), with an AES suite and no extensions.
fn hello_of_tls_1_1() -> Vec<u8> {
    let hello = [&[2, 0, 0, 38, 3, 2][..], &[7; 32], &[0, 0x00, 0x2f, 0]].concat();
    [&[22, 3, 2, 0, hello.len() as u8][..], &hello].concat()
}

#[tokio::test]
async fn a_server_that_only_knows_an_old_tls_is_sent_no_request() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let serving = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut hello = [0; 4 << 10];
        assert_ne!(socket.read(&mut hello).await.unwrap(), 0);
        socket.write_all(&hello_of_tls_1_1()).await.unwrap();
        let mut rest = Vec::new();
        socket.read_to_end(&mut rest).await.unwrap();
        rest
    });
    let returned = asked(&Authority::new().client(), port).await;
    assert_eq!((returned.result.unwrap_err().class, returned.billing), (Class::Network, Billing::Nothing));
    // An alert (21) of two bytes, fatal (2): the protocol's version (70).
    assert_eq!(serving.await.unwrap(), [21, 3, 3, 0, 2, 2, 70]);
}

#[tokio::test]
async fn no_redirect_is_followed_out_of_the_encryption() {
    let authority = Authority::new();
    let client = authority.client();
    for status in [301, 302, 303, 307, 308] {
        let elsewhere = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let to = format!("http://{}/v1/messages", elsewhere.local_addr().unwrap());
        let reply = format!("HTTP/1.1 {status} Moved\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n");
        let (returned, _) = call(&client, authority.certifies(&named("127.0.0.1")), reply).await;
        let failure = returned.result.unwrap_err();
        assert_eq!(
            (failure.class, returned.billing),
            (Class::Redirected, Billing::Nothing),
            "{status}: {failure}"
        );
        // A client that followed has connected by now. As tokio left it, the listener does not wait.
        let connected = elsewhere.into_std().unwrap().accept();
        assert_eq!(
            connected.unwrap_err().kind(),
            std::io::ErrorKind::WouldBlock,
            "{status}: it was followed"
        );
    }
}
