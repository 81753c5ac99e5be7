//! Links to files: whoever knows one may have the file, until it expires. Nothing of a link is stored; it is proven by a
//! key of the database's.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::hmac;
use model::file::FileLink;
use model::id::FileId;
use model::send::OutgoingMessage;
use model::time::Timestamp;

use crate::Store;
use crate::db::Tx;
use crate::error::Error;

/// The path that files are served below.
pub const PATH: &str = "/files/";
/// How long the link in an event works. A fresh one is made for whoever asks our API.
pub const LASTS: Duration = Duration::from_secs(7 * 24 * 3600);
/// How long a platform may take to fetch what it was sent a link to.
const FOR_A_PLATFORM: Duration = Duration::from_secs(24 * 3600);
/// How many bytes of a proof a link shows: 128 bits, too many to guess.
const PROOF_BYTES: usize = 16;
/// What the key is kept as.
const KEY: &str = "file links";

/// Makes links, and knows them again.
pub struct Links {
    key: hmac::Key,
    /// Scheme and host that files are served at.
    origin: String,
}

impl Links {
    fn new(secret: &[u8], origin: String) -> Links {
        Links { key: hmac::Key::new(hmac::HMAC_SHA256, secret), origin }
    }

    /// A link to a file that works until a time.
    pub(crate) fn to(&self, file: FileId, until: Timestamp) -> FileLink {
        let seconds = until.as_millis().div_euclid(1000);
        let proof = hex::encode(&self.tag(file, seconds).as_ref()[..PROOF_BYTES]);
        FileLink {
            id: file.to_string(),
            url: Some(format!("{}{PATH}{file}?until={seconds}&proof={proof}", self.origin)),
            expires_at: Some(Timestamp::from_secs(seconds).to_string()),
        }
    }

    fn opens(&self, file: FileId, until: &str, proof: &str, now: Timestamp) -> bool {
        let Ok(seconds) = until.parse::<i64>() else { return false };
        let tag = self.tag(file, seconds);
        let shown = hex::decode(proof).unwrap_or_default();
        let is_ours =
            aws_lc_rs::constant_time::verify_slices_are_equal(&tag.as_ref()[..PROOF_BYTES], &shown).is_ok();
        is_ours && Timestamp::from_secs(seconds) > now
    }

    fn tag(&self, file: FileId, seconds: i64) -> hmac::Tag {
        hmac::sign(&self.key, format!("{file} {seconds}").as_bytes())
    }
}

impl Store {
    /// Says where files are served: scheme and host. From then on events have links to theirs. The secret becomes the key
    /// that links are proven by, unless the database has one already. Called once, before anything arrives.
    pub async fn serve_files(&self, origin: String, fresh_secret: Vec<u8>) -> Result<(), Error> {
        let secret = self.inner.db.write(move |tx| Box::pin(key(tx, fresh_secret))).await?;
        // A second call would change links that are out already.
        let _ = self.inner.links.set(Arc::new(Links::new(&secret, origin)));
        Ok(())
    }

    /// A link to a file that works until a time; without a URL where files are not served.
    pub fn link(&self, file: FileId, until: Timestamp) -> FileLink {
        link(self.inner.links.get().map(|links| &**links), file, until)
    }

    /// A message as its platform is told it: where it names a file of ours, with a link that works for a day.
    pub fn linked(&self, message: &OutgoingMessage) -> OutgoingMessage {
        let mut message = message.clone();
        if let Some(media) = message.body.media_mut()
            && let Some(Ok(file)) = media.file.take().map(|file| file.parse())
        {
            media.link = self.link(file, self.inner.clock.now().plus(FOR_A_PLATFORM)).url;
        }
        message
    }

    /// Whether a link's own words open a file now.
    pub fn is_link(&self, file: FileId, until: &str, proof: &str) -> bool {
        let now = self.inner.clock.now();
        self.inner.links.get().is_some_and(|links| links.opens(file, until, proof, now))
    }
}

pub(crate) fn link(links: Option<&Links>, file: FileId, until: Timestamp) -> FileLink {
    let nowhere = || FileLink { id: file.to_string(), url: None, expires_at: None };
    links.map_or_else(nowhere, |links| links.to(file, until))
}

async fn key(tx: &mut Tx, fresh_secret: Vec<u8>) -> Result<Vec<u8>, Error> {
    // Of two nodes that start at once the first one's is kept.
    let sql = "INSERT INTO keys (name, secret) VALUES (?1, ?2) ON CONFLICT (name) DO NOTHING";
    tx.execute(sql, &[KEY.into(), fresh_secret.into()]).await?;
    let row = tx.fetch_one("SELECT secret FROM keys WHERE name = ?1", &[KEY.into()]).await?;
    row.ok_or(Error::Busy)?.bytes(0).map(<[u8]>::to_vec)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_opens_its_file_until_it_expires_and_nothing_else() {
        let links = Links::new(&[7; 32], "https://hooks.example.com".to_owned());
        let (file, other) = (FileId::from_raw(77), FileId::from_raw(78));
        let (now, until) = (Timestamp::from_secs(1_000), Timestamp::from_secs(2_000));
        let url = links.to(file, until).url.expect("a link");
        let query = url.strip_prefix(&format!("https://hooks.example.com/files/{file}?until=2000&proof="));
        let proof = query.expect("the link's form");
        assert_eq!(proof.len(), 32);
        assert!(links.opens(file, "2000", proof, now));
        assert!(!links.opens(other, "2000", proof, now), "another file");
        assert!(!links.opens(file, "2001", proof, now), "another time");
        assert!(!links.opens(file, "2000", proof, until), "expired");
        assert!(!links.opens(file, "2000", &proof[..30], now), "cut");
        assert!(!links.opens(file, "2000", &format!("{proof}00"), now), "longer");
        assert!(!links.opens(file, "soon", proof, now) && !links.opens(file, "2000", "", now));
        let elsewhere = Links::new(&[8; 32], String::new());
        assert!(!elsewhere.opens(file, "2000", proof, now), "another database's");
    }
}
