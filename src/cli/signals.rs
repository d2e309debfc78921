//! Ctrl-C and SIGTERM: the first one ends the run in an orderly way, the second one at once.

use std::io;
use std::thread;

use labproof::exit_code;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// A token that the first signal cancels; the second one ends the process. A thread of its own listens: the runtime of a simulation
/// has no I/O, so it cannot.
///
/// # Errors
/// If the system does not let this process listen.
pub(crate) fn listen() -> io::Result<CancellationToken> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let mut signals = {
        let _entered = runtime.enter();
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?)
    };
    let token = CancellationToken::new();
    let interrupt = token.clone();
    let work = async move {
        next(&mut signals).await;
        interrupt.cancel();
        next(&mut signals).await;
        #[expect(clippy::exit, reason = "a second signal means: at once")]
        std::process::exit(i32::from(exit_code::INTERRUPTED));
    };
    thread::Builder::new().name("signals".to_owned()).spawn(move || runtime.block_on(work))?;
    Ok(token)
}

async fn next(signals: &mut (Signal, Signal)) {
    tokio::select! {
        biased;
        _ = signals.0.recv() => {}
        _ = signals.1.recv() => {}
    }
}
