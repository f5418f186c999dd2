//! Many patterns at once: a trie over tokens.
//!
//! Looking up a topic visits only nodes whose path matches its beginning, each once, so what does
//! not match costs nothing: neither the number of subscriptions nor their length shows. Nodes are
//! indices into one vector; nothing is ever removed (a reload builds a new trie).

use rustc_hash::FxHashMap;

use super::pattern::{Pattern, Token, is_engine_topic};

/// Who wants which topics. Subscribers are numbers that the caller chose, such as the spell order.
#[derive(Clone, Debug)]
pub struct Subscriptions {
    /// The first is the root; it stands before the first token.
    nodes: Vec<Node>,
    /// Those that take every energy, with a topic or without.
    all: Vec<u32>,
}

/// Everything that shares one sequence of pattern tokens.
#[derive(Clone, Debug, Default)]
struct Node {
    literals: FxHashMap<Box<[u8]>, u32>,
    /// The node behind `*`.
    one: Option<u32>,
    /// Subscribers whose pattern ends here.
    ends: Vec<u32>,
    /// Subscribers whose pattern goes on with `>`.
    rest: Vec<u32>,
}

impl Default for Subscriptions {
    fn default() -> Self {
        Self { nodes: vec![Node::default()], all: Vec::new() }
    }
}

impl Subscriptions {
    /// No subscriptions.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Subscribes `id` to every topic that one of the patterns matches; without patterns, to every
    /// energy, including those that have no topic.
    pub fn insert(&mut self, patterns: &[Pattern], id: u32) {
        if patterns.is_empty() {
            self.all.push(id);
        }
        for pattern in patterns {
            self.insert_one(pattern, id);
        }
    }

    /// Writes the subscribers of a topic to `out`, ascending, each once. `None` is an energy without
    /// a topic: only those that subscribed to everything receive it.
    pub fn matching(&self, topic: Option<&[u8]>, out: &mut Vec<u32>) {
        out.clear();
        if !topic.is_some_and(is_engine_topic) {
            out.extend_from_slice(&self.all);
        }
        if let Some(topic) = topic {
            self.collect(topic, out);
        }
        out.sort_unstable();
        out.dedup();
    }

    fn insert_one(&mut self, pattern: &Pattern, id: u32) {
        let mut at = 0;
        for token in pattern.tokens() {
            at = match token {
                Token::Rest => return self.nodes[at].rest.push(id),
                Token::One => match self.nodes[at].one {
                    Some(next) => next as usize,
                    None => {
                        let next = self.add_node();
                        self.nodes[at].one = Some(next as u32);
                        next
                    }
                },
                Token::Literal(literal) => match self.nodes[at].literals.get(literal.as_bytes()) {
                    Some(&next) => next as usize,
                    None => {
                        let next = self.add_node();
                        self.nodes[at].literals.insert(literal.as_bytes().into(), next as u32);
                        next
                    }
                },
            };
        }
        self.nodes[at].ends.push(id);
    }

    fn add_node(&mut self) -> usize {
        self.nodes.push(Node::default());
        self.nodes.len() - 1
    }

    /// Walks depth first. A branch waits on the stack as its node and where its next token starts.
    fn collect(&self, topic: &[u8], out: &mut Vec<u32>) {
        let mut waiting = vec![(0_usize, 0_usize)];
        while let Some((mut at, mut start)) = waiting.pop() {
            loop {
                let node = &self.nodes[at];
                // The engine's own topics have to be named: no wildcard stands for their first token.
                let wildcards = start > 0 || !is_engine_topic(topic);
                let one = node.one.filter(|_| wildcards);
                if wildcards {
                    out.extend_from_slice(&node.rest);
                }
                let end = topic[start..].iter().position(|&byte| byte == b'.').map(|length| start + length);
                let literal = node.literals.get(&topic[start..end.unwrap_or(topic.len())]).copied();
                let Some(end) = end else {
                    for next in [literal, one].into_iter().flatten() {
                        out.extend_from_slice(&self.nodes[next as usize].ends);
                    }
                    break;
                };
                start = end + 1;
                at = match (literal, one) {
                    (Some(literal), Some(one)) => {
                        waiting.push((one as usize, start));
                        literal as usize
                    }
                    (Some(next), None) | (None, Some(next)) => next as usize,
                    (None, None) => break,
                };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subscriptions(lists: &[&[&str]]) -> Subscriptions {
        let mut all = Subscriptions::new();
        for (id, list) in lists.iter().enumerate() {
            let patterns: Vec<_> = list.iter().filter_map(|text| Pattern::parse(text).ok()).collect();
            assert_eq!(patterns.len(), list.len());
            all.insert(&patterns, id as u32);
        }
        all
    }

    fn matching(all: &Subscriptions, topic: Option<&str>) -> Vec<u32> {
        let mut out = vec![99];
        all.matching(topic.map(str::as_bytes), &mut out);
        out
    }

    #[test]
    fn every_kind_of_pattern_is_found_once_and_in_order() {
        let all = subscriptions(&[
            &["orders.>", "orders.*"],
            &["*.eu"],
            &[],
            &["orders.eu"],
            &["orders.us", "refunds"],
            &[">"],
            &["orders.eu.*", "*.*.placed"],
        ]);
        assert_eq!(matching(&all, Some("orders.eu")), [0, 1, 2, 3, 5]);
        assert_eq!(matching(&all, Some("orders.eu.placed")), [0, 2, 5, 6]);
        assert_eq!(matching(&all, Some("refunds")), [2, 4, 5]);
        assert_eq!(matching(&all, Some("orders")), [2, 5]);
        assert_eq!(matching(&all, None), [2]);
    }

    #[test]
    fn topics_of_the_engine_have_to_be_named() {
        let all =
            subscriptions(&[&[">"], &["*.fault"], &[], &["sanctum.>"], &["sanctum.*"], &["sanctum.fault"]]);
        assert_eq!(matching(&all, Some("sanctum.fault")), [3, 4, 5]);
        assert_eq!(matching(&all, Some("sanctums.fault")), [0, 1, 2]);
    }

    #[test]
    fn both_branches_of_a_fork_are_followed_to_the_end() {
        let all = subscriptions(&[&["a.*.c.*.e"], &["*.b.*.d.*"], &["a.b.c.d.x"], &["a.b.c.d.e"]]);
        assert_eq!(matching(&all, Some("a.b.c.d.e")), [0, 1, 3]);
    }
}
