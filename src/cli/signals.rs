//! Ctrl-C and SIGTERM: the first one ends the run in an orderly way, the second one at once.

use labproof::exit_code;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Cancels the token at the first signal, and ends the process at the second one.
pub(crate) fn listen(token: CancellationToken) -> std::io::Result<()> {
    let mut signals = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    tokio::spawn(async move {
        next(&mut signals).await;
        token.cancel();
        next(&mut signals).await;
        #[expect(clippy::exit, reason = "a second signal means: at once")]
        std::process::exit(i32::from(exit_code::INTERRUPTED));
    });
    Ok(())
}

async fn next(signals: &mut (Signal, Signal)) {
    tokio::select! {
        biased;
        _ = signals.0.recv() => {}
        _ = signals.1.recv() => {}
    }
}
