//! Changes that are told of: a change and the event that tells of it, in one transaction.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::append::{self, Context};
use crate::db::Tx;
use crate::error::Error;
use crate::{Queue, Store, routing};

impl Store {
    /// Runs a transaction that may append, under a configuration that is known to be current; reads that anew when
    /// another node has changed it.
    pub(crate) async fn write_current<T, F>(&self, job: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: for<'t> Fn(&'t mut Tx, Context) -> BoxFuture<'t, Result<T, Error>> + Send + Sync + 'static,
    {
        let (inner, job) = (&self.inner, Arc::new(job));
        for _ in 0..append::STALE_TRIES_MAX {
            let context = Context::of(inner);
            let job = Arc::clone(&job);
            let done = inner.db.write(move |tx| Box::pin(run(tx, job, context))).await?;
            if let Some(done) = done {
                inner.wake(Queue::Deliveries);
                return Ok(done);
            }
            routing::refresh(inner).await?;
        }
        Err(Error::Busy)
    }
}

async fn run<T, F>(tx: &mut Tx, job: Arc<F>, context: Context) -> Result<Option<T>, Error>
where
    F: for<'t> Fn(&'t mut Tx, Context) -> BoxFuture<'t, Result<T, Error>>,
{
    if routing::is_stale(tx, &context.routing).await? {
        return Ok(None);
    }
    job(tx, context).await.map(Some)
}
