//! A throwaway authority and a certificate of it for 127.0.0.1, as the files that a Redis server and its clients read.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

pub(super) struct Files {
    pub ca: PathBuf,
    pub cert: PathBuf,
    pub key: PathBuf,
}

pub(super) fn write(folder: &Path) -> Files {
    let mut authority = CertificateParams::new(Vec::new()).expect("an authority");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    // Else both bear the same name, and the second looks as if it had signed itself.
    authority.distinguished_name.push(DnType::CommonName, "authority of a test");
    let issuer = CertifiedIssuer::self_signed(authority, KeyPair::generate().expect("a key")).expect("an authority");
    let key = KeyPair::generate().expect("a key");
    let names = vec!["127.0.0.1".to_owned(), "localhost".to_owned()];
    let cert = CertificateParams::new(names).expect("names").signed_by(&key, &issuer).expect("a certificate");
    let files = Files { ca: folder.join("ca.pem"), cert: folder.join("cert.pem"), key: folder.join("key.pem") };
    fs::write(&files.ca, issuer.pem()).expect("written");
    fs::write(&files.cert, cert.pem()).expect("written");
    fs::write(&files.key, key.serialize_pem()).expect("written");
    files
}
