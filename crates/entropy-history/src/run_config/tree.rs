//! A configuration as its file nests it, and the list of keys made from it.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::comparable;
use super::value::ConfigValue;

/// Deeper levels are left out: no trainer writes them, and recursion must end.
pub(crate) const DEEPEST: usize = 64;
/// More keys are left out. A configuration of a trainer has some hundreds.
const MOST_KEYS: usize = 10_000;
/// A longer text is cut. No label or column shows so much.
const LONGEST_TEXT: usize = 10_000;

/// A configuration, or a part of it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Tree {
    /// A value.
    Leaf(ConfigValue),
    /// A list.
    List(Vec<Tree>),
    /// Names and values, in the order of the file.
    Map(Vec<(String, Tree)>),
    /// A part that is nested too deeply, or an alias of YAML.
    LeftOut,
}

impl Default for Tree {
    fn default() -> Tree {
        Tree::Map(Vec::new())
    }
}

impl Tree {
    /// The part under a name of a map.
    pub(crate) fn get(&self, name: &str) -> Option<&Tree> {
        let Tree::Map(parts) = self else { return None };
        parts.iter().find(|(other, _)| other == name).map(|(_, part)| part)
    }

    /// The parts of a map; none of anything else.
    pub(crate) fn parts(&self) -> &[(String, Tree)] {
        if let Tree::Map(parts) = self { parts } else { &[] }
    }

    /// Sets the part at a path of names, replacing what was there.
    pub(crate) fn set(&mut self, path: &[&str], part: Tree) {
        let Some((name, rest)) = path.split_first() else {
            *self = part;
            return;
        };
        if !matches!(self, Tree::Map(_)) {
            *self = Tree::default();
        }
        let Tree::Map(parts) = self else { return };
        let at = parts.iter().position(|(other, _)| other == name).unwrap_or_else(|| {
            parts.push(((*name).to_owned(), Tree::default()));
            parts.len() - 1
        });
        parts[at].1.set(rest, part);
    }

    /// Removes the part at a path of names.
    pub(crate) fn remove(&mut self, path: &[&str]) {
        let (Tree::Map(parts), Some((name, rest))) = (self, path.split_first()) else { return };
        if rest.is_empty() {
            parts.retain(|(other, _)| other != name);
        } else if let Some((_, part)) = parts.iter_mut().find(|(other, _)| other == name) {
            part.remove(rest);
        }
    }

    /// Removes the names for which `is_dropped` is true from a map.
    pub(crate) fn without(mut self, is_dropped: impl Fn(&str) -> bool) -> Tree {
        if let Tree::Map(parts) = &mut self {
            parts.retain(|(name, _)| !is_dropped(name));
        }
        self
    }
}

/// The keys and values of a tree.
pub(super) struct Flattened {
    pub(super) entries: Vec<(String, ConfigValue)>,
    /// How many were left out.
    pub(super) left_out: usize,
    pub(super) repeated: Vec<Repeated>,
}

/// A key that is there twice with different values: both spellings and values, in the order of the file.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Repeated {
    pub(super) keys: [String; 2],
    pub(super) values: [ConfigValue; 2],
}

/// The keys and values of a tree. A list of values is one value, a list of maps has numbers in its keys. Of a key that
/// is there twice, the later value is kept.
pub(super) fn flatten(tree: &Tree) -> Flattened {
    let mut flat = Flat::default();
    flat.add(String::new(), tree);
    let Flat { entries: all, left_out } = flat;
    let (mut known, mut repeated) = (HashMap::new(), Vec::new());
    let mut entries: Vec<(String, ConfigValue)> = Vec::new();
    for (key, value) in all.into_iter().rev() {
        match known.entry(comparable(&key)) {
            Entry::Vacant(entry) => {
                entry.insert(entries.len());
                entries.push((key, value));
            }
            Entry::Occupied(later) => {
                let (later, kept) = &entries[*later.get()];
                if !kept.is_same(&value) {
                    let (keys, values) = ([key, later.clone()], [value, kept.clone()]);
                    repeated.push(Repeated { keys, values });
                }
            }
        }
    }
    entries.reverse();
    repeated.reverse();
    Flattened { entries, left_out, repeated }
}

#[derive(Default)]
struct Flat {
    entries: Vec<(String, ConfigValue)>,
    left_out: usize,
}

impl Flat {
    fn add(&mut self, key: String, tree: &Tree) {
        let below = |name: &str| match key.as_str() {
            "" => name.to_owned(),
            key => format!("{key}.{name}"),
        };
        match tree {
            Tree::Map(parts) => {
                parts.iter().for_each(|(name, part)| self.add(below(name), part));
            }
            Tree::List(items) => {
                let values = items.iter().map(|item| match item {
                    Tree::Leaf(value) => Some(value),
                    _ => None,
                });
                match values.collect::<Option<Vec<_>>>() {
                    Some(values) => self.push(key, ConfigValue::list(values.into_iter())),
                    None => (0..)
                        .zip(items)
                        .for_each(|(i, item): (usize, _)| self.add(below(&i.to_string()), item)),
                }
            }
            Tree::Leaf(value) => self.push(key, value.clone()),
            Tree::LeftOut => self.left_out += 1,
        }
    }

    fn push(&mut self, key: String, value: ConfigValue) {
        if key.is_empty() || self.entries.len() >= MOST_KEYS {
            self.left_out += 1;
        } else {
            self.entries.push((key, value.cut(LONGEST_TEXT)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaf(text: &str) -> Tree {
        Tree::Leaf(ConfigValue::plain(text))
    }

    fn map(parts: &[(&str, Tree)]) -> Tree {
        Tree::Map(parts.iter().map(|(name, part)| ((*name).to_owned(), part.clone())).collect())
    }

    fn texts(tree: &Tree) -> Vec<String> {
        let Flattened { entries, .. } = flatten(tree);
        entries.iter().map(|(key, value)| format!("{key}={}", value.text())).collect()
    }

    #[test]
    fn nested_maps_have_dotted_keys_and_lists_of_values_are_one_value() {
        let tree = map(&[
            ("seed", leaf("1")),
            (
                "optim",
                map(&[("lr", leaf("1e-06")), ("betas", Tree::List(vec![leaf("0.9"), leaf("1")]))]),
            ),
            ("envs", Tree::List(vec![map(&[("name", leaf("math"))]), leaf("x")])),
            ("seed", leaf("2")),
        ]);
        let expected =
            ["optim.lr=1e-06", "optim.betas=[0.9, 1]", "envs.0.name=math", "envs.1=x", "seed=2"];
        assert_eq!(texts(&tree), expected);
    }

    #[test]
    fn parts_are_set_and_removed_by_their_path() {
        let mut tree = map(&[("a", leaf("1")), ("b", map(&[("c", leaf("2")), ("d", leaf("3"))]))]);
        tree.set(&["b", "c"], leaf("4"));
        tree.set(&["a", "x"], leaf("5"));
        tree.remove(&["b", "d"]);
        tree.remove(&["nothing", "here"]);
        assert_eq!(texts(&tree), ["a.x=5", "b.c=4"]);
    }

    #[test]
    fn keys_over_the_limit_and_too_deep_parts_are_counted() {
        let many: Vec<_> = (0..MOST_KEYS + 3).map(|i| (i.to_string(), leaf("1"))).collect();
        let Flattened { entries, left_out, .. } = flatten(&Tree::Map(many));
        assert_eq!((entries.len(), left_out), (MOST_KEYS, 3));
        let Flattened { entries, left_out, .. } =
            flatten(&map(&[("a", Tree::LeftOut), ("b", leaf("1"))]));
        assert_eq!((entries.len(), left_out), (1, 1));
        let long = map(&[("a", leaf(&"é".repeat(LONGEST_TEXT)))]);
        let Flattened { entries, .. } = flatten(&long);
        assert!(entries[0].1.text().len() <= LONGEST_TEXT + "…".len());
    }
}
