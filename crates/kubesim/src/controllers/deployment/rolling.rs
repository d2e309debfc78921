//! The rolling update (`pkg/controller/deployment/rolling.go`).

use super::{
    rollout::Rollout,
    size::{self, available, size},
};
use crate::{StatusError, controllers::control_loop::Outcome};

impl Rollout<'_> {
    /// One step of a rolling update: the new set grows as far as it may, or else the old ones shrink.
    pub(super) async fn roll(&mut self) -> Outcome {
        self.sync_new_set(true).await?;
        if self.grow_new().await? || self.shrink_old().await? {
            return self.sync_status(true).await;
        }
        self.finish().await
    }

    async fn grow_new(&mut self) -> Result<bool, StatusError> {
        let bounds = self.bounds();
        let Some(current) = self.new.as_ref().map(size) else { return Ok(false) };
        let wanted = if current > bounds.replicas {
            bounds.replicas
        } else {
            size::new_size(bounds, true, size::total(self.all()), current)
        };
        self.scale_new(wanted).await
    }

    async fn shrink_old(&mut self) -> Result<bool, StatusError> {
        if size::total(&self.old) == 0 {
            return Ok(false);
        }
        // New Pods that are not available yet must not be counted on, or the old ones would go for nothing.
        let pending = self.new.as_ref().map_or(0, |new| size(new) - available(new));
        let room = size::total(self.all()) - self.bounds().fewest_available() - pending;
        if room <= 0 {
            return Ok(false);
        }
        let unhealthy = self.shrink_unhealthy(room).await?;
        let healthy = self.shrink_healthy().await?;
        Ok(unhealthy || healthy)
    }

    /// Takes up to `room` Pods that are not available from the old sets, the oldest first: nobody will miss them.
    async fn shrink_unhealthy(&mut self, room: i32) -> Result<bool, StatusError> {
        let mut removed = 0;
        for index in 0..self.old.len() {
            let current = size(&self.old[index]);
            let count = (current - available(&self.old[index])).min(room - removed);
            if current > 0 && count > 0 {
                self.scale_old(index, current - count).await?;
                removed += count;
            }
        }
        Ok(removed > 0)
    }

    /// Takes Pods from the old sets, the oldest first, as long as enough remain available.
    async fn shrink_healthy(&mut self) -> Result<bool, StatusError> {
        let mut excess = self.all().map(available).sum::<i32>() - self.bounds().fewest_available();
        let mut removed = false;
        for index in 0..self.old.len() {
            let current = size(&self.old[index]);
            let count = current.min(excess);
            if count > 0 {
                self.scale_old(index, current - count).await?;
                excess -= count;
                removed = true;
            }
        }
        Ok(removed)
    }
}
