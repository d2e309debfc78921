//! Ctrl-C and SIGTERM: the first one ends the work in an orderly way, the second one at once.

use std::future::Future;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Cancels the token at the first signal; the future ends at the second one. Dropping the work then kills its programs.
pub(crate) fn listen(token: CancellationToken) -> std::io::Result<impl Future<Output = ()>> {
    let mut signals = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        next(&mut signals).await;
        token.cancel();
        next(&mut signals).await;
    })
}

async fn next(signals: &mut (Signal, Signal)) {
    tokio::select! {
        biased;
        _ = signals.0.recv() => {}
        _ = signals.1.recv() => {}
    }
}
