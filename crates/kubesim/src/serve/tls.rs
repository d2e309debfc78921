//! What HTTPS needs: a certificate authority, a certificate, and a token, made anew for each server.

use std::{error::Error, net::IpAddr, sync::Arc};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::{CryptoProvider, ring},
        pki_types::{CertificateDer, PrivateKeyDer},
    },
};

use super::authentication::Token;

/// The protocols that are offered, the best first.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// The server's side of TLS, and what its clients must know. Cheap to clone.
#[derive(Clone)]
pub(super) struct Tls {
    pub(super) acceptor: TlsAcceptor,
    /// The certificate of the authority, in PEM.
    pub(super) authority: Arc<str>,
    pub(super) token: Token,
}

impl Tls {
    /// For a server at this address.
    pub(super) fn generate(address: IpAddr) -> Result<Self, Box<dyn Error + Send + Sync>> {
        let provider = ring::default_provider();
        let token = Token::generate(provider.secure_random)?;
        let authority = authority()?;
        let (certificate, key) = certificate(address, &authority)?;
        let acceptor = acceptor(provider, certificate, key)?;
        Ok(Self { acceptor, authority: authority.pem().into(), token })
    }
}

/// Its key is known to nobody once the server's certificate is signed.
fn authority() -> Result<CertifiedIssuer<'static, KeyPair>, rcgen::Error> {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "kubesim-ca");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    CertifiedIssuer::self_signed(params, KeyPair::generate()?)
}

/// It holds at all times, so that no clock is looked at.
fn certificate(
    address: IpAddr,
    authority: &CertifiedIssuer<'_, KeyPair>,
) -> Result<(CertificateDer<'static>, PrivateKeyDer<'static>), rcgen::Error> {
    let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), address.to_string()];
    names.dedup();
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name.push(DnType::CommonName, "kubesim");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    // Python from 3.13 on takes no certificate without it.
    params.use_authority_key_identifier_extension = true;
    let key = KeyPair::generate()?;
    let certificate = params.signed_by(&key, authority)?;
    Ok((certificate.into(), key.into()))
}

fn acceptor(
    provider: CryptoProvider,
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
) -> Result<TlsAcceptor, tokio_rustls::rustls::Error> {
    let config = ServerConfig::builder_with_provider(Arc::new(provider)).with_safe_default_protocol_versions()?;
    let mut config = config.with_no_client_auth().with_single_cert(vec![certificate], key)?;
    config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).into();
    Ok(TlsAcceptor::from(Arc::new(config)))
}
