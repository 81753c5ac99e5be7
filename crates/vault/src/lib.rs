//! Where the bytes of files are: in a folder, or in a bucket that speaks S3. What is known of a file is in the store.
//!
//! A file is written once, under its id, and is there as a whole or not at all. Writing it again replaces it by the same.

mod bucket;
mod vault;

pub use bucket::Bucket;
pub use vault::{Error, Given, Vault, Writing};
