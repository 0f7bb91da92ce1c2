//! The cores that a process may run on, as the system tells (Linux). Launchers such as `mpirun` bind
//! processes to a few of those that there are.
use std::fs;
use std::path::Path;

/// The cores of a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cores {
    /// Those that it may run on, as the system writes them: `0-3,8`.
    pub list: String,
    /// How many these are.
    pub own: usize,
    /// How many there would be if nothing had bound it: those of the machine, or of its container.
    pub all: usize,
}

/// Those of this process; `None` where the system does not tell.
pub fn cores() -> Option<Cores> {
    cores_of(Path::new("/"))
}

fn cores_of(root: &Path) -> Option<Cores> {
    let status = fs::read_to_string(root.join("proc/self/status")).ok()?;
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?.trim();
    let own = count(list)?;
    let read = |path: &Path| count(fs::read_to_string(path).ok()?.trim());
    let online = read(&root.join("sys/devices/system/cpu/online"))?;
    let groups = fs::read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
    let all = groups.lines().filter_map(|line| of_line(root, line, &read)).fold(online, usize::min);
    Some(Cores { list: list.to_owned(), own, all: all.max(own) })
}

/// How many cores a control group has, told by a line `number:controllers:path`: its own, else those of the
/// nearest group above it that tells. In a container the path may be that of the host, of which nothing but
/// the own group can be seen, at the mount itself.
fn of_line(root: &Path, line: &str, read: &dyn Fn(&Path) -> Option<usize>) -> Option<usize> {
    let mut fields = line.splitn(3, ':').skip(1);
    let (controllers, path) = (fields.next()?, fields.next()?);
    let mounts = root.join("sys/fs/cgroup");
    let (places, name) = if controllers.is_empty() {
        (vec![mounts.clone(), mounts.join("unified")], "cpuset.cpus.effective")
    } else if controllers.split(',').any(|controller| controller == "cpuset") {
        (vec![mounts.join("cpuset")], "cpuset.effective_cpus")
    } else {
        return None;
    };
    let below = Path::new(path.trim_start_matches('/'));
    places
        .iter()
        .flat_map(|place| below.ancestors().map(move |group| place.join(group).join(name)))
        .find_map(|file| read(&file))
}

/// How many a list such as `0-3,8` names.
fn count(list: &str) -> Option<usize> {
    let ranges = list.split(',').map(|range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last): (usize, usize) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
        Some(last.checked_sub(first)? + 1)
    });
    ranges.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(files: &[(&str, &str)]) -> Option<(usize, usize)> {
        let root = tempfile::tempdir().expect("a directory");
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().expect("a parent")).expect("made");
            fs::write(path, text).expect("written");
        }
        cores_of(root.path()).map(|cores| (cores.own, cores.all))
    }

    #[test]
    fn a_process_is_bound_to_some_of_the_cores_of_its_machine_or_container() {
        let status = ("proc/self/status", "Name:\tdlrm\nCpus_allowed:\t3\nCpus_allowed_list:\t0-1,8\n");
        let online = ("sys/devices/system/cpu/online", "0-15\n");
        assert_eq!(found(&[status, online]), Some((3, 16)));
        let group = ("proc/self/cgroup", "0::/job/step\n");
        let above = ("sys/fs/cgroup/job/cpuset.cpus.effective", "0-3,8-9\n");
        assert_eq!(found(&[status, online, group, above]), Some((3, 6)));
        let first = ("proc/self/cgroup", "4:memory:/a\n3:cpu,cpuset:/a\n0::/\n");
        let own = ("sys/fs/cgroup/cpuset/a/cpuset.effective_cpus", "0-7\n");
        assert_eq!(found(&[status, online, first, own]), Some((3, 8)));
        // What a group of its own has lost since is still its own.
        let less = ("sys/fs/cgroup/job/step/cpuset.cpus.effective", "0\n");
        assert_eq!(found(&[status, online, group, above, less]), Some((3, 3)));
        // Systems that do not tell.
        assert_eq!(found(&[online]), None);
        assert_eq!(found(&[("proc/self/status", "Cpus_allowed_list:\t\n"), online]), None);
    }
}
