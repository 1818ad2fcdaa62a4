//! The imports between the files of the crate.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};

use crate::source::{Import, Source};

/// Files, and for each the files that it imports, with the line of the first such import.
///
/// A name that a `mod.rs` offers by `pub use` leads to the file that defines it, and offering it is not an import.
/// What a file takes from the `mod.rs` of a folder that it is in does not count: a folder may share through its
/// `mod.rs`.
pub struct ModuleGraph {
    imports: BTreeMap<PathBuf, BTreeMap<PathBuf, usize>>,
}

impl ModuleGraph {
    pub fn of(sources: &[Source]) -> Self {
        let files: BTreeMap<Vec<String>, &Source> =
            sources.iter().map(|source| (module(source), source)).collect();
        let all: Vec<(Vec<String>, Vec<Import>)> = files
            .iter()
            .map(|(module, source)| (module.clone(), source.imports(&children(module, &files))))
            .collect();
        let mut exports = BTreeMap::new();
        for (module, imports) in &all {
            for import in imports {
                if let Some(name) = &import.exported_as {
                    exports.insert(
                        [module.as_slice(), std::slice::from_ref(name)].concat(),
                        import.path.clone(),
                    );
                }
            }
        }
        let mut graph = BTreeMap::new();
        for (module, imports) in &all {
            let own: &mut BTreeMap<PathBuf, usize> = graph.entry(files[module].path.clone()).or_default();
            for import in imports.iter().filter(|import| import.exported_as.is_none()) {
                let target = resolve(&import.path, &files, &exports);
                if !module.starts_with(&target) {
                    own.entry(files[&target].path.clone()).or_insert(import.line);
                }
            }
        }
        Self { imports: graph }
    }

    /// The shortest circle through each file that is in one, each circle once.
    pub fn circles(&self) -> Vec<String> {
        let mut found = BTreeMap::new();
        for file in self.imports.keys() {
            if let Some(circle) = self.circle_through(file) {
                let members: BTreeSet<&Path> = circle.iter().copied().collect();
                found.entry(members).or_insert(circle);
            }
        }
        found.into_values().map(|circle| self.describe(&circle)).collect()
    }

    fn circle_through<'a>(&'a self, start: &'a Path) -> Option<Vec<&'a Path>> {
        let mut came_from: BTreeMap<&Path, &Path> = BTreeMap::new();
        let mut queue = VecDeque::from([start]);
        while let Some(file) = queue.pop_front() {
            for next in self.imports.get(file).into_iter().flat_map(BTreeMap::keys) {
                if next == start {
                    let mut circle = vec![file];
                    while let Some(before) = came_from.get(circle[circle.len() - 1]) {
                        circle.push(before);
                    }
                    circle.reverse();
                    return Some(circle);
                }
                if !came_from.contains_key(next.as_path()) {
                    came_from.insert(next, file);
                    queue.push_back(next);
                }
            }
        }
        None
    }

    fn describe(&self, circle: &[&Path]) -> String {
        let step = |(index, file): (usize, &&Path)| {
            let next = circle[(index + 1) % circle.len()];
            format!("{}:{} imports {}", file.display(), self.imports[*file][next], next.display())
        };
        circle.iter().enumerate().map(step).collect::<Vec<_>>().join(", ")
    }
}

/// The program's own file is a crate of its own.
fn module(source: &Source) -> Vec<String> {
    let module = source.module();
    if module == ["lib"] { vec![] } else { module }
}

fn children(module: &[String], files: &BTreeMap<Vec<String>, &Source>) -> Vec<String> {
    let is_child = |other: &&Vec<String>| other.len() == module.len() + 1 && other.starts_with(module);
    files.keys().filter(is_child).map(|child| child[module.len()].clone()).collect()
}

/// The module that defines the item at the end of the path.
fn resolve(
    path: &[String],
    files: &BTreeMap<Vec<String>, &Source>,
    exports: &BTreeMap<Vec<String>, Vec<String>>,
) -> Vec<String> {
    let mut path = path.to_vec();
    // More than any chain of re-exports.
    for _ in 0..8 {
        let depth = (0..=path.len()).rev().find(|depth| files.contains_key(&path[..*depth])).unwrap_or(0);
        let through = path.get(..=depth).and_then(|name| exports.get(name));
        match through {
            Some(origin) if *origin != path => path = [origin.as_slice(), &path[depth + 1..]].concat(),
            _ => return path[..depth].to_vec(),
        }
    }
    path
}
