//! stub
#![allow(missing_docs)]
use std::sync::Arc;
#[derive(Clone)]
pub struct Random(Arc<dyn Fn(&mut [u8]) + Send + Sync>);
impl Random {
    pub fn system() -> Random {
        Random(Arc::new(|out| aws_lc_rs::rand::fill(out).expect("the system has randomness")))
    }
    pub fn fraction(&self) -> f64 {
        let mut bytes = [0; 4];
        (self.0)(&mut bytes);
        f64::from(u32::from_be_bytes(bytes)) / (f64::from(u32::MAX) + 1.0)
    }
}
#[derive(Clone)]
pub struct Control;
impl Control { pub fn new(_store: store::Store, _random: Random, _admin: Option<[u8; 32]>) -> Control { Control } }
pub mod tokens { pub fn hash(text: &str) -> [u8; 32] { let mut out=[0;32]; out.copy_from_slice(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes()).as_ref()); out } }
