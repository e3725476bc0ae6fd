//! The hashes of a content: the one in its entity-tag, and the one in Repr-Digest (RFC 9530
//! section 3).
//!
//! Want-Repr-Digest is a preference that a server may ignore (RFC 9530 section 4); a digest that is
//! known is sent with every response.

use base64ct::{Base64, Encoding};
use sha2::{Digest, Sha256};

use super::etag::{ETag, TagHasher};
use super::writer::Writer;

/// The SHA-256 hash of a content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReprDigest([u8; 32]);

/// The hashes of a content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContentHash {
    /// The same as [`ETag::of_content`].
    pub etag: ETag,
    /// The same as [`ReprDigest::of_content`].
    pub digest: ReprDigest,
}

/// Computes a [`ContentHash`] from pieces of a content.
#[derive(Clone, Default)]
pub struct ContentHasher {
    tag: TagHasher,
    digest: Sha256,
}

impl ReprDigest {
    /// That of these bytes.
    pub fn of_content(bytes: &[u8]) -> ReprDigest {
        ReprDigest(Sha256::digest(bytes).into())
    }

    /// Writes the field line, with its CRLF: the hash as a byte sequence of a structured field
    /// (RFC 9651 section 3.3.5).
    pub fn write(&self, writer: &mut Writer<'_>) {
        let mut room = [0; ENCODED_BYTES];
        let text = Base64::encode(&self.0, &mut room).expect("32 bytes take ENCODED_BYTES");
        writer.put(b"Repr-Digest: sha-256=:").put(text.as_bytes()).put(b":\r\n");
    }
}

/// The hash of a style or script as a source of a Content-Security-Policy.
pub fn policy_source(content: &str) -> String {
    format!("'sha256-{}'", Base64::encode_string(&Sha256::digest(content.as_bytes())))
}

impl ContentHasher {
    /// Adds the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.tag.update(bytes);
        self.digest.update(bytes);
    }

    /// The hashes of all bytes.
    pub fn finish(self) -> ContentHash {
        let digest = ReprDigest(self.digest.finalize().into());
        ContentHash { etag: self.tag.etag(), digest }
    }
}

/// The length of 32 bytes in base64.
const ENCODED_BYTES: usize = 32_usize.div_ceil(3) * 4;

#[cfg(test)]
mod tests {
    use super::*;

    fn line(of: &ReprDigest) -> String {
        let mut room = [0; 100];
        let mut writer = Writer::new(&mut room);
        of.write(&mut writer);
        let length = writer.finish().unwrap();
        String::from_utf8(room[..length].to_vec()).unwrap()
    }

    #[test]
    fn a_digest_is_written_as_in_the_examples_of_the_rfc() {
        for (content, digest) in [
            // RFC 9530 appendix B.1, and FIPS 180-4's empty message.
            ("{\"hello\": \"world\"}\n", "RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg="),
            ("", "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="),
        ] {
            let expected = format!("Repr-Digest: sha-256=:{digest}:\r\n");
            assert_eq!(line(&ReprDigest::of_content(content.as_bytes())), expected);
        }
    }

    #[test]
    fn hashing_in_pieces_gives_the_hashes_of_the_whole() {
        let content: Vec<u8> = (0..100_000_u32).map(|at| at.to_le_bytes()[1] ^ 7).collect();
        let etag = ETag::of_content(&content);
        let expected = ContentHash { etag, digest: ReprDigest::of_content(&content) };
        for piece in [1, 63, 64, 1024, 65_536, 100_000] {
            let mut hasher = ContentHasher::default();
            content.chunks(piece).for_each(|bytes| hasher.update(bytes));
            assert_eq!(hasher.finish(), expected, "{piece}");
        }
    }
}
