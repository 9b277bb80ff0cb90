//! What zones and servers say of certificates.

use std::rc::Rc;
use std::time::Duration;

use dns::Association;
use rustls_pki_types::{CertificateDer, UnixTime};
use tls::dane::{Digests, Proof, Worth, supported};
use tls::{Certificate, Digest};

use crate::pieces::assert_harmless;

/// TLSA records, each behind a byte with its length, up to an empty one; then certificates, each behind two bytes with
/// its length. Every record is used or told of, whatever is told is harmless, and a server that is found to meet a
/// record of its own certificate has what that says.
pub fn tlsa_records(data: &[u8]) {
    let (mut rest, mut records) = (data, Vec::new());
    while let Some((length, after)) = rest.split_first() {
        let (record, after) = after.split_at(usize::from(*length).min(after.len()));
        rest = after;
        if record.is_empty() {
            break;
        }
        records.push(Association::read(record));
    }
    let mut chain = Vec::new();
    while let Some((length, after)) = rest.split_first_chunk() {
        let (certificate, after) = after.split_at(usize::from(u16::from_be_bytes(*length)).min(after.len()));
        chain.push(CertificateDer::from(certificate));
        rest = after;
    }
    let count = records.len();
    let (records, told) = supported("_25._tcp.n.test", records);
    assert_eq!(records.len() + told.len(), count);
    let digests = Rc::new(Digests::parse(["sha512", "sha256"]).0);
    let proof = Proof { records, digests, wanted: Vec::new(), worth: Worth::Full };
    let (matcher, more) = proof.matcher("n.test[192.0.2.1]:25");
    assert!(more.len() <= proof.records.len() + 1);
    told.iter().chain(&more).for_each(|text| assert_harmless(text));
    let now = UnixTime::since_unix_epoch(Duration::from_secs(1_900_000_000));
    // Without a name no authority can vouch for a server.
    let Ok(found) = matcher.judge(&chain, &[], 9, now) else { return };
    found.told().iter().for_each(|text| assert_harmless(text));
    let own = chain.first().map(|leaf| leaf.to_vec()).unwrap_or_default();
    let key = Certificate::read(&own).map(|certificate| certificate.public_key);
    let shown: Vec<Vec<u8>> = [Some(own), key].into_iter().flatten().collect();
    let is_shown = |record: &Association| {
        let forms = |shown: &Vec<u8>| [shown.clone(), Digest::Sha256.of(shown), Digest::Sha512.of(shown)];
        record.usage == 3 && shown.iter().flat_map(forms).any(|form| form == record.data)
    };
    assert!(proof.records.iter().any(is_shown));
}
