//! Scaling ReplicaSets: one at a time, or all in proportion when a Deployment is scaled in the middle of a rollout
//! (`pkg/controller/deployment/sync.go:scale`).

use k8s_openapi::api::apps::v1::ReplicaSet;

use super::{
    history,
    rollout::Rollout,
    size::{self, size},
};
use crate::{StatusError, recorder::EventType};

impl Rollout<'_> {
    /// Whether somebody has changed how many Pods the Deployment asks for since its sets were scaled
    /// (`sync.go:isScalingEvent`).
    pub(super) fn is_scaled(&self) -> bool {
        let wanted = i64::from(size::wanted(&self.deployment));
        let active = self.all().filter(|set| size(set) > 0);
        active.filter_map(history::desired_replicas).any(|desired| desired != wanted)
    }

    /// Brings the sets to what the Deployment asks for, without replacing Pods.
    pub(super) async fn scale(&mut self) -> Result<(), StatusError> {
        let wanted = size::wanted(&self.deployment);
        if let Some(only) = self.active_or_latest() {
            if size(self.at(only)) != wanted {
                self.resize(only, wanted).await?;
            }
            return Ok(());
        }
        if self.is_saturated() {
            for index in 0..self.old.len() {
                if size(&self.old[index]) > 0 {
                    self.resize(Place::Old(index), 0).await?;
                }
            }
            return Ok(());
        }
        if size::is_rolling(&self.deployment) { self.scale_in_proportion().await } else { Ok(()) }
    }

    async fn scale_in_proportion(&mut self) -> Result<(), StatusError> {
        let bounds = self.bounds();
        let mut active: Vec<Place> = self.places().filter(|place| size(self.at(*place)) > 0).collect();
        let allowed = if bounds.replicas > 0 { bounds.most() } else { 0 };
        let to_add = allowed - size::total(active.iter().map(|place| self.at(*place)));
        active.sort_by(|a, b| {
            let (a, b) = (self.at(*a), self.at(*b));
            let by_age = history::age_key(a).cmp(&history::age_key(b));
            // The largest first; of the same size the newest when growing, the oldest when shrinking.
            size(b).cmp(&size(a)).then(if to_add > 0 { by_age.reverse() } else { by_age })
        });
        let (mut sizes, mut added) = (Vec::new(), 0);
        for place in &active {
            let set = self.at(*place);
            let status = self.deployment.status.as_ref();
            let before = history::max_replicas(set).filter(|max| *max != 0);
            let before = before.or_else(|| status.and_then(|status| status.replicas)).unwrap_or(0);
            let share = size::proportion(size(set), bounds, before, to_add - added);
            sizes.push(size(set) + share);
            added += share;
        }
        if let Some(largest) = sizes.first_mut() {
            *largest = (*largest + to_add - added).max(0);
        }
        for (place, size) in active.into_iter().zip(sizes) {
            self.resize(place, size).await?;
        }
        Ok(())
    }

    /// The only set with Pods; without any the current one, else the newest.
    fn active_or_latest(&self) -> Option<Place> {
        let active: Vec<Place> = self.places().filter(|place| size(self.at(*place)) > 0).collect();
        match active[..] {
            [] => self.places().last(),
            [only] => Some(only),
            _ => None,
        }
    }

    /// Whether the current set has all Pods that the Deployment asks for, available.
    fn is_saturated(&self) -> bool {
        let wanted = size::wanted(&self.deployment);
        self.new.as_ref().is_some_and(|new| {
            size(new) == wanted && history::desired_replicas(new) == Some(i64::from(wanted)) && size::available(new) == wanted
        })
    }

    /// Scales an old set; whether that changed anything.
    pub(super) async fn scale_old(&mut self, index: usize, size: i32) -> Result<bool, StatusError> {
        self.scale_place(Place::Old(index), size).await
    }

    /// Scales the current set; whether that changed anything.
    pub(super) async fn scale_new(&mut self, size: i32) -> Result<bool, StatusError> {
        if self.new.is_some() { self.scale_place(Place::New, size).await } else { Ok(false) }
    }

    async fn scale_place(&mut self, place: Place, wanted: i32) -> Result<bool, StatusError> {
        if size(self.at(place)) == wanted {
            return Ok(false);
        }
        self.resize(place, wanted).await?;
        Ok(true)
    }

    /// Writes the size of a set and for how many Pods it was meant (`sync.go:scaleReplicaSet`).
    async fn resize(&mut self, place: Place, wanted: i32) -> Result<(), StatusError> {
        let mut set = self.at(place).clone();
        let before = size(&set);
        let annotated = history::set_replicas(&mut set, self.bounds());
        if before == wanted && !annotated {
            return Ok(());
        }
        set.spec.replicas = Some(wanted);
        let updated = ReplicaSet::clone(&*self.means.client.update(&set).await?);
        if before != wanted {
            let direction = if wanted > before { "up" } else { "down" };
            let name = updated.metadata.name.as_deref().unwrap_or_default();
            let message = format!("Scaled {direction} replica set {name} from {before} to {wanted}");
            self.record(EventType::Normal, "ScalingReplicaSet", message);
        }
        match place {
            Place::Old(index) => self.old[index] = updated,
            Place::New => self.new = Some(updated),
        }
        Ok(())
    }

    /// Where the sets are, the oldest first and the current one last.
    fn places(&self) -> impl Iterator<Item = Place> {
        (0..self.old.len()).map(Place::Old).chain(self.new.is_some().then_some(Place::New))
    }

    fn at(&self, place: Place) -> &ReplicaSet {
        match place {
            Place::Old(index) => &self.old[index],
            Place::New => self.new.as_ref().expect("a place of the current set is given only if there is one"),
        }
    }
}

/// One of the ReplicaSets of a rollout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Old(usize),
    New,
}
