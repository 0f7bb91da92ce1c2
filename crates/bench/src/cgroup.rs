//! What the control groups of this process leave of memory: containers, services and batch systems limit it
//! there, and the system's free memory does not tell (Linux, versions 1 and 2).
use std::fs;
use std::path::Path;

/// The files of a group that limits memory.
struct Names {
    limit: &'static str,
    used: &'static str,
    /// The line of `memory.stat` with the bytes of files that can be given up.
    cached: &'static str,
}

const SECOND: Names = Names { limit: "memory.max", used: "memory.current", cached: "inactive_file" };
const FIRST: Names =
    Names { limit: "memory.limit_in_bytes", used: "memory.usage_in_bytes", cached: "total_inactive_file" };

/// Bytes that the groups of this process and those above them still give, under the root directory `root`.
pub(crate) fn free(root: &Path) -> Option<u64> {
    let groups = fs::read_to_string(root.join("proc/self/cgroup")).ok()?;
    groups.lines().filter_map(|line| free_of_line(root, line)).min()
}

/// Of one hierarchy, told by a line `number:controllers:path`.
fn free_of_line(root: &Path, line: &str) -> Option<u64> {
    let mut fields = line.splitn(3, ':').skip(1);
    let (controllers, path) = (fields.next()?, fields.next()?);
    let mounts = root.join("sys/fs/cgroup");
    if controllers.is_empty() {
        // Beside the first version the second one has a place of its own.
        let places = [mounts.clone(), mounts.join("unified")];
        return places.iter().filter_map(|place| free_along(place, path, &SECOND)).min();
    }
    let limits_memory = controllers.split(',').any(|controller| controller == "memory");
    limits_memory.then(|| free_along(&mounts.join("memory"), path, &FIRST)).flatten()
}

/// The least of what the groups from `mount` down to `path` give. In a container the path may be that of the
/// host, of which nothing but the own group can be seen, at the mount itself.
fn free_along(mount: &Path, path: &str, names: &Names) -> Option<u64> {
    let below = Path::new(path.trim_start_matches('/'));
    let groups = below.ancestors().map(|group| mount.join(group));
    groups.filter_map(|group| free_of(&group, names)).min()
}

fn free_of(group: &Path, names: &Names) -> Option<u64> {
    let number = |name: &str| fs::read_to_string(group.join(name)).ok()?.trim().parse::<u64>().ok();
    // "max" is no number, and no limit.
    let (limit, used) = (number(names.limit)?, number(names.used)?);
    let stat = fs::read_to_string(group.join("memory.stat")).unwrap_or_default();
    let cached = stat.lines().find_map(|line| line.strip_prefix(names.cached)?.trim().parse::<u64>().ok());
    Some(limit.saturating_sub(used.saturating_sub(cached.unwrap_or(0))))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A root directory with these files.
    fn root(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().expect("a directory");
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().expect("a parent")).expect("made");
            fs::write(path, text).expect("written");
        }
        root
    }

    #[test]
    fn the_tightest_group_decides() {
        let second = root(&[
            ("proc/self/cgroup", "0::/user.slice/job\n"),
            ("sys/fs/cgroup/user.slice/job/memory.max", "max\n"),
            ("sys/fs/cgroup/user.slice/job/memory.current", "500\n"),
            ("sys/fs/cgroup/user.slice/memory.max", "2000\n"),
            ("sys/fs/cgroup/user.slice/memory.current", "1500\n"),
            ("sys/fs/cgroup/user.slice/memory.stat", "anon 900\ninactive_file 300\nactive_file 1\n"),
        ]);
        assert_eq!(free(second.path()), Some(800));
        // A container sees its own group at the mount, whatever its path is called outside.
        let container = root(&[
            ("proc/self/cgroup", "0::/../../kubepods/pod7\n"),
            ("sys/fs/cgroup/memory.max", "1000\n"),
            ("sys/fs/cgroup/memory.current", "1200\n"),
        ]);
        assert_eq!(free(container.path()), Some(0));
        let first = root(&[
            ("proc/self/cgroup", "5:cpu,cpuacct:/a\n4:memory:/docker/abc\n0::/x\n"),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"),
            ("sys/fs/cgroup/memory/memory.usage_in_bytes", "100\n"),
            ("sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes", "4096\n"),
            ("sys/fs/cgroup/memory/docker/abc/memory.usage_in_bytes", "1096\n"),
            ("sys/fs/cgroup/memory/docker/abc/memory.stat", "inactive_file 1\ntotal_inactive_file 96\n"),
        ]);
        assert_eq!(free(first.path()), Some(3096));
        let none = root(&[("proc/self/cgroup", "0::/\n"), ("sys/fs/cgroup/memory.max", "max\n")]);
        assert_eq!(free(none.path()), None);
        assert_eq!(free(&none.path().join("nothing")), None);
    }
}
