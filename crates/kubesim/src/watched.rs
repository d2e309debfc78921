//! A value that others wait to change: `tokio::sync::watch`, but for the order in which it wakes them.
//!
//! That one wakes its waiters in an order of chance, which no seed repeats. Here the first to wait is the first to be woken.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// A value that [`Watcher`]s wait to change. Clones are the same value.
#[derive(Clone, Debug, Default)]
pub(crate) struct Watched<T> {
    shared: Arc<Shared<T>>,
}

/// Sees a [`Watched`] value change. It keeps the value, but nothing changes it once the [`Watched`] is gone.
#[derive(Debug)]
pub(crate) struct Watcher<T> {
    shared: Arc<Shared<T>>,
    /// The version that was seen last.
    seen: u64,
}

#[derive(Debug, Default)]
struct Shared<T> {
    current: Mutex<Versioned<T>>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Versioned<T> {
    value: T,
    version: u64,
}

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, Versioned<T>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Watched<T> {
    /// A value that nobody watches yet.
    pub(crate) fn new(value: T) -> Self {
        Self { shared: Arc::new(Shared { current: Mutex::new(Versioned { value, version: 0 }), changed: Notify::new() }) }
    }

    /// Replaces the value. Watchers wake even if it is the same.
    pub(crate) fn set(&self, value: T) {
        self.update(|current| *current = value);
    }

    /// Changes the value in place, and wakes the watchers.
    pub(crate) fn update(&self, change: impl FnOnce(&mut T)) {
        let mut current = self.shared.lock();
        change(&mut current.value);
        current.version += 1;
        drop(current);
        self.shared.changed.notify_waiters();
    }

    /// The value.
    pub(crate) fn get(&self) -> T
    where
        T: Clone,
    {
        self.shared.lock().value.clone()
    }

    /// A watcher that has seen the value as it is.
    pub(crate) fn watch(&self) -> Watcher<T> {
        Watcher { shared: Arc::clone(&self.shared), seen: self.shared.lock().version }
    }
}

impl<T> Watcher<T> {
    /// The value, which counts as seen from now on.
    pub(crate) fn see(&mut self) -> T
    where
        T: Clone,
    {
        self.see_as(T::clone)
    }

    fn see_as<R>(&mut self, look: impl FnOnce(&T) -> R) -> R {
        let current = self.shared.lock();
        self.seen = current.version;
        look(&current.value)
    }

    /// Waits until the value has changed since it was seen; it counts as seen then. Cancelling it loses nothing.
    pub(crate) async fn changed(&mut self) {
        loop {
            // Made before the look at the version: from here on no change is missed.
            let changed = self.shared.changed.notified();
            let version = self.shared.lock().version;
            if version != self.seen {
                self.seen = version;
                return;
            }
            changed.await;
        }
    }

    /// Waits until the value is like this, which it may be already.
    pub(crate) async fn until(&mut self, is_so: impl Fn(&T) -> bool) {
        while !self.see_as(&is_so) {
            self.changed().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::task::yield_now;

    use super::*;

    #[tokio::test]
    async fn who_waits_first_is_woken_first() {
        let (watched, order) = (Watched::new(0), Arc::new(Mutex::new(Vec::new())));
        for waiter in 0..100 {
            let (mut watcher, order) = (watched.watch(), Arc::clone(&order));
            tokio::spawn(async move {
                watcher.changed().await;
                order.lock().unwrap().push(waiter);
            });
        }
        // The runtime comes back to this task before it has polled as many others.
        for _ in 0..10 {
            yield_now().await;
        }
        watched.set(1);
        while order.lock().unwrap().len() < 100 {
            yield_now().await;
        }
        assert!(order.lock().unwrap().is_sorted());
    }

    #[tokio::test]
    async fn a_change_before_the_wait_is_not_missed() {
        let watched = Watched::new(1);
        let mut watcher = watched.watch();
        watched.set(2);
        watcher.changed().await;
        watched.update(|value| *value += 1);
        watcher.until(|value| *value == 3).await;
        assert_eq!(watcher.see(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_seen_is_no_change() {
        let watched = Watched::new(1);
        let mut watcher = watched.watch();
        watched.set(2);
        watcher.see();
        let waits = tokio::time::timeout(std::time::Duration::from_secs(1), watcher.changed());
        assert!(waits.await.is_err());
    }
}
