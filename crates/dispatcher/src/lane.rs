//! What the loop asks of a kind of durable work.

use std::error::Error;

/// A kind of durable work: deliveries, sends, watches, files.
pub trait Lane: Send + Sync + 'static {
    /// One due item, held under a lease that outlasts its attempt and the records that may follow.
    type Claimed: Send + Sync + 'static;
    /// What an attempt came to.
    type Done: Send + Sync + 'static;

    /// Names the lane in logs.
    fn name(&self) -> &'static str;

    /// Resolves when there may be something to claim; a hint, the poll interval is the truth.
    ///
    /// A wake-up that comes while nobody waits must be kept for the next call, as `Notify::notify_one` does.
    fn woken(&self) -> impl Future<Output = ()> + Send;

    /// Takes up to `limit` due items under a lease; fairness between endpoints is the lane's own.
    fn claim(&self, limit: usize) -> impl Future<Output = Result<Vec<Self::Claimed>, LaneError>> + Send;

    /// Tries one item, within a time of the lane's own that is shorter than the lease.
    fn attempt(&self, claimed: &Self::Claimed) -> impl Future<Output = Self::Done> + Send;

    /// Says what to record when the attempt panicked; must not panic itself.
    fn panicked(&self, claimed: &Self::Claimed) -> Self::Done;

    /// Records what an attempt came to; may be called again with the same values after [`LaneError::Failed`].
    fn record(
        &self,
        claimed: &Self::Claimed,
        done: &Self::Done,
    ) -> impl Future<Output = Result<(), LaneError>> + Send;
}

/// Why a lane could not claim or record.
#[derive(Debug, thiserror::Error)]
pub enum LaneError {
    /// The lease has passed to someone else, whose record counts; trying again is of no use.
    #[error("the lease has passed to someone else")]
    LeaseLost,
    /// Something that may pass; trying again is safe.
    #[error("the lane failed and can be asked again")]
    Failed(#[source] Box<dyn Error + Send + Sync>),
}
