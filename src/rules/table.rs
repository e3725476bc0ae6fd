//! Many rules at once: which of them match a path, in their order.
//!
//! [`PatternSet`] is a tree of the segments of all patterns, so the cost of a path depends on its
//! number of segments and on the number of patterns that begin like it, not on the number of rules.
//! Extensions are looked up, as segments are: the cost depends on the dots in the end of the last
//! segment, of which at most [`extension::MAX_BYTES`] count.

use std::collections::HashMap;

use super::extension;
use super::header::{Edit, HeaderRule};
use super::pattern::{End, Pattern, Segment, segments};
use super::redirect::{Answer, Redirect};

/// The patterns of a list of rules. A pattern is identified by its index in that list.
#[derive(Clone, Debug)]
pub struct PatternSet {
    /// The root is the first node. A node belongs to a sequence of segments with which patterns
    /// begin.
    nodes: Vec<Node>,
    /// A node has patterns that end with an extension.
    has_extensions: bool,
}

/// How far below a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Its entries.
    Entries,
    /// Everything below it.
    Tree,
}

#[derive(Clone, Debug, Default)]
struct Node {
    /// The nodes after a literal segment.
    literals: HashMap<Box<[u8]>, usize>,
    /// The node after a segment `:name`.
    name: Option<usize>,
    /// The patterns that end here.
    ends: Vec<usize>,
    /// The patterns that end here with a `*`.
    splats: Vec<usize>,
    /// The patterns that end here with `*.` and an extension, by the extension.
    extensions: HashMap<Box<[u8]>, Vec<usize>>,
}

impl PatternSet {
    /// Makes a set of the patterns, in the order of the list.
    pub fn new<'p>(patterns: impl IntoIterator<Item = &'p Pattern>) -> PatternSet {
        PatternSet::with_indices(patterns.into_iter().enumerate())
    }

    fn with_indices<'p>(patterns: impl IntoIterator<Item = (usize, &'p Pattern)>) -> PatternSet {
        let mut set = PatternSet { nodes: vec![Node::default()], has_extensions: false };
        for (index, pattern) in patterns {
            let mut at = 0;
            for segment in pattern.segments() {
                at = set.node_after(at, segment);
            }
            let node = &mut set.nodes[at];
            match pattern.end() {
                End::Path => node.ends.push(index),
                End::Splat => node.splats.push(index),
                End::Extensions(extensions) => {
                    set.has_extensions = true;
                    for extension in extensions.iter() {
                        node.extensions.entry(extension.into()).or_default().push(index);
                    }
                }
            }
        }
        set
    }

    /// The node after a segment, which is created if it does not exist.
    fn node_after(&mut self, at: usize, segment: &Segment) -> usize {
        let new = self.nodes.len();
        let node = &mut self.nodes[at];
        let next = match segment {
            Segment::Literal(bytes) => *node.literals.entry(bytes.clone()).or_insert(new),
            Segment::Name(_) => *node.name.get_or_insert(new),
        };
        if next == new {
            self.nodes.push(Node::default());
        }
        next
    }

    /// The patterns that match a canonical path, in their order.
    pub fn matches(&self, path: &[u8]) -> Vec<usize> {
        let mut found = Vec::new();
        self.visit(path, |indices| found.extend(indices));
        found.sort_unstable();
        // A pattern with several extensions can match by more than one.
        found.dedup();
        found
    }

    /// The first pattern that matches a canonical path. Allocates only if a path can continue both
    /// with a literal segment and with a name, or if a pattern has an extension.
    pub fn first(&self, path: &[u8]) -> Option<usize> {
        let mut least = None;
        self.visit(path, |indices| {
            // The indices of a node are in ascending order.
            least = least.into_iter().chain(indices.first().copied()).min();
        });
        least
    }

    /// Visits the nodes for the beginnings of a path and passes on the patterns that match. Each
    /// node is visited at most once, because it has one parent.
    fn visit(&self, path: &[u8], mut found: impl FnMut(&[usize])) {
        let name = if self.has_extensions { segments(path).last() } else { None };
        let name = name.map(extension::End::of);
        let mut later = Vec::new();
        let mut next = Some((0, segments(path)));
        while let Some((at, mut rest)) = next.take().or_else(|| later.pop()) {
            let node = &self.nodes[at];
            found(&node.splats);
            let Some(segment) = rest.next() else {
                found(&node.ends);
                continue;
            };
            if let Some(name) = name.as_ref().filter(|_| !node.extensions.is_empty()) {
                name.after_dots().filter_map(|it| node.extensions.get(it)).for_each(|it| found(it));
            }
            if let Some(&literal) = node.literals.get(segment) {
                next = Some((literal, rest.clone()));
            }
            if let Some(name) = node.name {
                if next.is_some() {
                    later.push((name, rest));
                } else {
                    next = Some((name, rest));
                }
            }
        }
    }

    /// The patterns that can match a path below `folder` but not the folder itself, in their order:
    /// a path of an entry of the folder, or, with `reach` [`Reach::Tree`], of anything below it.
    /// What exists makes no difference. Looks at the nodes of the folder and below it, and at the
    /// extensions of those above it.
    pub fn below(&self, folder: &[u8], reach: Reach) -> Vec<usize> {
        // An extension matches at any depth, so those of the folders above count as well.
        let (mut found, mut ends) = (Vec::new(), vec![0]);
        for segment in segments(folder) {
            found.extend(self.extensions_at(&ends));
            let next = |at: usize| {
                let Node { literals, name, .. } = &self.nodes[at];
                literals.get(segment).copied().into_iter().chain(*name)
            };
            ends = ends.into_iter().flat_map(next).collect();
        }
        found.extend(self.extensions_at(&ends));
        let mut level = ends;
        while !level.is_empty() {
            let next = |at: usize| {
                let Node { literals, name, .. } = &self.nodes[at];
                literals.values().copied().chain(*name)
            };
            level = level.into_iter().flat_map(next).collect();
            for node in level.iter().map(|at| &self.nodes[*at]) {
                found.extend(node.ends.iter().chain(&node.splats));
            }
            if reach == Reach::Entries {
                break;
            }
            found.extend(self.extensions_at(&level));
        }
        found.sort_unstable();
        found.dedup();
        if self.has_extensions {
            let own = self.matches(folder);
            found.retain(|index| own.binary_search(index).is_err());
        }
        found
    }

    /// The patterns that end at one of these nodes with an extension.
    fn extensions_at(&self, nodes: &[usize]) -> impl Iterator<Item = usize> {
        let nodes = nodes.iter().map(|at| &self.nodes[*at]);
        nodes.flat_map(|node| node.extensions.values().flatten().copied())
    }

    /// True if it has no pattern.
    pub fn is_empty(&self) -> bool {
        let has_no = |node: &Node| node.ends.is_empty() && node.splats.is_empty();
        !self.has_extensions && self.nodes.iter().all(has_no)
    }
}

/// The redirects of a site in their order.
#[derive(Clone, Debug)]
pub struct Redirects {
    rules: Vec<Redirect>,
    forced: PatternSet,
    others: PatternSet,
}

impl Redirects {
    /// Makes a table of rules. The first rule that applies wins.
    pub fn new(rules: Vec<Redirect>) -> Redirects {
        let set = |force: bool| {
            let chosen = rules.iter().enumerate().filter(|(_, rule)| rule.force == force);
            PatternSet::with_indices(chosen.map(|(index, rule)| (index, &rule.from)))
        };
        let (forced, others) = (set(true), set(false));
        Redirects { rules, forced, others }
    }

    /// The rules in their order.
    pub fn rules(&self) -> &[Redirect] {
        &self.rules
    }

    /// The indices of the rules whose pattern matches a canonical path, in their order: those that
    /// win over a file if `forced`, else the others.
    pub fn matches(&self, path: &[u8], forced: bool) -> Vec<usize> {
        self.set(forced).matches(path)
    }

    /// The index of the first rule that applies to a canonical path, and its answer. `query` is
    /// that of the request, as the client sent it; an answer has at most `most` bytes.
    pub fn decide(
        &self,
        path: &[u8],
        query: Option<&[u8]>,
        forced: bool,
        most: usize,
    ) -> Option<(usize, Answer)> {
        let answer = |index: usize| {
            self.rules[index].answer(path, query, most).map(|answer| (index, answer))
        };
        let first = self.set(forced).first(path)?;
        answer(first).or_else(|| self.matches(path, forced).into_iter().skip(1).find_map(answer))
    }

    fn set(&self, forced: bool) -> &PatternSet {
        if forced { &self.forced } else { &self.others }
    }
}

/// The blocks of fields of a site in their order.
#[derive(Clone, Debug)]
pub struct Headers {
    rules: Vec<HeaderRule>,
    set: PatternSet,
}

impl Headers {
    /// Makes a table of blocks. All that match apply, in this order.
    pub fn new(rules: Vec<HeaderRule>) -> Headers {
        let set = PatternSet::new(rules.iter().map(|rule| &rule.pattern));
        Headers { rules, set }
    }

    /// The blocks in their order.
    pub fn rules(&self) -> &[HeaderRule] {
        &self.rules
    }

    /// The indices of the blocks that match a canonical path, in their order. Paths with the same
    /// indices have the same edits.
    pub fn matches(&self, path: &[u8]) -> Vec<usize> {
        self.set.matches(path)
    }

    /// The edits of these blocks, in order.
    pub fn edits<'h>(&'h self, indices: &'h [usize]) -> impl Iterator<Item = &'h Edit> {
        indices.iter().flat_map(|index| &self.rules[*index].edits)
    }
}

#[cfg(test)]
mod tests;
