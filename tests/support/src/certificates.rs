//! Certificates signed by a test authority.

use openssl::asn1::Asn1Time;
use openssl::bn::BigNum;
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::x509::extension::{BasicConstraints, KeyUsage, SubjectAlternativeName};
use openssl::x509::{X509, X509Builder, X509Name};

const DAY: i64 = 86_400;

/// A certificate and its key, both in PEM.
pub struct SignedCertificate {
    pub certificate: Vec<u8>,
    pub key: Vec<u8>,
}

/// A certificate authority.
pub struct Authority {
    certificate: X509,
    key: PKey<Private>,
}

impl Authority {
    pub fn new(name: &str) -> Self {
        let key = key();
        let mut builder = blank(name, &key, -DAY, 365 * DAY);
        builder.set_issuer_name(&named(name)).unwrap();
        builder.append_extension(BasicConstraints::new().critical().ca().build().unwrap()).unwrap();
        builder
            .append_extension(KeyUsage::new().critical().key_cert_sign().crl_sign().build().unwrap())
            .unwrap();
        builder.sign(&key, MessageDigest::sha256()).unwrap();
        Self { certificate: builder.build(), key }
    }

    /// The certificate of the authority in PEM.
    pub fn certificate(&self) -> Vec<u8> {
        self.certificate.to_pem().unwrap()
    }

    /// Signs a certificate for these host names and addresses, valid for a year.
    pub fn sign(&self, names: &[&str]) -> SignedCertificate {
        self.sign_for(names, -DAY, 365 * DAY)
    }

    /// Signs a certificate valid from `from` until `until`, in seconds from now.
    pub fn sign_for(&self, names: &[&str], from: i64, until: i64) -> SignedCertificate {
        let key = key();
        let mut builder = blank(names[0], &key, from, until);
        builder.set_issuer_name(self.certificate.subject_name()).unwrap();
        let mut others = SubjectAlternativeName::new();
        for name in names {
            match name.parse::<std::net::IpAddr>() {
                Ok(_) => others.ip(name),
                Err(_) => others.dns(name),
            };
        }
        let others = others.build(&builder.x509v3_context(Some(&self.certificate), None)).unwrap();
        builder.append_extension(others).unwrap();
        builder.sign(&self.key, MessageDigest::sha256()).unwrap();
        SignedCertificate {
            certificate: builder.build().to_pem().unwrap(),
            key: key.private_key_to_pem_pkcs8().unwrap(),
        }
    }
}

fn key() -> PKey<Private> {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap()
}

fn named(name: &str) -> X509Name {
    let mut builder = X509Name::builder().unwrap();
    builder.append_entry_by_nid(Nid::COMMONNAME, name).unwrap();
    builder.build()
}

fn blank(name: &str, key: &PKey<Private>, from: i64, until: i64) -> X509Builder {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let now = i64::try_from(now.as_secs()).unwrap();
    let mut serial = BigNum::new().unwrap();
    serial.rand(100, openssl::bn::MsbOption::MAYBE_ZERO, false).unwrap();
    let mut builder = X509::builder().unwrap();
    builder.set_version(2).unwrap();
    builder.set_serial_number(&serial.to_asn1_integer().unwrap()).unwrap();
    builder.set_subject_name(&named(name)).unwrap();
    builder.set_pubkey(key).unwrap();
    builder.set_not_before(&Asn1Time::from_unix(now + from).unwrap()).unwrap();
    builder.set_not_after(&Asn1Time::from_unix(now + until).unwrap()).unwrap();
    builder
}
