//! Samples by their names.

use super::samples::{SHELVES, Shelf};

/// A sample of a webhook, with places for what is different each time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sample {
    /// The platform that would send it.
    pub platform: &'static str,
    /// What it tells of.
    pub event: &'static str,
    /// Where it happens, unless another account is named; empty where the platform does not say.
    pub account: &'static str,
    /// Who has done it, unless somebody else is named.
    pub contact: &'static str,
    /// Its file.
    pub(super) file: &'static str,
}

impl Sample {
    /// Every sample, platform by platform in the order of the registry.
    pub fn all() -> impl Iterator<Item = Sample> {
        SHELVES.iter().flat_map(Sample::on)
    }

    /// The samples of one platform; none where it is not known.
    pub fn of(platform: &str) -> impl Iterator<Item = Sample> {
        SHELVES.iter().filter(move |shelf| shelf.platform == platform).flat_map(Sample::on)
    }

    /// The sample of this name, such as `telegram.message`.
    pub fn named(name: &str) -> Option<Sample> {
        let (platform, event) = name.split_once('.')?;
        Sample::of(platform).find(|sample| sample.event == event)
    }

    /// Its name, such as `telegram.message`.
    pub fn name(&self) -> String {
        format!("{}.{}", self.platform, self.event)
    }

    fn on(shelf: &'static Shelf) -> impl Iterator<Item = Sample> {
        let Shelf { platform, account, contact, samples } = shelf;
        samples.iter().map(|(event, file)| Sample { platform, event, account, contact, file })
    }
}
