//! Ctrl-C, SIGTERM and the end of the terminal: the first one ends the work in an orderly way, the second one at once.

use std::io;
use std::thread;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// A token that the first signal cancels; at the second one `stop` is called. A thread of its own listens: the runtime of a simulation
/// has no I/O, so it cannot.
///
/// # Errors
/// If the system does not let this process listen.
pub(crate) fn listen(stop: impl FnOnce() + Send + 'static) -> io::Result<CancellationToken> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let mut signals = {
        let _entered = runtime.enter();
        [signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?, signal(SignalKind::hangup())?]
    };
    let token = CancellationToken::new();
    let interrupt = token.clone();
    let work = async move {
        next(&mut signals).await;
        interrupt.cancel();
        next(&mut signals).await;
        stop();
    };
    thread::Builder::new().name("signals".to_owned()).spawn(move || runtime.block_on(work))?;
    Ok(token)
}

async fn next([interrupt, terminate, hangup]: &mut [Signal; 3]) {
    tokio::select! {
        biased;
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = hangup.recv() => {}
    }
}
