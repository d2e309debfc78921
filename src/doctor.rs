//! Whether this machine can run scenarios on kind.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access, statvfs};
use tokio_util::sync::CancellationToken;

use crate::clean::{self, CleanOptions, Fate, Finding};
use crate::cluster::kind::docker::{Docker, Engine};
use crate::cluster::kind::preflight;
use crate::cluster::state::StateDir;
use crate::cluster::{Programs, ProvisionError};
use crate::images::{self, StandIns};

const GIB: u64 = 1 << 30;

/// Below this a node's kubelet evicts Pods soon.
const DISK_NEEDED: u64 = 2 * GIB;

/// Below this a node image and a cluster or two may fill the disk.
const DISK_WANTED: u64 = 10 * GIB;

/// Below this a node does not run well.
const MEMORY_WANTED: u64 = 2 * GIB;

/// What <https://kind.sigs.k8s.io/docs/user/known-issues/> asks for; the kernel's usual 128 is enough for a node or two.
const INOTIFY_INSTANCES_WANTED: u64 = 128;

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// As it should be.
    Good,
    /// It works, but.
    Warning,
    /// Scenarios cannot run on kind.
    Bad,
}

/// One thing that was looked at.
#[derive(Clone, Debug)]
pub struct Check {
    /// What was looked at, in a word or two.
    pub name: &'static str,
    /// How it came out.
    pub state: State,
    /// What was found.
    pub detail: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// What is looked at.
#[derive(Clone, Debug)]
pub struct DoctorOptions {
    /// Where the programs are.
    pub programs: Programs,
    /// Where labproof remembers what it makes.
    pub state: StateDir,
    /// The node image that runs will ask for; kind's default if none.
    pub node_image: Option<String>,
    /// The stand-in server that runs will use; the one that the program carries if none.
    pub standin: Option<PathBuf>,
}

impl State {
    const fn sign(self) -> char {
        match self {
            Self::Good => '✓',
            Self::Warning => '‼',
            Self::Bad => '✗',
        }
    }
}

impl Check {
    /// A check without a hint.
    pub fn new(name: &'static str, state: State, detail: impl Into<String>) -> Self {
        Self { name, state, detail: detail.into(), hint: None }
    }

    /// With what to do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    fn failed(name: &'static str, state: State, error: ProvisionError) -> Self {
        Self { name, state, detail: error.problem, hint: error.hint }
    }
}

/// Looks at everything that runs on kind need.
pub async fn examine(options: &DoctorOptions) -> Vec<Check> {
    let docker = Docker(&options.programs);
    let engine = docker.engine().await;
    let mut checks = Vec::new();
    match &engine {
        Ok(engine) => {
            checks.push(Check::new("Docker", State::Good, format!("engine {}", engine.server_version)));
            checks.push(cgroups(engine));
            checks.push(memory(engine));
            checks.push(node_image(&docker, options.node_image.as_deref().filter(|image| !image.is_empty())).await);
        }
        Err(error) => checks.push(Check::failed("Docker", State::Bad, error.clone())),
    }
    checks.push(match preflight::kind_version(&options.programs).await {
        Ok(version) => Check::new("kind", State::Good, version.to_string()),
        Err(error) => Check::failed("kind", State::Bad, error),
    });
    checks.push(stand_ins(options.standin.as_deref()));
    checks.push(kubectl(&options.programs));
    checks.push(disk(engine.as_ref().map_or(Path::new("/"), |engine| Path::new(&engine.docker_root_dir))));
    checks.extend(inotify());
    checks.push(state_dir(&options.state));
    checks.push(leftovers(options).await);
    checks
}

/// The checks as text, one a line, each hint below its check.
pub fn render(checks: &[Check]) -> String {
    let width = checks.iter().map(|check| check.name.chars().count()).max().unwrap_or_default();
    checks.iter().fold(String::new(), |mut text, check| {
        let detail = check.detail.replace('\n', &format!("\n{:indent$}", "", indent = width + 4));
        let _ = writeln!(text, "{} {:width$}  {detail}", check.state.sign(), check.name);
        if let Some(hint) = &check.hint {
            let _ = writeln!(text, "{:indent$}→ {hint}", "", indent = width + 4);
        }
        text
    })
}

/// Whether nothing keeps scenarios from running on kind; if not, the program ends with its exit code for the environment.
pub fn is_fit(checks: &[Check]) -> bool {
    checks.iter().all(|check| check.state != State::Bad)
}

fn cgroups(engine: &Engine) -> Check {
    match engine.cgroup_version.as_str() {
        "2" => Check::new("cgroups", State::Good, "version 2"),
        other => Check::new("cgroups", State::Warning, format!("version {other}: Kubernetes gives it up, and kind will follow"))
            .hint("boot with cgroup v2 (systemd.unified_cgroup_hierarchy=1)"),
    }
}

fn memory(engine: &Engine) -> Check {
    let detail = format!("{} for containers", gib(engine.mem_total));
    if engine.mem_total >= MEMORY_WANTED {
        return Check::new("memory", State::Good, detail);
    }
    Check::new("memory", State::Warning, detail).hint(format!("give Docker at least {}", gib(MEMORY_WANTED)))
}

async fn node_image(docker: &Docker<'_>, image: Option<&str>) -> Check {
    const NAME: &str = "node image";
    let Some(image) = image else {
        return match docker.node_images().await {
            Ok(images) if images.is_empty() => {
                Check::new(NAME, State::Warning, "kind's default; there is none on this machine yet: the first run pulls it")
            }
            Ok(images) => Check::new(NAME, State::Good, format!("kind's default; on this machine: {}", images.join(", "))),
            Err(error) => Check::failed(NAME, State::Bad, error),
        };
    };
    match docker.has_image(image).await {
        Ok(true) => Check::new(NAME, State::Good, format!("{image} is on this machine")),
        Ok(false) => Check::new(NAME, State::Warning, format!("{image} is not on this machine: the first run pulls it"))
            .hint(format!("pull it now: docker pull {image}")),
        Err(error) => Check::failed(NAME, State::Bad, error),
    }
}

fn stand_ins(standin: Option<&Path>) -> Check {
    const NAME: &str = "stand-ins";
    let workloads = images::builtin();
    let all = workloads.iter().map(|(image, _)| image.to_owned()).collect();
    match StandIns::new(&all, &workloads, standin) {
        Ok(stand_ins) => Check::new(NAME, State::Good, format!("for {} images", stand_ins.images().count())),
        // Without them the real images are pulled.
        Err(error) => Check::new(NAME, State::Warning, error.to_string()),
    }
}

fn kubectl(programs: &Programs) -> Check {
    match programs.find("kubectl") {
        Ok(path) => Check::new("kubectl", State::Good, path.display().to_string()),
        Err(_) => Check::new("kubectl", State::Warning, "not installed; labproof does not need it")
            .hint("with it you can look into clusters that were kept: https://kubernetes.io/docs/tasks/tools/"),
    }
}

/// The engine may be on another machine; then the nearest directory that exists here is as good as any.
fn disk(docker_root: &Path) -> Check {
    const NAME: &str = "disk";
    let Some((dir, disk)) = docker_root.ancestors().find_map(|dir| Some((dir, statvfs(dir).ok()?))) else {
        return Check::new(NAME, State::Warning, format!("the free space of {} cannot be told", docker_root.display()));
    };
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    let state = match free {
        ..DISK_NEEDED => State::Bad,
        DISK_NEEDED..DISK_WANTED => State::Warning,
        _ => State::Good,
    };
    let check = Check::new(NAME, state, format!("{} free in {}", gib(free), dir.display()));
    if state == State::Good { check } else { check.hint("make room: docker system prune, labproof clean") }
}

/// Nothing where there is no such limit.
fn inotify() -> Option<Check> {
    let text = std::fs::read_to_string("/proc/sys/fs/inotify/max_user_instances").ok()?;
    let limit: u64 = text.trim().parse().ok()?;
    let detail = format!("{limit} instances for each user");
    if limit >= INOTIFY_INSTANCES_WANTED {
        return Some(Check::new("inotify", State::Good, detail));
    }
    Some(Check::new("inotify", State::Warning, detail).hint("sudo sysctl fs.inotify.max_user_instances=512"))
}

fn state_dir(state: &StateDir) -> Check {
    const NAME: &str = "state";
    let existing = state.path().ancestors().find(|dir| dir.exists()).unwrap_or(Path::new("/"));
    match access(existing, Access::WRITE_OK | Access::EXEC_OK) {
        Ok(()) => Check::new(NAME, State::Good, format!("{} can be written to", state.path().display())),
        Err(error) => Check::new(NAME, State::Bad, format!("{} cannot be written to: {error}", existing.display()))
            .hint("name another directory in LABPROOF_STATE_DIR"),
    }
}

async fn leftovers(options: &DoctorOptions) -> Check {
    const NAME: &str = "leftovers";
    let look = CleanOptions {
        programs: options.programs.clone(),
        state: options.state.clone(),
        kept: false,
        unrecorded: false,
        dry_run: true,
        stop: CancellationToken::new(),
    };
    match clean::clusters(&look).await {
        Err(error) => Check::failed(NAME, State::Warning, error),
        Ok(findings) => {
            let (mut left, mut commands) = (Vec::new(), BTreeSet::new());
            for Finding { what, fate } in findings {
                match fate {
                    Fate::Skipped(_) => continue,
                    Fate::NotLookedAt(command) => commands.insert(command),
                    Fate::Removed | Fate::WouldRemove | Fate::Failed(_) => commands.insert("labproof clean".to_owned()),
                };
                left.push(what);
            }
            if left.is_empty() {
                return Check::new(NAME, State::Good, "no killed run left anything behind");
            }
            let commands: Vec<String> = commands.into_iter().collect();
            Check::new(NAME, State::Warning, left.join(", ")).hint(format!("remove them: {}", commands.join("; ")))
        }
    }
}

fn gib(bytes: u64) -> String {
    // Tenths, without the rounding of floating point.
    let tenths = bytes / (GIB / 10);
    format!("{}.{} GiB", tenths / 10, tenths % 10)
}
